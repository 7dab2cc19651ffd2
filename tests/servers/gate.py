"""A gate before any TCP server: open, shut (connections are cut, none gets through), or frozen (nothing moves)."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Self

from tests.servers import free_port

CHUNK = 65_536


class Gate:
    """`async with Gate() as gate:` listens on `gate.port`; `gate.to` is where it leads."""

    def __init__(self) -> None:
        self.port, self.to = free_port(), 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._moving = asyncio.Event()
        self._moving.set()
        self._shut = False

    async def __aenter__(self) -> Self:
        self._listening = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listening.close()
        self._cut()

    def shut(self) -> None:
        """Cut everybody off."""
        self._shut = True
        self._cut()

    def freeze(self) -> None:
        """Keep connections, and let nothing through: a network that swallows packets."""
        self._moving.clear()

    def open(self) -> None:
        """Let everybody through again."""
        self._shut = False
        self._moving.set()

    def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._shut:
            writer.transport.abort()
            return
        try:
            answers, server = await asyncio.open_connection("127.0.0.1", self.to)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, server}
        with suppress(OSError):
            await asyncio.gather(self._carry(reader, server), self._carry(answers, writer))
        self._writers -= {writer, server}
        writer.transport.abort()
        server.transport.abort()

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while chunk := await source.read(CHUNK):
            await self._moving.wait()
            target.write(chunk)
            await target.drain()
        target.close()
