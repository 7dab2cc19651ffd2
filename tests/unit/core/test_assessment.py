"""Assessments in the core: who may do what with a period, and deductions that outages propose (R12)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from schemas import assessment as a
from schemas import commands as c
from schemas import records as r
from schemas.assessment_score import digest, score
from schemas.config import Rules
from schemas.errors import CommandRejected
from tests.scenario import NOON, Scenario

HOUR_MS = 3_600_000
RULES = Rules.model_validate({
    "contracts": {"demo": {
        "title": "运维合同", "provider": "甲公司", "purchaser": "财政厅", "sum": "1000000", "raters": ["ra", "rb"],
        "handlers": ["han", "hou"], "heads": ["tou"], "purchasers": ["cai"], "providers": ["gong"],
        "items": [{"id": "patrol", "title": "巡检", "content": "每日"}],
        "periods": [{"name": "2026H1", "first": "2026-01-01", "last": "2026-06-30"},
                    {"name": "2026H2", "first": "2026-07-01", "last": "2026-12-31"}],
    }},
})  # fmt: skip
OF = {"contract": "demo", "period": "2026H1"}


def period(scenario: Scenario, name: str = "2026H1") -> a.Period:
    """The period as the log tells it."""
    found: a.Period | None = None
    for event in scenario.events:
        if isinstance(event.data, a.AssessmentEvent) and event.data.period == name:
            found = a.after(found, event.data)
    assert found is not None
    return found


def ask(scenario: Scenario, user: str, command: dict[str, Any]) -> Scenario:
    """Somebody commands something about the first period."""
    return scenario.command(c.COMMAND.validate_python({**OF, **command}), actor=f"user:{user}")


def rate(support: int = 60, **others: object) -> dict[str, Any]:
    """A form of annex 1: `support` and 30 more."""
    return {"type": "rate_service", "support": support, "quality": 9, "response": 9, "documents": 6, "people": 6,
            **others}  # fmt: skip


def outage(scenario: Scenario, hours: int, kind: str = "business") -> str:
    """An outage of so many hours, resolved by a person; returns its incident."""
    scenario.command(c.COMMAND.validate_python({"type": "report_incident", "title": "down", "outage": kind}))
    incident: str = scenario.last.events[0].data.incident  # type: ignore[union-attr]
    for _ in range(hours):
        scenario.at_ms += HOUR_MS
        scenario.feed(r.Tick(scenario.at_ms))
    scenario.command(c.COMMAND.validate_python({"type": "resolve", "incident": incident}))
    return incident


def to_july(scenario: Scenario) -> None:
    """The clock stands in July, when the period is over and documents may still come."""
    scenario.at_ms = int(datetime(2026, 7, 10, tzinfo=UTC).timestamp() * 1000)


def test_an_outage_proposes_its_deduction_and_raises_it() -> None:
    """Annex 3, lines 1: 8 h are 一般, 24 h 重大; one deduction of one outage, decided again at the worse level."""
    scenario = Scenario(RULES)
    scenario.command(c.COMMAND.validate_python({"type": "report_incident", "title": "down", "outage": "database"}))
    scenario.at_ms += 9 * HOUR_MS
    scenario.feed(r.Tick(scenario.at_ms))
    (first,) = period(scenario).deductions.values()
    assert (first.criterion, first.points, first.standing) == ("一般.2", 15, "proposed")
    ask(scenario, "han", {"type": "decide_deduction", "deduction": first.id, "verdict": "confirm", "reason": "属实"})
    scenario.at_ms += 16 * HOUR_MS
    scenario.feed(r.Tick(scenario.at_ms))
    (again,) = period(scenario).deductions.values()
    assert (again.criterion, again.points, again.standing, len(again.history)) == ("重大.2", 30, "proposed", 1)
    assert again.incidents
    assert again.from_ms == NOON


def test_an_outage_that_ends_in_time_proposes_nothing() -> None:
    """Eight hours and no more are within annex 3."""
    scenario = Scenario(RULES)
    outage(scenario, 8)
    assert not [event for event in scenario.events if isinstance(event.data, a.DeductionProposed)]


def test_a_whole_period_from_the_outage_to_the_third_signature() -> None:
    """Rated, judged, confirmed, appealed, dismissed by another, signed three times: closed, and it stays so."""
    scenario = Scenario(RULES)
    outage(scenario, 10)
    (deduction,) = period(scenario).deductions
    to_july(scenario)
    verdict = {"type": "decide_deduction", "deduction": deduction, "reason": "理由"}
    ask(scenario, "ra", rate(60))
    ask(scenario, "rb", rate(65))
    ask(scenario, "han", {"type": "judge_service_item", "item": "patrol", "done": True, "evidence": "巡检记录"})
    ask(scenario, "han", {**verdict, "verdict": "confirm"})
    ask(scenario, "gong", {**verdict, "verdict": "appeal"})
    with pytest.raises(CommandRejected, match="another person"):
        ask(scenario, "han", {**verdict, "verdict": "dismiss_appeal"})
    ask(scenario, "hou", {**verdict, "verdict": "dismiss_appeal"})
    ask(scenario, "gong", {"type": "receive_assessment_documents", "documents": ["运维年报"]})
    for user, party in (("tou", "head"), ("cai", "purchaser"), ("gong", "provider")):
        ask(scenario, user, {"type": "sign_assessment", "party": party})
    found = period(scenario)
    assert found.closed is not None
    assert (found.closed.score, found.closed.digest) == ("77.50", digest(found))
    assert str(score(found).payment) == "387500.00"
    for user, command in (("ra", rate(correction=True)), ("han", {"type": "open_assessment"})):
        with pytest.raises(CommandRejected, match="closed"):
            ask(scenario, user, command)


def test_a_change_takes_signatures_away() -> None:
    """Whoever signed has signed what stood there: a later correction asks for their signature again."""
    scenario = Scenario(RULES)
    to_july(scenario)
    ask(scenario, "ra", rate())
    ask(scenario, "rb", rate())
    ask(scenario, "han", {"type": "judge_service_item", "item": "patrol", "done": False, "evidence": "无记录"})
    ask(scenario, "gong", {"type": "receive_assessment_documents", "documents": ["运维年报"]})
    ask(scenario, "tou", {"type": "sign_assessment", "party": "head"})
    assert set(period(scenario).signatures) == {"head"}
    ask(scenario, "ra", rate(50, correction=True))
    assert not period(scenario).signatures
    assert period(scenario).ratings["ra"].version == 2


def test_what_is_put_off_comes_back_in_the_next_period() -> None:
    """Annex 2, note 2: by a written commitment an item scores nothing now, and stands in the next period's list."""
    scenario = Scenario(RULES)
    judged = {
        "type": "judge_service_item",
        "item": "patrol",
        "done": False,
        "evidence": "无记录",
        "commitment": "承诺书",
    }
    ask(scenario, "han", judged)
    assert score(period(scenario)).completion == 0
    scenario.command(c.OpenAssessment(contract="demo", period="2026H2"), actor="user:han")
    assert [one.deferred_from for one in period(scenario, "2026H2").terms.items] == ["2026H1"]
    with pytest.raises(CommandRejected, match="no period follows"):
        ask(scenario, "han", {**judged, "period": "2026H2"})


def test_documents_that_never_come_score_nothing() -> None:
    """Procurement document 9.2: after the last day for them the assessment is 0."""
    scenario = Scenario(RULES)
    scenario.at_ms = int(datetime(2026, 7, 30, tzinfo=UTC).timestamp() * 1000)
    ask(scenario, "ra", rate())
    ask(scenario, "rb", rate())
    ask(scenario, "han", {"type": "judge_service_item", "item": "patrol", "done": True, "evidence": "记录"})
    ask(scenario, "tou", {"type": "sign_assessment", "party": "head"})
    assert score(period(scenario)).total == 0


@pytest.mark.parametrize(
    ("user", "command", "said"),
    [
        ("han", rate(), "rates the service"),
        ("ra", rate(66), "less than or equal to 65"),
        ("ra", rate(-1), "greater than or equal to 0"),
        ("ra", rate(period="2031H1"), "no period 2031H1"),
        ("ra", rate(contract="other"), "no contract other"),
        ("gong", {"type": "judge_service_item", "item": "patrol", "done": True, "evidence": "x"}, "decides service"),
        ("han", {"type": "judge_service_item", "item": "x", "done": True, "evidence": "x"}, "no item x"),
        ("han", {"type": "judge_service_item", "item": "patrol", "done": True, "evidence": ""}, "at least 1"),
        ("han", {"type": "propose_deduction", "criterion": "一般.7", "evidence": ["x"], "reason": "x"}, "no line"),
        ("gong", {"type": "propose_deduction", "criterion": "一般.6", "evidence": ["x"], "reason": "x"}, "proposes"),
        ("han", {"type": "decide_deduction", "deduction": "D9", "verdict": "confirm", "reason": "x"}, "no deduction"),
        ("gong", {"type": "sign_assessment", "party": "head"}, "sign as head"),
        ("tou", {"type": "sign_assessment", "party": "head"}, "the period ends"),
    ],
)
def test_what_is_refused(user: str, command: dict[str, Any], said: str) -> None:
    """Wrong people, scores outside annex 1, unknown names, missing evidence, signing too early."""
    scenario = Scenario(RULES)
    with pytest.raises(ValueError if "equal to" in said or "at least" in said else CommandRejected, match=said):
        ask(scenario, user, command)
    assert not [event for event in scenario.events if isinstance(event.data, a.AssessmentEvent)]


def test_a_rater_scores_once() -> None:
    """A second form is refused unless it is called a correction."""
    scenario = Scenario(RULES)
    ask(scenario, "ra", rate())
    with pytest.raises(CommandRejected, match="correction"):
        ask(scenario, "ra", rate(10))


def test_an_independent_recomputation_of_a_year() -> None:
    """Outages of 1 to 60 hours, one after the other: the score is what their lengths say."""
    scenario = Scenario(RULES)
    lengths = [1, 9, 25, 8, 49, 60, 12]
    for hours in lengths:
        outage(scenario, hours)
        scenario.at_ms += HOUR_MS
    for name in period(scenario).deductions:
        verdict = {"type": "decide_deduction", "deduction": name, "verdict": "confirm", "reason": "属实"}
        ask(scenario, "han", verdict)
    to_july(scenario)
    ask(scenario, "ra", rate(65))
    own = 15 * sum(8 < one <= 24 for one in lengths) + 30 * sum(24 < one <= 48 for one in lengths)
    own += 100 * any(one > 48 for one in lengths)
    assert score(period(scenario)).capability == -own == -160
