"""The noise board: pages, how many helped, and the rule that would spare the rest; and how often rules were hit."""

from __future__ import annotations

import pytest

from engine.config import read_rules
from projections.noise import NoiseProjection, Noisy, board
from projections.rule_hits import RuleHitsProjection, hits
from schemas import events as e
from schemas.held import RulesHit
from tests.events import MINUTE_MS, T0, EventLog, alert, opened, requested
from tests.unit.projections.conftest import Given


def _episode(log: EventLog, number: int, name: str, *after: e.EventData, minutes: int = 3) -> None:
    """One incident of an alert that pages, and what follows; then it heals by itself."""
    incident = f"INC-{name}-{number}"
    at_ms = T0 + number * 60 * MINUTE_MS
    log.add(opened(incident, alert(name), service="shop"), at_ms=at_ms)
    log.add(requested(f"{incident}.1", incident), at_ms=at_ms)
    for each in after:
        log.add(each, at_ms=at_ms + MINUTE_MS)
    log.add(e.IncidentResolved(incident, automatic=True), at_ms=at_ms + minutes * MINUTE_MS, actor="system")


def _board(given: Given, log: EventLog) -> dict[str, Noisy]:
    return {one.alertname: one for one in board(given(NoiseProjection(), log), 0)}


def test_a_page_that_somebody_took_up_is_useful_and_a_false_alarm_is_not(given: Given) -> None:
    """Three pages, of which one was acknowledged and one was acknowledged and then called a false alarm."""
    log = EventLog()
    _episode(log, 1, "Disk", e.IncidentAcknowledged("INC-Disk-1", "user:li"))
    _episode(
        log, 2, "Disk", e.IncidentAcknowledged("INC-Disk-2", "user:li"), e.IncidentMarkedFalseAlarm("INC-Disk-2", "x")
    )
    _episode(log, 3, "Disk")
    one = _board(given, log)["Disk"]
    assert (one.pages, one.useful_pages, one.false_alarms, one.pages_per_useful) == (3, 1, 1, 3.0)


@pytest.mark.parametrize(
    ("minutes", "suggestion", "line"),
    [(3, "hold_back", "    for_s: 180"), (45, "noise", """      - 'alertname="Disk"'""")],
)
def test_the_mildest_rule_that_fits_is_suggested_and_can_be_taken(
    given: Given, minutes: int, suggestion: str, line: str
) -> None:
    """What heals within minutes is worth waiting for; what never helped anybody is noise. Both are valid rules."""
    log = EventLog()
    for number in range(1, 6):
        _episode(log, number, "Disk", minutes=minutes)
    one = _board(given, log)["Disk"]
    assert one.suggestion == suggestion
    assert line in one.rule.splitlines()
    assert read_rules(one.rule, "", None)


def test_a_rule_survives_any_name(given: Given) -> None:
    """Quotes, backslashes and line feeds in names make no other matcher."""
    log = EventLog()
    for number in range(1, 6):
        log.add(opened(f"INC-{number}", alert("a\"b\\c'd\n"), service="s"))
        log.add(requested(f"INC-{number}.1", f"INC-{number}"))
    (one,) = board(given(NoiseProjection(), log), 0)
    (rule,) = read_rules(one.rule, "", None).noise
    assert rule.matchers[0] == 'alertname="a\\"b\\\\c\'d\\n"'


def test_useful_alerts_get_no_suggestion(given: Given) -> None:
    """Where most pages helped, nothing is to be spared."""
    log = EventLog()
    for number in range(1, 6):
        _episode(log, number, "Disk", e.IncidentAcknowledged(f"INC-Disk-{number}", "user:li"))
    assert _board(given, log)["Disk"].suggestion == "none"


def test_hits_add_up_over_roll_ups(given: Given) -> None:
    """The busiest rule first; the same roll-up twice counts once."""
    log = EventLog(RulesHit(T0, {"rule/a": 1, "rule/b": 5}), RulesHit(T0, {"rule/a": 2}))
    conn = given(RuleHitsProjection(), log)
    RuleHitsProjection().apply_all(log.events, conn)
    assert [(one.rule, one.hits) for one in hits(conn)] == [("rule/b", 5), ("rule/a", 3)]
