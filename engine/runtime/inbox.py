"""What waits to be judged: bounded in records and in bytes, so that a storm costs a retry and not the memory."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress

import msgspec

from schemas import records as r
from schemas.errors import Overloaded
from schemas.ports import Outcome

MAX_BATCH = 256
"""Records judged and committed together at most; it bounds how long the loop is busy in one go."""
MAX_BATCH_BYTES = 8 * 1024 * 1024
"""Bytes of bodies in one batch at most, unless a single body is larger."""


class Waiting(msgspec.Struct):
    """One record, and whom to answer (None: nobody)."""

    record: r.Record
    answer: asyncio.Future[Outcome] | None

    @property
    def size(self) -> int:
        """Bytes that it keeps in memory, as far as they come from outside."""
        body = getattr(self.record, "body", b"")
        return len(body)


class Inbox:
    """First in, first out. One loop uses it."""

    def __init__(self, max_records: int, max_bytes: int) -> None:
        self._max_records, self._max_bytes = max_records, max_bytes
        self._waiting: deque[Waiting] = deque()
        self._bytes = 0
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, waiting: Waiting) -> None:
        """Let it wait. Raises Overloaded when too much waits already; one alone always may."""
        size = waiting.size
        too_many = len(self._waiting) >= self._max_records
        if too_many or (self._waiting and self._bytes + size > self._max_bytes):
            raise Overloaded
        self._waiting.append(waiting)
        self._bytes += size
        self._filled.set()

    async def filled(self, timeout_s: float | None) -> None:
        """Return when something waits, or after so long."""
        if not self._waiting:
            self._filled.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._filled.wait()

    def take(self, records: int = MAX_BATCH) -> list[Waiting]:
        """Take out the next batch: at most so many records, and of MAX_BATCH_BYTES."""
        batch: list[Waiting] = []
        taken = 0
        while self._waiting and len(batch) < records:
            size = self._waiting[0].size
            if batch and taken + size > MAX_BATCH_BYTES:
                break
            batch.append(self._waiting.popleft())
            taken += size
        self._bytes -= taken
        return batch

    def take_all(self) -> list[Waiting]:
        """Take out everything."""
        everything = list(self._waiting)
        self._waiting.clear()
        self._bytes = 0
        return everything
