"""Timers of the core: what falls due when. Facts of the state, never of the machine's clock."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Literal

Kind = Literal[
    "expire",
    "forget",
    "recheck",
    "sla",
    "outage",
    "retry",
    "rollup",
    "silence",
    "window",
    "release",
    "calm",
    "storm",
    "group",
    "retire",
    "probe",
    "deadline",
    "escalate",
    "oncall",
]
Timer = tuple[int, Kind, str]
"""Due time (UTC milliseconds), what for, and for whom."""


class Timers:
    """A heap of timers. There is no cancelling: whoever is woken looks whether it still matters."""

    def __init__(self, pending: list[Timer] | None = None) -> None:
        self._heap = pending or []
        heapq.heapify(self._heap)

    def set(self, due_ms: int, kind: Kind, key: str) -> None:
        """Wake `key` for `kind` at `due_ms`."""
        heapq.heappush(self._heap, (due_ms, kind, key))

    def next_due_ms(self) -> int | None:
        """When the earliest timer is due, or None."""
        return self._heap[0][0] if self._heap else None

    def due(self, now_ms: int) -> Iterator[Timer]:
        """Take out, earliest first, each timer due by `now_ms`, those set meanwhile included."""
        while self._heap and self._heap[0][0] <= now_ms:
            yield heapq.heappop(self._heap)

    def pending(self) -> list[Timer]:
        """All timers, in due order: what a snapshot keeps."""
        return sorted(self._heap)
