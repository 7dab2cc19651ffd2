"""What other rules would have made of the past is what they really make of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.whatif import Shadow, what_if
from engine.whatif.tally import Tally
from schemas.alerts import fingerprint
from schemas.config import Rules
from schemas.errors import CommandRejected
from schemas.whatif import Consequences, WhatIf
from tests.scenario import NOON, PAGED, PARSERS, alert
from tests.unit.whatif.past import MINUTE, Happening, Past, history

UNTIL = NOON + 48 * 60 * MINUTE
CHANGES: list[dict[str, object]] = [
    {},
    {"grouping": {"by": ["service", "alertname"]}},
    {"grouping": {"by": ["service"], "reopen_within_s": 0}},
    {"alert_rules": [{"name": "d", "match": 'alertname="Slow"', "then": {"drop": True}}]},
    {"alert_rules": [{"name": "s", "when": 'labels.service == "s1"', "then": {"severity": "critical"}}]},
    {"hold_back": [{"name": "h", "matchers": ['alertname="DiskFull"'], "for_s": 240}]},
    {"sla": {"P1": {"response_s": 30, "resolution_s": 60}}},
]


def _under(**changes: object) -> Rules:
    return Rules.model_validate(PAGED.model_dump() | changes)


def _really(folder: Path, rules: Rules, happenings: list[Happening]) -> Consequences:
    """What the rules make of it when they are in force from the start."""
    past = Past(folder, rules)
    past.live(happenings, UNTIL)
    tally = Tally(NOON)
    tally.follow(past.events)
    for page in past.core.books().values():
        tally.received(page)
    past.store.close()
    return tally.counted


def _asked(past: Past, rules: Rules, since_ms: int = NOON) -> WhatIf:
    return what_if(past.store, PARSERS, rules, since_ms=since_ms, until_ms=UNTIL)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("changes", CHANGES, ids=lambda changes: "-".join(changes) or "none")
def test_the_prediction_is_what_really_happens(changes: dict[str, object], seed: int, tmp_path: Path) -> None:
    """Counts under other rules equal those of a run that has them from the start; those of the past are its own."""
    happenings = history(seed)
    (tmp_path / "other").mkdir()
    past = Past(tmp_path, PAGED)
    past.live(happenings, UNTIL)
    predicted = _asked(past, _under(**changes))
    past.store.close()
    assert predicted.candidate == _really(tmp_path / "other", _under(**changes), happenings)
    if not changes:
        assert predicted.actual == predicted.candidate
        assert predicted.safe
        assert not predicted.harmed


def _confirmed(folder: Path) -> Past:
    """An incident that pages, is acknowledged and resolved by a person; and one that nobody cares for."""
    fire, noise = alert("HighErrorRate"), alert("Slow", service="other")
    past = Past(folder, PAGED)
    past.live(
        [
            Happening(NOON + MINUTE, (fire, noise)),
            Happening(NOON + 2 * MINUTE, verb="acknowledge", about=fingerprint(fire.labels)),
            Happening(NOON + 30 * MINUTE, verb="resolve", about=fingerprint(fire.labels)),
        ],
        NOON + 60 * MINUTE,
    )
    return past


def _dropping(name: str) -> Rules:
    return _under(alert_rules=[{"name": "d", "match": f'alertname="{name}"', "then": {"drop": True}}])


def test_a_confirmed_incident_that_is_dropped_is_lost_and_not_safe(tmp_path: Path) -> None:
    """Rules under which nobody hears of what a person took up are never called safe."""
    found = _asked(_confirmed(tmp_path), _dropping("HighErrorRate"))
    assert not found.safe
    assert [(harm.fate, harm.incident) for harm in found.harmed] == [("lost", "INC-1")]
    assert found.confirmed == 1
    assert found.commands == found.commands_left_out == 2


def test_what_nobody_cared_for_may_be_dropped(tmp_path: Path) -> None:
    """Fewer pages, nothing confirmed is lost: safe, and the people's commands found their incident."""
    found = _asked(_confirmed(tmp_path), _dropping("Slow"))
    assert found.safe
    assert not found.harmed
    assert (found.actual.incidents, found.candidate.incidents) == (2, 1)
    assert found.candidate.pages < found.actual.pages
    assert found.commands_left_out == 0


def test_an_incident_that_pages_nobody_is_silent(tmp_path: Path) -> None:
    """It is opened, but no route leads anywhere."""
    found = _asked(_confirmed(tmp_path), _under(routes=[]))
    assert [harm.fate for harm in found.harmed] == ["silent"]
    assert not found.safe
    assert found.candidate.pages == 0


def test_a_late_page_is_named_and_tolerated(tmp_path: Path) -> None:
    """Holding back for five minutes delays the page by five; that is shown, and no loss."""
    rules = _under(hold_back=[{"name": "h", "matchers": ['alertname="HighErrorRate"'], "for_s": 300}])
    found = _asked(_confirmed(tmp_path), rules)
    (harm,) = found.harmed
    assert (harm.fate, harm.would_ms) == ("delayed", harm.told_ms + 300_000)
    assert found.safe


def test_only_the_period_counts(tmp_path: Path) -> None:
    """What was opened before the period is known, and neither counted nor judged again."""
    past = _confirmed(tmp_path)
    found = _asked(past, _dropping("HighErrorRate"), since_ms=NOON + 10 * MINUTE)
    assert (found.actual.incidents, found.candidate.incidents, found.confirmed) == (0, 0, 0)
    assert found.commands_left_out == 0
    assert found.safe


def test_shadow_rules_say_live_what_the_comparison_says_afterwards(tmp_path: Path) -> None:
    """From where they began, step by step, bounded in each; with what came before unknown and left alone."""
    happenings = history(1, steps=60)
    past = Past(tmp_path, PAGED)
    past.live(happenings[:30], happenings[29].at_ms)
    shadow = Shadow(past.store, PARSERS, _dropping("Slow"))
    shadow.follow()
    assert shadow.report is not None
    assert (shadow.report.records, shadow.lag) == (0, 0)
    since_ms = past.at_ms
    past.live(happenings[30:], happenings[-1].at_ms)
    shadow.follow()
    report = shadow.report
    assert report.records == past.store.position().next_offset - shadow.began_at
    afterwards = what_if(past.store, PARSERS, _dropping("Slow"), since_ms=since_ms + 1, until_ms=happenings[-1].at_ms)
    assert report.candidate.dispositions == afterwards.candidate.dispositions
    assert report.candidate.incidents == afterwards.candidate.incidents
    assert report.actual.incidents == afterwards.actual.incidents


def test_rules_that_cannot_be_taken_are_refused(tmp_path: Path) -> None:
    """An expression of the wrong type is named before anything is judged."""
    rules = _under(alert_rules=[{"name": "d", "when": "severity", "then": {"drop": True}}])
    with pytest.raises(CommandRejected, match=r"rules.alert_rules.0.when: column 1: gives string"):
        _asked(_confirmed(tmp_path), rules)
