"""Is there a storm: do far more new alerts arrive than usual? The usual is learned, in whole numbers, so that every
machine learns the same.

`learn_one` counts an arrival; a count is compared with what it is for most such times (an exponentially weighted mean).
"""

from __future__ import annotations

from typing import Final

import msgspec

_SHARE: Final = 16
"""The mean moves a sixteenth of the way to each new count: it follows a change within about a quarter of an hour."""
_MILLI: Final = 1000
"""The mean is kept in thousandths."""
_MOST_EMPTY: Final = 200
"""After so many empty times in a row, (15/16)**200 of the mean is left: nothing."""


class Arrivals(msgspec.Struct):
    """Arrivals of one scope: those of the present time slot, and the usual number. Times are UTC milliseconds."""

    slot_ms: int
    """When the present slot began."""
    count: int = 0
    usual_milli: int = 0
    calm: int = 0
    """How many calm slots a storm has seen in a row."""

    @property
    def usual(self) -> float:
        """The usual number of arrivals in a slot."""
        return self.usual_milli / _MILLI

    def learn_many(self, number: int, at_ms: int, window_ms: int) -> None:
        """So many arrived just now."""
        self.turn(at_ms, window_ms)
        self.count += number

    def turn(self, at_ms: int, window_ms: int, *, stormy: bool = False, calm_below: int = 0) -> None:
        """Close the slots that are over. A storm teaches nothing about the usual, but its calm slots are counted."""
        closed = (at_ms - self.slot_ms) // window_ms
        if closed <= 0:
            return
        for place in range(min(closed, _MOST_EMPTY)):
            count = self.count if place == 0 else 0
            if not stormy:
                self.usual_milli += (count * _MILLI - self.usual_milli) // _SHARE
                self.usual_milli = max(0, self.usual_milli)
            else:
                self.calm = self.calm + 1 if count < calm_below else 0
        self.count = 0
        self.slot_ms += closed * window_ms


def line(usual_milli: int, least: int, factor: int) -> int:
    """So many arrivals in one slot are a storm.

    >>> line(3000, 100, 10), line(50_000, 100, 10)
    (100, 500)
    """
    return max(least, factor * usual_milli // _MILLI)
