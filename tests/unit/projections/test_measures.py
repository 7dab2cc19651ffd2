"""Given incidents, the measures are those that one counts by hand, and any split adds up to the whole (R1.6, R1.9)."""

from __future__ import annotations

import itertools
import random
from functools import reduce
from operator import add

import pytest

from projections.measures import DIMENSIONS, MEASURES, Cell, Dimension, MeasureProjection, Sums, measured
from schemas import events as e
from schemas.tickets import ClassificationSuggested, IncidentClassified
from tests.events import HOUR_MS, MINUTE_MS, T0, EventLog, alert, opened
from tests.unit.projections.conftest import Given

DAY = "2025-10-09"


def whole(cells: list[Cell]) -> Sums:
    return reduce(add, (cell.sums for cell in cells), Sums())


def test_one_incident_through_its_life(given: Given) -> None:
    """Found after 2 min, answered after 1, solved after 3, back for 1 more: each measure by hand."""
    log = EventLog(
        opened("INC-1", alert(starts_ms=T0 - 2 * MINUTE_MS)),  # minute 0
        e.IncidentAcknowledged("INC-1", "li"),  # 1
        e.IncidentAcknowledged("INC-1", "wu"),
        e.IncidentResolved("INC-1"),  # 3
        e.IncidentReopened("INC-1", "again"),  # 4
        e.IncidentResolved("INC-1"),  # 5
        e.IncidentClosed("INC-1"),
    )
    (cell,) = measured(given(MeasureProjection(), log), DAY, DAY)
    minutes = {name: (cell.sums.measure(name) or 0) / MINUTE_MS for name in ("mttd", "mtta", "mttr")}
    assert minutes == {"mttd": 2, "mtta": 1, "mttr": 3 + 1}
    assert [cell.sums.measure(name) for name in ("closure_rate", "reopen_rate", "noise_ratio")] == [1, 1, 0]
    assert cell.sums.measure("response") is None  # no clock ran: nothing is claimed


def test_shares_of_four_incidents(given: Given) -> None:
    """One solved late, one solved in time, one false alarm that repeats another, one open: shares by hand."""
    log = EventLog(
        opened("INC-1"),
        opened("INC-2"),
        opened("INC-3", recurrence_of="INC-1"),
        opened("INC-4"),
        e.SlaClockBreached("INC-1", "resolution", 60, T0),
        e.SlaClockStopped("INC-1", "resolution", 90_000, True),
        e.IncidentResolved("INC-1"),
        e.SlaClockStopped("INC-2", "resolution", 30_000, False),
        e.IncidentResolved("INC-2"),
        e.IncidentMarkedFalseAlarm("INC-3", "drill"),
    )
    (cell,) = measured(given(MeasureProjection(), log), DAY, DAY)
    found = {name: cell.sums.measure(name) for name in ("closure_rate", "noise_ratio", "repeat_rate", "efficiency")}
    assert found == {"closure_rate": 0.75, "noise_ratio": 0.25, "repeat_rate": 0.25, "efficiency": 0.5}


def test_people_go_before_suggestions(given: Given) -> None:
    """A suggestion counts until a person says where the incident belongs, and later suggestions change nothing."""
    log = EventLog(
        opened("INC-1"),
        opened("INC-2"),
        ClassificationSuggested("INC-1", module="pay", organisation="East"),
        IncidentClassified("INC-1", module="orders"),
        ClassificationSuggested("INC-1", module="pay"),
        ClassificationSuggested("INC-2", module="pay"),
        e.IncidentAcknowledged("INC-2", "wu"),
        e.IncidentAssigned("INC-1", "li"),
    )
    cells = measured(given(MeasureProjection(), log), DAY, DAY, by=("module", "organisation", "person"))
    assert [cell.keys for cell in cells] == [("orders", "", "li"), ("pay", "", "wu")]


@pytest.mark.parametrize(("timezone", "key"), [("Asia/Shanghai", ("2025-10-10", "0")), ("UTC", ("2025-10-09", "16"))])
def test_hours_and_days_are_those_of_the_zone(given: Given, timezone: str, key: tuple[str, str]) -> None:
    """16:33 UTC is half past midnight in Shanghai."""
    log = EventLog()
    log.add(opened(), at_ms=T0 + 7 * HOUR_MS + 40 * MINUTE_MS)
    cells = measured(given(MeasureProjection(timezone), log), DAY, "2025-10-10", by=("day", "hour"))
    assert [cell.keys for cell in cells] == [key]


def test_every_pair_of_dimensions_adds_up(given: Given) -> None:
    """A year's worth of chance: each of the pairs, and each split of the period, has the sums of the whole."""
    dice, log = random.Random(7), EventLog()
    for number in range(300):
        at_ms, name = T0 + number * 5 * HOUR_MS, f"INC-{number}"
        log.add(opened(name, service=dice.choice("abc"), priority=dice.choice(("P1", "P2"))), at_ms=at_ms)
        log.add(IncidentClassified(name, dice.choice("xyz"), dice.choice("no")), at_ms=at_ms)
        log.add(e.IncidentAcknowledged(name, dice.choice(("li", "wu"))), at_ms=at_ms + dice.randrange(HOUR_MS))
        if dice.random() < 0.7:
            log.add(e.IncidentResolved(name), at_ms=at_ms + HOUR_MS + dice.randrange(HOUR_MS))
    conn = given(MeasureProjection(), log)
    total = whole(measured(conn, "2025-01-01", "2026-12-31"))
    assert total.opened == 300
    pairs: list[tuple[Dimension, Dimension]] = list(itertools.combinations(DIMENSIONS, 2))
    assert all(whole(measured(conn, "2025-01-01", "2026-12-31", by=pair)) == total for pair in pairs)
    for middle, after in (("2025-10-31", "2025-11-01"), ("2025-11-20", "2025-11-21")):
        parts = measured(conn, "2025-01-01", middle) + measured(conn, after, "2026-12-31")
        assert whole(parts) == total


def test_the_totals_are_those_of_the_log(given: Given) -> None:
    """What the read model says of a period is what one counts in the log itself."""
    log = EventLog(
        opened("INC-1"), opened("INC-2"), e.IncidentMerged("INC-2", "INC-1"), e.IncidentResolved("INC-1"),
        e.IncidentReopened("INC-1", "again"),
    )  # fmt: skip
    sums = whole(measured(given(MeasureProjection(), log), DAY, DAY))
    kinds = [type(at.event.data) for at in log.events]
    assert sums.opened == kinds.count(e.IncidentOpened) == 2
    assert (sums.merged, sums.reopened) == (kinds.count(e.IncidentMerged), kinds.count(e.IncidentReopened))
    assert (sums.over, sums.resolved, sums.ever_resolved) == (1, 0, 1)
    assert all((sums.measure(name) or 0) >= 0 for name in MEASURES)


def test_nothing_opened_is_nothing(given: Given) -> None:
    """A period without incidents has no cell, not one of zeros; applied twice, the same events change nothing."""
    log = EventLog(opened(), e.IncidentReopened("INC-1", "x"), e.IncidentResolved("INC-1"))
    conn = given(MeasureProjection(), log)
    assert measured(conn, "2020-01-01", "2020-12-31") == []
    before = measured(conn, DAY, DAY)
    MeasureProjection().apply_all(log.events, conn)
    assert measured(conn, DAY, DAY) == before
