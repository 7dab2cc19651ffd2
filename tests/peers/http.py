"""An HTTP endpoint that does as it is told; the plain form of every webhook-like vendor."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Literal, Self

from aiohttp import web

Mode = Literal["ok", "refuse", "throttle", "429", "500", "404", "redirect", "slow", "cut", "hang", "html"]
"""cut: the body is read, then the connection drops unanswered. hang: it is read and never answered."""


class HttpPeer:
    """`async with HttpPeer() as peer:` listens on a free port of 127.0.0.1 (`peer.url`).

    `script` holds what to do with the next requests, then `mode` applies. `bodies` has every body that was read,
    `messages` those that were taken (or might have been: cut and hang); `callers` the far end of each request.
    """

    def __init__(self, mode: Mode = "ok", *, port: int = 0, slow_s: float = 0.3, retry_after: str = "7") -> None:
        self.mode, self.port, self.slow_s, self.retry_after = mode, port, slow_s, retry_after
        self.script: deque[Mode] = deque()
        self.bodies: list[bytes] = []
        self.messages: list[Any] = []
        self.callers: list[tuple[str, int]] = []
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where it listens, without a path."""
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        aside = self.aside(request, await request.read())
        if aside is not None:
            return aside
        raw = self.content(request, await request.read())
        self.bodies.append(raw)
        self.callers.append(request.get_extra_info("peername"))
        mode = self.script.popleft() if self.script else self.mode
        match mode:
            case "429":
                return web.Response(status=429, headers={"Retry-After": self.retry_after})
            case "500":
                return web.Response(status=500, text="internal error")
            case "404":
                return web.Response(status=404)
            case "redirect":
                return web.Response(status=302, headers={"Location": f"{self.url}/elsewhere"})
            case "html":
                return web.Response(text="<html>Sign in</html>", content_type="text/html")
            case "cut" | "hang":
                self.take(raw)
                if mode == "hang":
                    await asyncio.sleep(3600)
                assert request.transport is not None
                request.transport.abort()
            case "slow":
                await asyncio.sleep(self.slow_s)
        return self.answer(request, raw, mode)

    def aside(self, request: web.Request, raw: bytes) -> web.Response | None:
        """The answer to a request that is no message (for a token, for receipts): modes and scripts pass it by."""
        if request.method != "POST":
            return web.Response(status=405)
        return None

    def content(self, request: web.Request, raw: bytes) -> bytes:
        """What of a request is the message: its body, or what stands in its query."""
        return raw

    def take(self, raw: bytes) -> None:
        """Keep a message that was accepted."""
        self.messages.append(raw)

    def answer(self, request: web.Request, raw: bytes, mode: Mode) -> web.Response:
        """What a plain endpoint says to a request that reached it."""
        if mode in ("refuse", "throttle"):
            raise ValueError(f"a plain HTTP endpoint has no mode {mode!r}")
        if mode not in ("cut", "hang"):
            self.take(raw)
        return web.Response(text="ok")
