"""Given a log, the timeline of an incident holds everything that concerns it, and nothing else."""

from __future__ import annotations

import pytest

from projections.timeline import TimelineProjection, timeline
from schemas import events as e
from tests.events import T0, EventLog, opened, requested, whole_life
from tests.unit.projections.conftest import Given


def test_all_that_concerns_an_incident_is_there_in_order(given: Given) -> None:
    """Its own events, its clocks and its deliveries; not the roll-up between them."""
    log = EventLog(*whole_life("INC-1"))
    entries = timeline(given(TimelineProjection(), log), "INC-1")
    expected = [logged for logged in log.events if not isinstance(logged.event.data, e.IntakeRolledUp)]
    assert [(entry.event_id, entry.type) for entry in entries] == [(logged.id, logged.type) for logged in expected]
    assert (entries[0].actor, entries[0].at_ms) == ("user:li", T0)
    assert [e.decode_data(entry.data) for entry in entries] == [logged.event.data for logged in expected]


def test_accident_proposals_and_breaches_are_on_it(given: Given) -> None:
    """What costs points stands on the timeline."""
    log = EventLog(
        opened(),
        e.SlaClockBreached("INC-1", "response", 600, T0),
        e.AccidentProposed("INC-1", "ordinary", "一般.1", 15, "business", 8, T0),
    )
    assert [entry.type for entry in timeline(given(TimelineProjection(), log), "INC-1")] == [
        "incident_opened",
        "sla_clock_breached",
        "accident_proposed",
    ]


def test_incidents_and_their_deliveries_are_kept_apart(given: Given) -> None:
    """A delivery's steps stand with the incident it tells of, a test message's with none."""
    log = EventLog(
        opened("INC-1"),
        opened("INC-2"),
        requested("D-2", "INC-2"),
        requested("T-1", "", kind="test"),
        e.DeliveryStarted("D-2", "mail", 1),
        e.DeliverySucceeded("T-1", "mail", 1),
        e.DeliveryFailed("D-2", 1, "refused"),
    )
    conn = given(TimelineProjection(), log)
    assert [entry.seq for entry in timeline(conn, "INC-1")] == [0]
    assert [entry.seq for entry in timeline(conn, "INC-2")] == [1, 2, 4, 6]
    assert timeline(conn, "") == []


def test_a_delivery_without_a_beginning_is_a_bad_event(given: Given) -> None:
    """A step of a delivery that nobody requested cannot be placed."""
    with pytest.raises(LookupError, match="D-9 has no beginning"):
        given(TimelineProjection(), EventLog(e.DeliveryStarted("D-9", "mail", 1)))
