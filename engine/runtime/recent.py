"""The newest events, kept in memory for the read models that follow: what was just written need not be read back."""

from __future__ import annotations

from collections.abc import Sequence

from engine.store import Store
from schemas.events import LoggedEvent

KEPT = 20_000
"""Events kept, a second or two of a storm; a read model further behind reads the store."""


class RecentLog:
    """The tail of one partition's log, in front of the store. One thread adds, any may read."""

    def __init__(self, store: Store, *, partition: int = 0, kept: int = KEPT) -> None:
        self._store, self._partition, self._kept = store, partition, kept
        self._tail: list[LoggedEvent] = []

    def add(self, committed: Sequence[LoggedEvent]) -> None:
        """These events follow what was added before, and are durable."""
        tail = self._tail
        if tail and committed[0].seq != tail[-1].seq + 1:
            tail = []
        if len(tail) > self._kept:
            tail = tail[-self._kept // 2 :]  # a new list: a reader may be in the middle of the old one
        tail.extend(committed)
        self._tail = tail

    def read(self, partition: int, after: int, limit: int) -> Sequence[LoggedEvent]:
        """At most `limit` events behind seq `after`, in order, from memory where it reaches."""
        tail = self._tail
        if tail and partition == self._partition:
            start = after + 1 - tail[0].seq
            if 0 <= start < len(tail):
                return tail[start : start + limit]
        return self._store.log(partition=partition, after=after, limit=limit)
