"""Given incidents over days, the trend counts them on the right ones."""

from __future__ import annotations

import pytest

from projections.trends import TrendProjection, daily
from schemas import events as e
from tests.events import HOUR_MS, MINUTE_MS, T0, EventLog, opened
from tests.unit.projections.conftest import Given

DAY, NEXT_DAY = "2025-10-09", "2025-10-10"


def test_one_day_sums_counts_and_times(given: Given) -> None:
    """Opened, answered after one minute, solved after three: one of each, with the times."""
    log = EventLog(
        opened(), e.IncidentAcknowledged("INC-1", "li"), e.IncidentAssigned("INC-1", "li"), e.IncidentResolved("INC-1")
    )
    (day,) = daily(given(TrendProjection(), log), DAY, DAY)
    assert (day.day, day.key, day.opened, day.acknowledged, day.resolved) == (DAY, "", 1, 1, 1)
    assert (day.ack_ms_sum, day.ack_count) == (MINUTE_MS, 1)
    assert (day.resolve_ms_sum, day.resolve_count) == (3 * MINUTE_MS, 1)


@pytest.mark.parametrize(("timezone", "day"), [("Asia/Shanghai", NEXT_DAY), ("UTC", DAY)])
def test_a_day_is_one_of_the_zone(given: Given, timezone: str, day: str) -> None:
    """16:30 UTC is past midnight in Shanghai."""
    log = EventLog()
    log.add(opened(), at_ms=T0 + 7 * HOUR_MS + 40 * MINUTE_MS)
    assert [(row.day, row.opened) for row in daily(given(TrendProjection(timezone), log), DAY, NEXT_DAY)] == [(day, 1)]


def test_another_zone_is_another_version() -> None:
    """Days of one zone cannot be added to days of another: the projection has to be rebuilt."""
    assert TrendProjection("UTC").version != TrendProjection("Asia/Shanghai").version
    assert TrendProjection("UTC").version == TrendProjection("UTC").version


def test_nothing_is_counted_twice_until_it_is_reopened(given: Given) -> None:
    """A second answer and a late solution add nothing; after a reopening both count anew, from then on."""
    log = EventLog(
        opened(),
        e.IncidentAcknowledged("INC-1", "li"),
        e.IncidentAcknowledged("INC-1", "wu"),
        e.IncidentResolved("INC-1", automatic=True),
        e.IncidentResolved("INC-1", solution="restarted"),
        e.IncidentReopened("INC-1", "again"),
        e.IncidentAcknowledged("INC-1", "li"),
        e.IncidentMarkedFalseAlarm("INC-1", "drill"),
    )
    (day,) = daily(given(TrendProjection(), log), DAY, DAY)
    assert (day.opened, day.acknowledged, day.resolved, day.reopened, day.false_alarms) == (1, 2, 1, 1, 1)
    assert day.ack_ms_sum == MINUTE_MS + MINUTE_MS
    assert day.resolve_ms_sum == 3 * MINUTE_MS


def test_a_day_can_be_split(given: Given) -> None:
    """By service, severity or priority, as it stood at that moment; the parts add up to the whole."""
    log = EventLog(
        opened("INC-1", service="payments"),
        opened("INC-2", service="orders", severity="warning", priority="P3"),
        e.IncidentRaised("INC-2", "critical", 1, 1, "P1", "20 alerts"),
        e.IncidentResolved("INC-2"),
    )
    conn = given(TrendProjection(), log)
    by_service = [(part.key, part.opened, part.resolved) for part in daily(conn, DAY, DAY, by="service")]
    assert by_service == [("orders", 1, 1), ("payments", 1, 0)]
    by_priority = [(part.key, part.opened, part.resolved) for part in daily(conn, DAY, DAY, by="priority")]
    assert by_priority == [("P1", 1, 1), ("P3", 1, 0)]
    assert [part.key for part in daily(conn, DAY, DAY, by="severity")] == ["critical", "warning"]
    assert [(whole.opened, whole.resolved) for whole in daily(conn, DAY, DAY)] == [(2, 1)]


def test_only_the_days_asked_for(given: Given) -> None:
    """First and last day are included, others are not."""
    log = EventLog()
    for day in range(4):
        log.add(opened(f"INC-{day}"), at_ms=T0 + day * 24 * HOUR_MS)
    found = daily(given(TrendProjection(), log), "2025-10-10", "2025-10-11")
    assert [row.day for row in found] == ["2025-10-10", "2025-10-11"]
