"""Given the events of incidents, the tickets show how each stands."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given as property_over
from hypothesis import settings
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, select, text
from sqlalchemy.pool import StaticPool

from projections import create_tables
from projections.ticket_tables import alerts_table
from projections.tickets import (
    TicketProjection,
    TicketRow,
    count_tickets,
    get_ticket,
    list_tickets,
    ticket_alerts,
)
from schemas import events as e
from tests.events import MINUTE_MS, T0, EventLog, alert, opened, whole_life
from tests.unit.projections.conftest import Given


def ticket_after(given: Given, *data: e.EventData) -> TicketRow:
    """INC-1 after these events."""
    ticket = get_ticket(given(TicketProjection(), EventLog(*data)), "INC-1")
    assert ticket is not None
    return ticket


@pytest.mark.parametrize(
    ("happened", "state"),
    [
        ([], "triggered"),
        ([e.IncidentAcknowledged("INC-1", "li")], "acknowledged"),
        ([e.IncidentAssigned("INC-1", "li")], "assigned"),
        ([e.IncidentAssigned("INC-1", "li"), e.IncidentAcknowledged("INC-1", "li")], "assigned"),
        ([e.DiagnosisStarted("INC-1", "li")], "diagnosing"),
        ([e.DiagnosisStarted("INC-1", "li"), e.IncidentAssigned("INC-1", "wu")], "diagnosing"),
        ([e.IncidentMitigated("INC-1")], "mitigated"),
        ([e.IncidentMitigated("INC-1"), e.IncidentAssigned("INC-1", "wu")], "mitigated"),
        ([e.IncidentResolved("INC-1")], "resolved"),
        ([e.ReviewStarted("INC-1", "li")], "in_review"),
        ([e.ReviewStarted("INC-1", "li"), e.IncidentResolved("INC-1", solution="x")], "in_review"),
        ([e.IncidentClosed("INC-1")], "closed"),
        ([e.IncidentReopened("INC-1", "again")], "triggered"),
        ([e.IncidentMerged("INC-1", "INC-2")], "merged"),
        ([e.IncidentMarkedFalseAlarm("INC-1", "drill")], "false_alarm"),
    ],
)
def test_the_state_follows_from_the_events(given: Given, happened: list[e.EventData], state: str) -> None:
    """Each event leads to its state; a late assignment or acknowledgement leads back to none."""
    assert ticket_after(given, opened(), *happened).state == state


def test_a_whole_life_leaves_its_times_people_and_solution(given: Given) -> None:
    """A closed ticket tells who did what when, and how it was solved."""
    ticket = ticket_after(given, *whole_life())
    assert (ticket.state, ticket.assignee, ticket.acknowledged_by) == ("closed", "wang", "user:li")
    assert (ticket.solution, ticket.cause_code) == ("freed space", "capacity")
    assert (ticket.alert_count, ticket.firing_count) == (2, 0)
    minutes = [ticket.opened_ms, ticket.acknowledged_ms, ticket.assigned_ms, ticket.resolved_ms, ticket.closed_ms]
    assert minutes == [T0 + minute * MINUTE_MS for minute in (0, 8, 10, 14, 18)]


def test_a_reopened_ticket_waits_for_notice_again(given: Given) -> None:
    """Reopening clears acknowledgement, resolution and closing, and keeps the assignee and the solution."""
    ticket = ticket_after(given, *whole_life(), e.IncidentReopened("INC-1", "again"))
    assert (ticket.acknowledged_ms, ticket.resolved_ms, ticket.closed_ms) == (None, None, None)
    assert (ticket.acknowledged_by, ticket.reopen_count) == ("", 1)
    assert (ticket.assignee, ticket.solution) == ("wang", "freed space")


def test_a_late_solution_does_not_move_the_resolution(given: Given) -> None:
    """A person who adds the solution to a healed incident does not make it resolved later."""
    ticket = ticket_after(
        given, opened(), e.IncidentResolved("INC-1", automatic=True), e.IncidentResolved("INC-1", solution="restarted")
    )
    assert (ticket.resolved_ms, ticket.solution) == (T0 + MINUTE_MS, "restarted")


def test_the_same_alert_is_counted_once_however_often_it_fires(given: Given) -> None:
    """An alert that heals and fires again is one alert; a strange fingerprint that heals counts for nothing."""
    one, two = alert("A"), alert("B")
    log = EventLog(
        opened("INC-1", one),
        e.AlertsAttached("INC-1", [two, one]),
        e.AlertsResolved("INC-1", [one.fingerprint, "0000000000000000"], "sender"),
        e.AlertsResolved("INC-1", [one.fingerprint], "timeout"),
        e.AlertsAttached("INC-1", [one]),
        e.AlertsResolved("INC-1", [two.fingerprint], "sender"),
    )
    conn = given(TicketProjection(), log)
    ticket = get_ticket(conn, "INC-1")
    assert ticket is not None
    assert (ticket.alert_count, ticket.firing_count) == (2, 1)
    first, second = ticket_alerts(conn, "INC-1", 10)
    assert (first.fingerprint, first.resolved_ms) == (one.fingerprint, None)
    assert (second.fingerprint, second.resolved_ms) == (two.fingerprint, T0 + 5 * MINUTE_MS)
    assert msgspec.json.decode(first.labels) == {"alertname": "A"}
    assert ticket_alerts(conn, "INC-1", 1) == [first]


def test_a_raised_incident_shows_its_new_priority(given: Given) -> None:
    """Severity, urgency, impact and priority are those of the last judgement."""
    ticket = ticket_after(given, opened(), e.IncidentRaised("INC-1", "major", 2, 1, "P2", "by hand"))
    assert (ticket.severity, ticket.urgency, ticket.impact, ticket.priority) == ("major", 2, 1, "P2")


@pytest.fixture
def three(given: Given) -> Connection:
    """Three tickets, a minute apart; the second is acknowledged and owned."""
    log = EventLog(
        opened("INC-1", title="50% of disk_1 used", service="payments"),
        opened("INC-2", title="50 disks-1 used", service="orders", priority="P3"),
        opened("INC-3", title="数据库 CPU 过高", service="orders"),
    )
    log.add(e.IncidentAssigned("INC-2", "wang"))
    return given(TicketProjection(), log)


def test_lists_show_the_newest_first_and_in_pages(three: Connection) -> None:
    """Limit and offset walk from the newest to the oldest."""
    assert [ticket.incident for ticket in list_tickets(three)] == ["INC-3", "INC-2", "INC-1"]
    assert [ticket.incident for ticket in list_tickets(three, limit=1, offset=1)] == ["INC-2"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"states": ["triggered"]}, {"INC-1", "INC-3"}),
        ({"states": [], "priorities": [], "service": "", "text": "", "assignee": ""}, {"INC-1", "INC-2", "INC-3"}),
        ({"priorities": ["P3", "P4"]}, {"INC-2"}),
        ({"service": "orders"}, {"INC-2", "INC-3"}),
        ({"assignee": "wang"}, {"INC-2"}),
        ({"text": "50%"}, {"INC-1"}),
        ({"text": "k_1"}, {"INC-1"}),
        ({"text": "cpu"}, {"INC-3"}),
        ({"text": "数据库"}, {"INC-3"}),
        ({"text": "PAYM"}, {"INC-1"}),
        ({"text": "inc-2"}, {"INC-2"}),
        ({"opened_after_ms": T0 + MINUTE_MS}, {"INC-2", "INC-3"}),
        ({"opened_before_ms": T0 + MINUTE_MS}, {"INC-1"}),
        ({"service": "orders", "states": ["assigned"], "text": "disk"}, {"INC-2"}),
    ],
)
def test_filters_find_what_they_name(three: Connection, wanted: dict[str, object], found: set[str]) -> None:
    """All conditions hold together, % and _ are plain characters, and the count agrees with the list."""
    assert {ticket.incident for ticket in list_tickets(three, **wanted)} == found  # type: ignore[arg-type]
    assert count_tickets(three, **wanted) == len(found)  # type: ignore[arg-type]


def test_the_list_and_its_filters_use_an_index(three: Connection) -> None:
    """SQLite plans the open list, the plain list and a service's list without sorting or scanning the whole table."""
    for where in ("", "WHERE state = 'triggered'", "WHERE service = 'orders'"):
        plan = three.execute(text(f"EXPLAIN QUERY PLAN SELECT * FROM tickets {where} ORDER BY opened_ms DESC LIMIT 50"))
        steps = " ".join(row[3] for row in plan)
        assert "USING INDEX" in steps
        assert "TEMP B-TREE" not in steps


def test_an_unknown_incident_has_no_ticket(three: Connection) -> None:
    """What does not exist is None, and has no alerts."""
    assert get_ticket(three, "INC-9") is None
    assert ticket_alerts(three, "INC-9", 5) == []


_ALERTS = [alert(name) for name in "ABCD"]
_some_alerts = st.lists(st.sampled_from(_ALERTS), max_size=4, unique_by=lambda one: one.fingerprint)
_life = st.lists(
    st.one_of(
        _some_alerts.map(lambda some: e.AlertsAttached("INC-1", some)),
        _some_alerts.map(lambda some: e.AlertsResolved("INC-1", [one.fingerprint for one in some], "sender")),
        _some_alerts.map(lambda some: e.IncidentReopened("INC-1", "again", some)),
        st.just(e.IncidentAcknowledged("INC-1", "li")),
        st.just(e.IncidentAssigned("INC-1", "li")),
        st.just(e.IncidentResolved("INC-1")),
        st.just(e.IncidentClosed("INC-1")),
    ),
    max_size=20,
)


@settings(max_examples=60, deadline=None)
@property_over(first=_some_alerts, life=_life, batch=st.integers(1, 6))
def test_the_counts_agree_with_the_alerts(first: list[e.AlertRef], life: list[e.EventData], batch: int) -> None:
    """Whatever happens, legal or not, in whatever batches, both counts are those of the alert rows."""
    log = EventLog(opened("INC-1", *first), *life)
    projection = TicketProjection()
    engine = create_engine("sqlite://", poolclass=StaticPool)
    create_tables(engine, [projection])
    with engine.begin() as tx:
        for start in range(0, len(log.events), batch):
            projection.apply_all(log.events[start : start + batch], tx)
        ticket, alerts = get_ticket(tx, "INC-1"), tx.execute(select(alerts_table)).all()
    engine.dispose()
    assert ticket is not None
    assert ticket.alert_count == len(alerts)
    assert ticket.firing_count == sum(one.resolved_ms is None for one in alerts) <= ticket.alert_count
    assert ticket.opened_ms <= ticket.updated_ms


def test_a_merge_moves_the_alerts(given: Given) -> None:
    """After a merge the other ticket answers for the alerts of both, and they heal there."""
    mine, shared = alert("Mine"), alert("Shared")
    log = EventLog(
        opened("INC-1", mine, shared),
        opened("INC-2", alert("Other"), shared),
        e.IncidentMerged("INC-1", "INC-2"),
        e.AlertsResolved("INC-2", [mine.fingerprint], "sender"),
    )
    conn = given(TicketProjection(), log)
    merged, into = get_ticket(conn, "INC-1"), get_ticket(conn, "INC-2")
    assert merged is not None
    assert into is not None
    assert (merged.state, merged.alert_count, merged.firing_count) == ("merged", 0, 0)
    assert (into.alert_count, into.firing_count) == (3, 2)
    assert [one.resolved_ms is None for one in ticket_alerts(conn, "INC-2")] == [True, True, False]
