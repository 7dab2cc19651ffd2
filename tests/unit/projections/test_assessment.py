"""Given outages past the lines of annex 3, the deductions are proposed with their evidence."""

from __future__ import annotations

from projections.assessment import AssessmentProjection, proposals, proposed_deduction
from schemas import events as e
from tests.events import HOUR_MS, T0, EventLog, alert, opened
from tests.unit.projections.conftest import Given

LINES: dict[e.AccidentLevel, tuple[str, int, int]] = {
    "ordinary": ("一般.1", 15, 8),
    "major": ("重大.1", 30, 24),
    "extraordinary": ("特大.1", 100, 48),
}


def accident(incident: str, level: e.AccidentLevel) -> e.AccidentProposed:
    """A proposal as the core makes it."""
    criterion, points, hours = LINES[level]
    return e.AccidentProposed(incident, level, criterion, points, "business", hours, T0)


def test_the_evidence_is_the_opening_the_end_and_the_proposal(given: Given) -> None:
    """Each proposal names the events that it rests on, even those that came after it."""
    burning = alert()
    log = EventLog(
        opened("INC-1", burning, outage="business"),
        accident("INC-1", "ordinary"),
        e.AlertsResolved("INC-1", [burning.fingerprint], "sender"),
        e.IncidentResolved("INC-1", automatic=True),
    )
    (proposal,) = proposals(given(AssessmentProjection(), log), T0, T0 + HOUR_MS)
    assert proposal.evidence == ("0-0-0", "0-2-0", "0-3-0", "0-1-0")
    assert (proposal.level, proposal.criterion, proposal.points) == ("ordinary", "一般.1", 15)


def test_an_outage_that_lasts_has_only_its_opening(given: Given) -> None:
    """Without an end there is no event of it."""
    log = EventLog(opened("INC-1"), accident("INC-1", "ordinary"))
    (proposal,) = proposals(given(AssessmentProjection(), log), 0, 2 * T0)
    assert proposal.evidence == ("0-0-0", "0-1-0")


def test_an_incident_counts_once_with_its_highest_level(given: Given) -> None:
    """An outage that passes 8 and then 24 hours costs 30, not 45; a lower line afterwards changes nothing."""
    log = EventLog(
        opened("INC-1"), accident("INC-1", "ordinary"), accident("INC-1", "major"), accident("INC-1", "ordinary")
    )
    deduction = proposed_deduction(given(AssessmentProjection(), log), 0, 2 * T0)
    assert (deduction.points, [line.proposal.level for line in deduction.lines]) == (30, ["major"])
    assert deduction.lines[0].proposal.event_id == "0-2-0"


def test_the_extraordinary_counts_once_a_period_and_each_other_adds(given: Given) -> None:
    """Two 特大, a 重大 and two 一般: 100 + 30 + 15 + 15."""
    levels: list[e.AccidentLevel] = ["extraordinary", "major", "ordinary", "extraordinary", "ordinary"]
    log = EventLog()
    for number, level in enumerate(levels):
        log.add(opened(f"INC-{number}"))
        log.add(accident(f"INC-{number}", level))
    deduction = proposed_deduction(given(AssessmentProjection(), log), 0, 2 * T0)
    assert [line.points for line in deduction.lines] == [100, 30, 15, 0, 15]
    assert deduction.points == 160


def test_a_period_takes_what_was_proposed_in_it(given: Given) -> None:
    """The beginning of a period belongs to it, its end does not."""
    log = EventLog(opened("INC-1"))
    log.add(accident("INC-1", "ordinary"), at_ms=T0 + HOUR_MS)
    conn = given(AssessmentProjection(), log)
    assert len(proposals(conn, T0 + HOUR_MS, T0 + HOUR_MS + 1)) == 1
    assert proposals(conn, T0, T0 + HOUR_MS) == []
    assert proposed_deduction(conn, T0, T0 + HOUR_MS).points == 0
