"""The clock that stamps records: UTC milliseconds that never go back, and never stand still."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """Wall-clock time. Where the machine's clock is behind what was already given out, it goes on at half pace.

    It thus never goes back, retries and deadlines do not wait until a clock that was set back has caught up, and what
    it is ahead of the machine's clock shrinks.
    """

    def __init__(
        self, wall_ns: Callable[[], int] = time.time_ns, steady_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        """`wall_ns` may be set by anybody, `steady_ns` by nobody."""
        self._wall_ns, self._steady_ns = wall_ns, steady_ns
        self._latest_ms = 0
        self._ahead: tuple[int, int] | None = None
        """While ahead of the machine: the time, and the steady clock, when that was found."""

    def now_ms(self) -> int:
        """UTC milliseconds since the epoch; never less than before."""
        wall_ms = self._wall_ns() // 1_000_000
        if wall_ms >= self._latest_ms:
            self._latest_ms, self._ahead = wall_ms, None
            return wall_ms
        if self._ahead is None:
            self._ahead = (self._latest_ms, self._steady_ns())
        since_ms, since_steady_ns = self._ahead
        self._latest_ms = since_ms + (self._steady_ns() - since_steady_ns) // 2_000_000
        return self._latest_ms

    def not_before(self, at_ms: int) -> None:
        """Never give out a time before `at_ms`: the latest record of the journal, after a restart."""
        if at_ms > self._latest_ms:
            self._latest_ms, self._ahead = at_ms, None
