"""An SMPP 3.4 gateway that does as it is told: takes, throttles, refuses, is slow, hangs or hangs up."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque
from functools import partial
from typing import Any, Literal, NamedTuple, Self

import smpp34

Mode = Literal["ok", "throttle", "full", "system", "refuse", "slow", "hang", "cut"]
STATUSES = {"throttle": smpp34.ESME_RTHROTTLED, "full": smpp34.ESME_RMSGQFUL, "system": smpp34.ESME_RSYSERR,
            "refuse": smpp34.ESME_RINVDSTADR}  # fmt: skip
"""What each mode answers with; hang and cut answer nothing."""


class Submitted(NamedTuple):
    """One short message as it came."""

    to: str
    sender: str
    coding: int
    raw: bytes

    @property
    def text(self) -> str:
        """Its words, if it is coded in UTF-16."""
        return self.raw.decode("utf-16-be")


class SmppPeer:
    """`async with SmppPeer() as peer:` listens on a free port of 127.0.0.1 (`peer.port`).

    `script` holds what to do with the next messages, then `mode` applies. `messages` has those that were taken, or
    might have been (cut and hang); `submits` counts all. A message over 140 bytes is refused as the standard says.
    """

    def __init__(self, mode: Mode = "ok", *, slow_s: float = 0.3) -> None:
        self.mode, self.slow_s, self.port = mode, slow_s, 0
        self.script: deque[Mode] = deque()
        self.messages: list[Submitted] = []
        self.submits = 0
        self._server: smpp34.Server | None = None
        self._answering: asyncio.Task[None] | None = None
        self._door: asyncio.Server | None = None
        self._open: list[asyncio.StreamWriter] = []
        self._unanswered: list[Any] = []

    async def __aenter__(self) -> Self:
        with contextlib.closing(socket.socket()) as free:
            free.bind(("127.0.0.1", 0))
            inner = free.getsockname()[1]
        self._server = smpp34.Server("127.0.0.1", inner, system_id="peer")
        await self._server.start()
        self._answering = asyncio.create_task(self._answer(self._server))
        self._door = await asyncio.start_server(partial(self._relay, inner), "127.0.0.1", self.port)
        self.port = self._door.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._answering is not None
        assert self._server is not None
        assert self._door is not None
        self._door.close()
        self._hang_up()
        self._answering.cancel()
        await asyncio.wait([self._answering])
        await self._server.stop()

    def _hang_up(self) -> None:
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()

    async def _relay(self, inner: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Stand before the gateway, so that a connection can be cut in the middle."""
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", inner)
        self._open += [writer, far_writer]
        with contextlib.suppress(OSError):
            await asyncio.gather(_pass_on(reader, far_writer), _pass_on(far_reader, writer))

    async def _answer(self, server: smpp34.Server) -> None:
        while True:
            event = await server.next()
            if isinstance(event, smpp34.SubmitSmEvent):
                await self._submitted(event)

    async def _submitted(self, event: smpp34.SubmitSmEvent) -> None:
        self.submits += 1
        mode = self.script.popleft() if self.script else self.mode
        raw = bytes(event.short_message)
        if len(raw) > 140:
            event.reject(smpp34.ESME_RINVMSGLEN)
            return
        if mode in STATUSES:
            event.reject(STATUSES[mode])
            return
        self.messages.append(Submitted(event.destination_addr, event.source_addr, event.data_coding, raw))
        if mode == "slow":
            await asyncio.sleep(self.slow_s)
        if mode == "cut":
            self._hang_up()
        if mode in ("hang", "cut"):
            self._unanswered.append(event)  # dropped, it would be answered with ESME_RSYSERR
        else:
            event.accept(f"S{len(self.messages)}")


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while some := await reader.read(4096):
        writer.write(some)
        await writer.drain()
    writer.close()
