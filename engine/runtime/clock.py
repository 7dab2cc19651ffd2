"""The clock that stamps records: UTC milliseconds that never go back."""

from __future__ import annotations

import time


class Clock:
    """Wall-clock time, held still while the machine's clock is behind what was already given out."""

    def __init__(self) -> None:
        self._latest_ms = 0

    def now_ms(self) -> int:
        """UTC milliseconds since the epoch; never less than before."""
        self._latest_ms = max(self._latest_ms, time.time_ns() // 1_000_000)
        return self._latest_ms

    def not_before(self, at_ms: int) -> None:
        """Never give out a time before `at_ms`: the latest record of the journal, after a restart."""
        self._latest_ms = max(self._latest_ms, at_ms)
