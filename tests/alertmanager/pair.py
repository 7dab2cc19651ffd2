"""Alertmanager and Tocsin side by side, by the same alertmanager.yml, asked the same."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

import httpx2

from tests.servers import free_port
from tests.servers.process import PATIENCE_S, Process
from tests.servers.tocsin import Tocsin

CONFIG = """\
route:
  receiver: default
  group_by: [alertname]
  group_wait: 1s
  group_interval: 1s
  routes:
  - receiver: web
    matchers: ['team="web"']
    continue: true
  - receiver: everybody
    matchers: ['team=~"we.*"']
    group_by: [team]
  - receiver: night
    matchers: ['team="night"']
    mute_time_intervals: [always]
receivers:
- name: default
- name: web
- name: everybody
- name: night
inhibit_rules:
- source_matchers: ['severity="critical"']
  target_matchers: ['severity="warning"']
  equal: [alertname]
time_intervals:
- name: always
  time_intervals:
  - times: [{start_time: '00:00', end_time: '24:00'}]
"""
MASKS = (
    (re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"), "ID"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z| UTC)"), "TIME"),
    (re.compile(r"127\.0\.0\.1:\d+"), "ADDRESS"),
    (re.compile(r" +"), " "),
)
"""What two servers cannot have in common: ids, times to the millisecond, ports; and columns as wide as those."""


class Ran(NamedTuple):
    """How a program has ended."""

    code: int
    out: str
    err: str


class Server:
    """One of the two: its address, and what `amtool` says of it."""

    def __init__(self, port: int, folder: Path) -> None:
        self.url, self.folder = f"http://127.0.0.1:{port}", folder
        folder.mkdir(exist_ok=True)
        self.ids: list[str] = []
        """Of the silences that were made, in order."""

    async def amtool(self, program: str, *arguments: str) -> Ran:
        """Run `amtool` against it; ``{0}`` in an argument is the id of the first silence, ``{folder}`` its folder."""
        given = [text.format(*self.ids, folder=self.folder) if "{" in text else text for text in arguments]
        command = await asyncio.create_subprocess_exec(
            program, f"--alertmanager.url={self.url}", *given,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={"HOME": str(self.folder), "USER": "li", "TZ": "UTC", "PATH": ""},
        )  # fmt: skip
        out, err = await asyncio.wait_for(command.communicate(), PATIENCE_S)
        assert command.returncode is not None
        if "add" in arguments and "silence" in arguments and command.returncode == 0:
            self.ids.append(out.decode().strip())
        return Ran(command.returncode, out.decode(), err.decode())

    async def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Status and JSON of an answer (text where it is none, None where it is empty)."""
        async with httpx2.AsyncClient(base_url=self.url, timeout=PATIENCE_S) as client:
            content = body.encode() if isinstance(body, str) else json.dumps(body).encode() if body is not None else b""
            headers = {"Content-Type": "application/json"} if body is not None else {}
            answer = await client.request(method, path, content=content, headers=headers)
        try:
            return answer.status_code, answer.json() if answer.content else None
        except ValueError:
            return answer.status_code, answer.text


class Pair:
    """Both, running. `async with Pair(folder, program) as pair`, the program being an Alertmanager's."""

    def __init__(self, folder: Path, program: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "alertmanager.yml"
        config.write_text(CONFIG)
        port = free_port()
        listen = (f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=", "--log.level=error")
        options = (f"--config.file={config}", f"--storage.path={folder / 'data'}", *listen)
        self._process = Process("alertmanager", (program, *options), folder / "alertmanager.log")
        self._tocsin = Tocsin(folder / "tocsin", options=("--alertmanager-config", str(config)), sources={})
        self.real, self.ours = Server(port, folder / "real"), Server(self._tocsin.port, folder / "ours")

    async def __aenter__(self) -> Self:
        self._process.start()
        try:
            await self._tocsin.start()
            await self._process.answers(self._is_ready)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._process.stop()
        await self._tocsin.__aexit__()

    async def _is_ready(self) -> bool:
        try:
            return (await self.real.ask("GET", "/-/ready"))[0] == 200
        except httpx2.TransportError:
            return False

    async def amtool(self, program: str, *arguments: str) -> tuple[Ran, Ran]:
        """What each answers, masked: that of Alertmanager first."""
        real = await self.real.amtool(program, *arguments)
        ours = await self.ours.amtool(program, *arguments)
        return masked_run(real), masked_run(ours)


def masked_run(ran: Ran) -> Ran:
    """The same without what cannot be equal."""
    return Ran(ran.code, masked(ran.out), masked(ran.err))


def masked(text: str) -> str:
    """A text without what cannot be equal; JSON in one order of keys."""
    with suppress(ValueError):
        text = json.dumps(json.loads(text), sort_keys=True, indent=1, ensure_ascii=False)
    for pattern, instead in MASKS:
        text = pattern.sub(instead, text)
    return text


def masked_json(content: Any) -> Any:
    """The same of an answer's JSON."""
    if isinstance(content, str):
        return masked(content)
    if isinstance(content, list | tuple):
        return [masked_json(one) for one in content]
    if isinstance(content, Mapping):
        return {key: masked_json(value) for key, value in content.items()}
    return content
