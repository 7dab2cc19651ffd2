"""Receivers of Alertmanager's webhooks: programs that keep what they are told."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any, NamedTuple, Self

from aiohttp import web

from tests.servers.process import eventually


class Taken(NamedTuple):
    """One message as a receiver got it."""

    authorization: str
    body: dict[str, Any]


class Receivers:
    """Takes messages; the path names the receiver."""

    def __init__(self) -> None:
        self.port = 0
        self.taken: dict[str, list[Taken]] = defaultdict(list)
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/{receiver}", self._take)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        raw = await request.read()
        assert request.headers["User-Agent"].startswith("Alertmanager/")
        assert raw.endswith(b"}\n")
        taken = Taken(request.headers.get("Authorization", ""), json.loads(raw))
        self.taken[request.match_info["receiver"]].append(taken)
        return web.Response()

    async def have(self, receiver: str, number: int) -> list[Taken]:
        """The messages to a receiver, once there are so many; more than wanted is wrong."""

        async def look() -> bool:
            return len(self.taken[receiver]) >= number

        await eventually(look, f"{number} messages to {receiver}")
        return self.taken[receiver]
