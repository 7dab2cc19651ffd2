"""A TCP proxy before PostgreSQL that cuts connections in the very moment that a test names, and then heals."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Literal, Self

from tests.servers import free_port

Moment = Literal["transaction", "commit", "answer"]
"""Inside a statement of a transaction; half-way through the word COMMIT; after it, before the server's answer to it."""
CHUNK = 65_536
COMMIT = b"COMMIT\x00"
"""The end of the client's message, and of the server's answer."""
LOCKS = b"pg_try_advisory_lock"
"""What a connection says once that belongs to the writer of journal and log."""


class _Link:
    """One connection through the proxy, and where it is in its transaction."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client, self.server = client, server
        self.writes = False
        self.in_transaction = False
        self.statements = 0
        self.mute = False

    def cut(self) -> None:
        """To the client as a reset, to the server as an end."""
        self.client.transport.abort()
        self.server.transport.close()


class CuttingProxy:
    """Listens on a port of its own. `async with CuttingProxy(port) as proxy:`; while it is down nobody gets through."""

    def __init__(self, port: int) -> None:
        self.port = free_port()
        self._to = port
        self._links: set[_Link] = set()
        self._wanted: Moment | None = None
        self.is_down = False
        self.cuts: list[Moment] = []
        self._passing = asyncio.Event()
        self._passing.set()

    async def __aenter__(self) -> Self:
        self._listening = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listening.close()
        self._cut_all()

    def before(self, url: str) -> str:
        """The same database, reached through this proxy."""
        return url.replace(f":{self._to}/", f":{self.port}/")

    def cut_in(self, moment: Moment) -> None:
        """Cut the writer's connection when it comes to this moment, every other with it, and stay down."""
        self._wanted = moment

    def stall(self) -> None:
        """Keep every connection and take new ones, but pass nothing on from now on."""
        self._passing.clear()

    def heal(self) -> None:
        """Let everybody through again; what was stalled is cut."""
        self.is_down = False
        if not self._passing.is_set():
            self._cut_all()
            self._passing.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_down:
            writer.transport.abort()
            return
        answers, server = await asyncio.open_connection("127.0.0.1", self._to)
        link = _Link(writer, server)
        self._links.add(link)
        with suppress(ConnectionError):
            await asyncio.gather(self._ask(link, reader), self._answer(link, answers))
        self._links.discard(link)
        link.cut()

    async def _ask(self, link: _Link, reader: asyncio.StreamReader) -> None:
        while chunk := await reader.read(CHUNK):
            await self._passing.wait()
            upto = self._half(link, chunk)
            link.server.write(chunk[:upto])
            await link.server.drain()
            if upto < len(chunk):
                self._fall()
                return
        link.server.close()

    async def _answer(self, link: _Link, answers: asyncio.StreamReader) -> None:
        while chunk := await answers.read(CHUNK):
            await self._passing.wait()
            if link.mute and COMMIT in chunk:
                self._fall()
                return
            link.client.write(chunk)
            await link.client.drain()
        link.client.close()

    def _half(self, link: _Link, chunk: bytes) -> int:
        """How much of the chunk may pass: all of it, but for the moment in which to cut."""
        link.writes |= LOCKS in chunk
        ends = chunk.find(COMMIT)
        if b"BEGIN" in chunk:
            link.in_transaction, link.statements = True, 0
        elif link.in_transaction:
            link.statements += 1
        if ends >= 0:
            link.in_transaction = False
        if not link.writes or self._wanted is None:
            return len(chunk)
        if self._wanted == "transaction" and link.in_transaction and link.statements == 2:
            return len(chunk) // 2
        if self._wanted == "commit" and ends >= 0:
            return ends + len(COMMIT) // 2
        if self._wanted == "answer" and ends >= 0:
            link.mute = True
        return len(chunk)

    def _fall(self) -> None:
        assert self._wanted is not None
        self.cuts.append(self._wanted)
        self._wanted = None
        self.is_down = True
        self._cut_all()

    def _cut_all(self) -> None:
        for link in self._links:
            link.cut()
