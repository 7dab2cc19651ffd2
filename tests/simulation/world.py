"""The world that all parts of one history share: its dice, its time, its trace, and what was seen of it."""

from __future__ import annotations

import hashlib
from collections import Counter
from random import Random
from typing import Any, TypeVar

from tests.simulation.loop import VirtualLoop

T = TypeVar("T")

BEGINNING_S = 1_767_585_600
"""2026-01-05 04:00 UTC, Monday noon in China."""
SHOWN = 30
"""Lines of the trace that a failure shows."""


class Violated(Exception):
    """An invariant does not hold."""


class Killed(BaseException):
    """The process is gone. Not an Exception: no handler of the product may survive its own death."""


class World:
    """Dice, time, trace and coverage of one history."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.dice = Random(seed)
        self.loop = VirtualLoop()
        self.seen: Counter[str] = Counter()
        self.trace: list[str] = []
        self.violations: list[str] = []
        self.calm = False
        """No more faults: the end of a history, in which everything must come right."""
        self.skew_s = 0.0
        """How far the host's wall clock is off."""
        self.disturbed_s = 0.0
        """When anything last went wrong; deadlines are counted from there."""
        self.loop.set_exception_handler(lambda _, context: self._unexpected(context))

    def _unexpected(self, context: dict[str, Any]) -> None:
        """Something failed and nobody looked: only the death of a process may end like that."""
        failed = context.get("exception")
        self.demand(isinstance(failed, Killed), f"{context['message']}: {failed!r}")

    # --- time ---------------------------------------------------------------------------------------------------

    @property
    def now_s(self) -> float:
        """Seconds since the beginning, by a clock that nobody sets."""
        return self.loop.now_s

    def wall_ns(self) -> int:
        """The host's clock, as `time.time_ns` gives it."""
        return round((BEGINNING_S + self.now_s + self.skew_s) * 1e9)

    def true_ms(self) -> int:
        """The right time, as a well kept sender has it."""
        return round((BEGINNING_S + self.now_s) * 1000)

    def disturb(self, what: str) -> None:
        """Something went wrong now."""
        self.disturbed_s = max(self.disturbed_s, self.now_s)
        self.say(what)

    # --- dice ---------------------------------------------------------------------------------------------------

    def chance(self, probability: float) -> bool:
        """True so often."""
        return self.dice.random() < probability

    def about(self, mean_s: float) -> float:
        """A waiting time, mostly short, sometimes long."""
        return self.dice.expovariate(1 / mean_s)

    # --- what happened ------------------------------------------------------------------------------------------

    def say(self, line: str) -> None:
        """Write on the trace."""
        self.trace.append(f"{self.now_s:14.3f}  {line}")

    def saw(self, path: str) -> None:
        """A path was taken whose coverage is counted."""
        self.seen[path] += 1

    def demand(self, holds: bool, invariant: str) -> None:
        """Note a broken invariant; the history ends at its next step."""
        if not holds:
            self.violations.append(invariant)
            self.say(f"VIOLATED: {invariant}")

    def digest(self) -> str:
        """The whole trace as one hash."""
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()
