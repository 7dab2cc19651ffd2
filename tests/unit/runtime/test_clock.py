"""The clock of the records, when somebody sets the machine's."""

from __future__ import annotations

from engine.runtime.clock import Clock


class Machine:
    """A wall clock that can be set, and a steady one that cannot."""

    def __init__(self) -> None:
        self.wall_ms, self.steady_ms = 1_000_000, 50
        self.clock = Clock(lambda: self.wall_ms * 1_000_000, lambda: self.steady_ms * 1_000_000)

    def wait(self, ms: int) -> int:
        """So much time passes; the clock afterwards."""
        self.wall_ms += ms
        self.steady_ms += ms
        return self.clock.now_ms()


def test_it_is_the_machines_clock() -> None:
    """As long as nobody sets it back, the machine's clock is what counts, also when it is set forward."""
    machine = Machine()
    assert machine.wait(0) == 1_000_000
    machine.wall_ms += 5_000
    assert machine.wait(10) == 1_005_010


def test_set_back_it_goes_on_at_half_pace_until_it_is_caught_up() -> None:
    """Deadlines do not wait until a clock that was set back is where it was; however often it is asked."""
    machine = Machine()
    machine.wait(0)
    machine.wall_ms -= 100
    assert [machine.wait(1) for _ in range(4)] == [1_000_000, 1_000_001, 1_000_001, 1_000_002]
    assert machine.wait(96) == 1_000_050
    assert machine.wait(100) == 1_000_100
    assert machine.wait(100) == 1_000_200


def test_after_a_restart_it_goes_on_behind_the_journal() -> None:
    """A journal from the future does not stop the clock either."""
    machine = Machine()
    machine.clock.not_before(2_000_000)
    assert machine.wait(1_000) == 2_000_500
    machine.clock.not_before(1_500_000)
    assert machine.wait(1_000) == 2_001_000
