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
        self._agreed = (0, steady_ns())
        """The latest time that was the machine's own, and the steady clock then."""

    def now_ms(self) -> int:
        """UTC milliseconds since the epoch; never less than before."""
        wall_ms, steady_ns = self._wall_ns() // 1_000_000, self._steady_ns()
        if wall_ms >= self._latest_ms:
            self._latest_ms, self._agreed = wall_ms, (wall_ms, steady_ns)
        else:
            since_ms, since_ns = self._agreed
            self._latest_ms = since_ms + (steady_ns - since_ns) // 2_000_000
        return self._latest_ms

    def not_before(self, at_ms: int) -> None:
        """Never give out a time before `at_ms`: the latest record of the journal, after a restart."""
        if at_ms > self._latest_ms:
            self._latest_ms, self._agreed = at_ms, (at_ms, self._steady_ns())
