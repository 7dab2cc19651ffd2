"""What goes wrong with machine and database, and when: drawn from the seed, a different mixture for each."""

from __future__ import annotations

from collections.abc import Callable

from schemas.errors import StoreUnavailable
from tests.simulation.world import Killed, World

KINDS = ("crash", "gone", "full", "ambiguous", "turn", "clock")
"""Crash at a step of the store; database gone; disk full; committed but reported as failed; crash between any two
callbacks of the loop; the host's clock is set."""

RATES: dict[tuple[str, str], tuple[tuple[str, float], ...]] = {
    ("append", "before"): (("crash", 0.012), ("gone", 0.012), ("full", 0.012)),
    ("append", "after"): (("crash", 0.012), ("ambiguous", 0.03)),
    ("snapshot", "before"): (("crash", 0.05), ("gone", 0.03), ("full", 0.03)),
    ("snapshot", "after"): (("crash", 0.05), ("ambiguous", 0.03)),
    ("projections", "before"): (("gone", 0.01), ("full", 0.01)),
    ("projections", "inside"): (("crash", 0.02), ("gone", 0.02)),
    ("projections", "after"): (("crash", 0.02), ("ambiguous", 0.02)),
    ("read", "before"): (("crash", 0.004), ("gone", 0.008)),
}
WRITES = frozenset({("append", "before"), ("snapshot", "before"), ("projections", "before")})


class Faults:
    """Strikes at the steps of one world's store, and between the steps of its loop."""

    def __init__(self, world: World, crash: Callable[[str], None]) -> None:
        self._world, self._crash = world, crash
        dice = world.dice
        self.kinds = frozenset(kind for kind in KINDS if dice.random() < 0.6)
        self._weight = dice.choice((0.5, 1.0, 2.0, 4.0))
        self._gone_until_s = self._full_until_s = 0.0
        self._turns_left = -1
        world.loop.before_turn = self._before_turn
        self._arm()

    def strike(self, operation: str, moment: str) -> None:
        """Raise what goes wrong at this step, if anything does."""
        world = self._world
        if world.now_s < self._gone_until_s:
            self._refuse("database gone", operation)
        if world.now_s < self._full_until_s and (operation, moment) in WRITES:
            self._refuse("disk full", operation)
        if world.calm:
            return
        for kind, rate in RATES.get((operation, moment), ()):
            if kind in self.kinds and world.chance(rate * self._weight):
                self._happen(kind, operation, moment)

    def _happen(self, kind: str, operation: str, moment: str) -> None:
        world = self._world
        if kind == "crash":
            world.saw(f"crash: {operation}, {moment}")
            self._crash(f"{moment} {operation}")
            raise Killed
        if kind == "ambiguous":
            world.saw(f"ambiguous commit: {operation}")
            world.disturb(f"the {operation} is committed and reported as failed")
            if world.chance(0.5):
                self._gone_until_s = world.now_s + world.about(5)
            raise StoreUnavailable("connection lost during commit")
        until_s = world.now_s + world.about(world.dice.choice((0.5, 5, 60)))
        if kind == "gone":
            self._gone_until_s = until_s
            self._refuse("database gone", operation)
        self._full_until_s = until_s
        self._refuse("disk full", operation)

    def _refuse(self, why: str, operation: str) -> None:
        self._world.saw(f"{why}: {operation}")
        self._world.disturb(f"{why}: {operation} refused")
        raise StoreUnavailable(why)

    def end(self) -> None:
        """From now on nothing goes wrong any more."""
        self._world.calm = True
        self._gone_until_s = self._full_until_s = 0.0
        self._turns_left = -1

    # --- between two callbacks of the loop ----------------------------------------------------------------------

    def _arm(self) -> None:
        if "turn" in self.kinds and not self._world.calm:
            self._turns_left = 40 + round(self._world.about(1500 / self._weight))

    def _before_turn(self) -> None:
        if self._turns_left > 0:
            self._turns_left -= 1
        elif self._turns_left == 0:
            self._turns_left = -1
            self._world.saw("crash: between two steps")
            self._crash("between two steps")
            self._arm()

    # --- the host's clock ---------------------------------------------------------------------------------------

    def set_clock(self) -> None:
        """Somebody sets the host's clock, forward or back."""
        world = self._world
        if "clock" not in self.kinds:
            return
        jump_s = world.dice.choice((1, -1)) * world.about(world.dice.choice((2, 300, 7200)))
        if world.skew_s > 600 and world.chance(0.7):
            jump_s = -world.skew_s
        world.skew_s += jump_s
        world.saw("clock set forward" if jump_s > 0 else "clock set back")
        world.disturb(f"the host's clock is set by {jump_s:+.1f} s")
