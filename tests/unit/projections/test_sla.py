"""Given starts, stops and breaches, the clocks show which promises were kept."""

from __future__ import annotations

import pytest

from projections.sla import SlaProjection, breaches, clocks_of, running
from schemas import events as e
from tests.events import MINUTE_MS, T0, EventLog
from tests.unit.projections.conftest import Given


def started(clock: e.Clock, incident: str = "INC-1", due_ms: int = T0 + 10 * MINUTE_MS) -> e.SlaClockStarted:
    """A clock of ten minutes."""
    return e.SlaClockStarted(incident, clock, 600, due_ms)


def test_a_kept_promise_is_stopped_and_not_broken(given: Given) -> None:
    """A clock that is stopped in time has its elapsed time and no breach."""
    log = EventLog(started("response"), started("resolution"), e.SlaClockStopped("INC-1", "response", 120_000, False))
    conn = given(SlaProjection(), log)
    response, resolution = clocks_of(conn, "INC-1")
    assert (response.clock, response.stopped_ms, response.elapsed_ms) == ("response", T0 + 2 * MINUTE_MS, 120_000)
    assert (response.breached, response.breached_ms) == (False, None)
    assert running(conn) == [resolution]
    assert breaches(conn, 0, 2 * T0) == []


def test_a_broken_promise_counts_at_its_due_time_whenever_it_was_noted(given: Given) -> None:
    """A breach noted after the end of a period belongs to the period in which the time ran out."""
    due_ms = T0 + 10 * MINUTE_MS
    log = EventLog(started("response", due_ms=due_ms))
    log.add(e.SlaClockBreached("INC-1", "response", 600, due_ms), at_ms=due_ms + 5 * MINUTE_MS)
    log.add(e.SlaClockStopped("INC-1", "response", 1_000_000, True))
    conn = given(SlaProjection(), log)
    (broken,) = breaches(conn, due_ms, due_ms + 1)
    assert (broken.breached, broken.breached_ms) == (True, due_ms + 5 * MINUTE_MS)
    assert broken.stopped_ms == due_ms + 6 * MINUTE_MS
    assert breaches(conn, due_ms + 1, 2 * T0) == breaches(conn, 0, due_ms) == []


def test_a_late_stop_is_a_breach_without_a_tick(given: Given) -> None:
    """A stop that says it came too late is a breach, although none was logged before."""
    conn = given(SlaProjection(), EventLog(started("response"), e.SlaClockStopped("INC-1", "response", 900_000, True)))
    (broken,) = breaches(conn, 0, 2 * T0)
    assert broken.breached_ms == T0 + MINUTE_MS


def test_a_reopened_incident_runs_its_clocks_anew(given: Given) -> None:
    """The second run has its own row and leaves the first as it was, breach and all."""
    log = EventLog(
        started("resolution"),
        e.SlaClockBreached("INC-1", "resolution", 600, T0),
        e.SlaClockStopped("INC-1", "resolution", 700_000, True),
        started("resolution"),
    )
    conn = given(SlaProjection(), log)
    first, second = clocks_of(conn, "INC-1")
    assert (first.run, first.breached, first.elapsed_ms) == (1, True, 700_000)
    assert (second.run, second.breached, second.stopped_ms) == (2, False, None)
    assert running(conn) == [second]


def test_running_clocks_are_listed_by_their_due_time(given: Given) -> None:
    """What is due next stands first."""
    log = EventLog(started("response", "INC-1", T0 + 9), started("response", "INC-2", T0 + 5))
    assert [clock.incident for clock in running(given(SlaProjection(), log))] == ["INC-2", "INC-1"]


def test_a_clock_without_a_beginning_is_a_bad_event(given: Given) -> None:
    """The stop of a clock that never started cannot be placed."""
    with pytest.raises(LookupError, match="the response clock of INC-1 has no beginning"):
        given(SlaProjection(), EventLog(e.SlaClockStopped("INC-1", "response", 1, False)))
