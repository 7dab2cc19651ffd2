"""A real `tocsin serve` in a process of its own, with its command line and its API."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

import httpx2
import msgspec
import yaml
from sqlalchemy import func, select

from engine.store import Store, partitions
from projections.projection import checkpoints
from tests.servers import free_port
from tests.servers.process import PATIENCE_S, Process, eventually

PASSWORD = "Correct-horse-9"
SOURCES = {
    "alertmanager": {"format": "alertmanager_webhook", "token": "am-token"},
    "prometheus": {"format": "alertmanager_v2", "token": "prom-token"},
    "script": {"format": "generic_json", "token": "script-token"},
}
COMMAND = (sys.executable, "-m", "engine.cli")


class Ran(NamedTuple):
    """How a command of the command line has ended."""

    code: int
    out: str
    err: str


class Tocsin:
    """One installation in `folder`. `async with Tocsin(folder, …) as tocsin:` starts it and waits until it is ready.

    `database` is a PostgreSQL URL, or None for SQLite in `folder`. The other sections are those of tocsin.yaml.
    """

    def __init__(
        self, folder: Path, database: str | None = None, *, options: Sequence[str] = (), **sections: Any
    ) -> None:
        """`options` are those of `tocsin serve`."""
        self.folder, self.port = folder, free_port()
        folder.mkdir(parents=True, exist_ok=True)
        self.database = database or f"sqlite:///{folder / 'tocsin.db'}"
        self.config = folder / "tocsin.yaml"
        store = {"url": self.database} | sections.pop("store", {})
        server = {"port": self.port} | sections.pop("server", {})
        settings = {"server": server, "store": store, "sources": SOURCES, "rules": {"language": "en"}}
        self.config.write_text(yaml.safe_dump(settings | sections), "utf-8")
        serve = (*COMMAND, "serve", "--config", str(self.config), *options)
        self.process = Process("tocsin serve", serve, folder / "tocsin.log")
        self.ready_s: list[float] = []
        self._token = ""

    @property
    def url(self) -> str:
        """Where its web server listens."""
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            self.process.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self.process.stop()

    async def start(self) -> float:
        """Start it and wait until it is ready; the seconds that took, which `ready_s` also keeps."""
        began_s = time.monotonic()
        self.process.start()
        async with httpx2.AsyncClient() as client:

            async def ready() -> bool:
                try:
                    return (await client.get(f"{self.url}/-/ready")).status_code == 200
                except httpx2.TransportError:
                    return False

            await self.process.answers(ready)
        self.ready_s.append(time.monotonic() - began_s)
        return self.ready_s[-1]

    def kill(self) -> None:
        """SIGKILL: the process has no chance to save anything."""
        self.process.kill()

    async def terminate(self) -> int:
        """SIGTERM; the exit code."""
        self.process.terminate()
        return await self.process.ended()

    async def cli(self, *arguments: str, stdin: str = "") -> Ran:
        """Run `tocsin …` on this installation's configuration, beside the server or without it."""
        command = await asyncio.create_subprocess_exec(
            *COMMAND, *arguments, "--config", str(self.config),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await asyncio.wait_for(command.communicate(stdin.encode()), 2 * PATIENCE_S)
        assert command.returncode is not None
        return Ran(command.returncode, out.decode(), err.decode())

    async def token(self) -> str:
        """The API token of an operator, made by the command line at the first call."""
        if not self._token:
            added = await self.cli("users", "add", "li", "--password-file", "-", stdin=PASSWORD + "\n")
            assert added.code == 0, added
            issued = await self.cli("users", "token", "li")
            assert issued.code == 0, issued
            self._token = issued.out.strip()
        return self._token

    async def api(self, path: str, command: Mapping[str, Any] | None = None, *, key: str = "") -> Any:
        """GET `/api/v1{path}`, or POST `command` there (with Idempotency-Key `key`); the JSON of a 200.

        What is read shows all that was answered before this call.
        """
        if command is None:
            await self.caught_up()
        headers = {"Authorization": f"Bearer {await self.token()}"} | ({"Idempotency-Key": key} if key else {})
        async with httpx2.AsyncClient(base_url=self.url, headers=headers, timeout=PATIENCE_S) as client:
            target = f"/api/v1{path}"
            answer = await (client.get(target) if command is None else client.post(target, json=dict(command)))
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    async def caught_up(self) -> None:
        """Wait until the read models show everything that is committed now: pages and API may be read then.

        Looks into the database itself, which must be there; a read model that was halted is waited for in vain.
        """
        await asyncio.to_thread(wait_for_read_models, self.database)

    async def send(self, source: str, body: bytes, **options: Any) -> httpx2.Response:
        """POST a body as the source of this name does, with its token."""
        headers = {"Authorization": f"Bearer {SOURCES[source]['token']}"} | options.pop("headers", {})
        path = "/api/v2/alerts" if source == "prometheus" else f"/hooks/{source}"
        async with httpx2.AsyncClient(base_url=self.url, timeout=PATIENCE_S) as client:
            return await client.post(path, content=body, headers=headers, **options)

    @contextmanager
    def store(self) -> Iterator[Store]:
        """Its journal and log, for reading only."""
        store = Store.open(self.database, read_only=True)
        try:
            yield store
        finally:
            store.close()

    async def incident(self, **wanted: Any) -> dict[str, Any]:
        """The only incident there is, once its fields have the wanted values."""

        async def look() -> dict[str, Any] | None:
            found = (await self.api("/incidents?state=all"))["incidents"]
            assert len(found) <= 1, found
            fits = found and all(found[0][name] == value for name, value in wanted.items())
            return found[0] if fits else None

        found = await eventually(look, f"an incident with {wanted}")
        assert found is not None
        return found


def wait_for_read_models(database: str) -> None:
    """Wait until the read models beside a running server show everything that is committed now."""
    until = time.monotonic() + PATIENCE_S
    wanted: dict[int, int] | None = None
    column = checkpoints.c
    while True:
        with closing(Store.open(database, read_only=True)) as store:
            if wanted is None:
                wanted = {number: store.position(number).next_seq - 1 for number in partitions(store)}
            with store.engine.connect() as connection:
                query = select(column.partition, func.min(column.position)).group_by(column.partition)
                shown = {row[0]: row[1] for row in connection.execute(query)}
        if all(shown.get(number, -1) >= seq for number, seq in wanted.items()):
            return
        assert time.monotonic() < until, f"waited {PATIENCE_S:g} s for the read models to show {wanted}: {shown}"
        time.sleep(0.02)


def webhook(*alerts: Mapping[str, str], status: str = "firing", starts: str = "2026-01-05T04:00:00Z") -> bytes:
    """The body of Alertmanager's webhook, version 4, with alerts of these labels."""
    ends = "0001-01-01T00:00:00Z" if status == "firing" else "2026-01-05T04:30:00Z"
    items = [
        {"status": status, "labels": dict(labels), "annotations": {"summary": "it is bad"}, "startsAt": starts,
         "endsAt": ends, "generatorURL": "http://prometheus.example/graph", "fingerprint": ""}
        for labels in alerts
    ]  # fmt: skip
    return msgspec.json.encode({"version": "4", "groupKey": "{}", "status": status, "receiver": "t", "alerts": items})
