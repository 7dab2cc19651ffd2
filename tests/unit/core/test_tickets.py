"""What people say of an incident beyond its state, and what Tocsin suggests (R1.4)."""

from __future__ import annotations

import pytest

from engine.core import Core, classifying
from schemas import commands as c
from schemas import events as e
from schemas.classifying import ClassificationRule, Classifying
from tests.scenario import PAGED, PARSERS, Scenario, alert

GIVEN = Classifying(
    rules=(
        ClassificationRule(match={"service": "shop"}, module="orders"),
        ClassificationRule(match={"severity": "critical"}, module="unused", problem_type="capacity"),
    ),
    module_labels=("component",),
    organisation_labels=("org", "tenant"),
)
RULED = PAGED.model_copy(update={"classification": GIVEN})
NAMED = c.Classify(incident="INC-1", module="payments", problem_type="disk")


def over(scenario: Scenario, incident: str = "INC-1") -> Scenario:
    """The alert heals, and so long ago that the next one opens another incident."""
    return scenario.receive(alert(status="resolved", starts_ms=scenario.at_ms)).wait(10_000)


def test_rules_go_before_labels_and_every_part_says_where_it_comes_from() -> None:
    """The first rule that matches and states a part names it; else the first label that is there."""
    scenario = Scenario(RULED).receive(alert(component="cart", tenant="bank-7"))
    assert scenario.one(e.ClassificationSuggested) == e.ClassificationSuggested(
        "INC-1", "orders", "bank-7", "capacity",
        why={"module": "rule", "organisation": "label/tenant", "problem_type": "rule"}, rules_version=1,
    )  # fmt: skip


def test_nothing_is_suggested_where_nothing_says_so() -> None:
    """Without rules, labels or a past the log says nothing of classification."""
    assert not Scenario(PAGED).receive(alert(component="cart")).of(e.ClassificationSuggested)


def test_what_people_said_goes_before_the_rules() -> None:
    """The next incident of the same alert and service is suggested what was said; other alerts are not."""
    scenario = over(Scenario(RULED).receive(alert()).command(NAMED))
    scenario.receive(alert(starts_ms=scenario.at_ms), alert("Slow", service="other", starts_ms=scenario.at_ms))
    ours, other = scenario.of(e.ClassificationSuggested)[1:]
    assert (ours.module, ours.problem_type, ours.why["module"]) == ("payments", "disk", "history")
    assert (other.module, other.why["module"]) == ("unused", "rule")


def test_history_can_be_switched_off() -> None:
    """With `history: false` only rules and labels suggest."""
    rules = PAGED.model_copy(update={"classification": Classifying(history=False)})
    scenario = over(Scenario(rules).receive(alert()).command(NAMED))
    assert not scenario.receive(alert(starts_ms=scenario.at_ms)).of(e.ClassificationSuggested)


def test_what_was_said_outlives_a_snapshot() -> None:
    """The memory of what people said is part of the state."""
    scenario = over(Scenario(PAGED).receive(alert()).command(NAMED))
    scenario.core = Core.from_snapshot(scenario.core.snapshot(), PARSERS)
    scenario.receive(alert(starts_ms=scenario.at_ms))
    assert scenario.one(e.ClassificationSuggested).module == "payments"


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more pairs of alert and service than are remembered, the oldest is forgotten."""
    monkeypatch.setattr(classifying, "REMEMBERED", 1)
    scenario = Scenario(PAGED).receive(alert()).receive(alert("Other", service="b"))
    scenario.command(NAMED).command(c.Classify(incident="INC-2", module="b"))
    over(scenario).receive(alert(starts_ms=scenario.at_ms))
    assert not scenario.of(e.ClassificationSuggested)


def test_a_classification_is_said_once_and_can_be_taken_back() -> None:
    """The same again changes nothing; an empty one is an answer, too; the state stays what it was."""
    scenario = Scenario(RULED).receive(alert()).command(NAMED).then(e.IncidentClassified)
    scenario.command(NAMED).then()
    scenario.command(c.Classify(incident="INC-1")).then(e.IncidentClassified)
    scenario.command(c.Acknowledge(incident="INC-1")).command(c.Resolve(incident="INC-1"))
    scenario.command(NAMED).then(e.IncidentClassified)


def test_a_merged_incident_and_one_that_is_not_there_are_refused() -> None:
    """What goes on elsewhere is classified there."""
    scenario = Scenario(PAGED).receive(alert()).receive(alert(service="other"))
    scenario.command(c.Merge(incident="INC-1", into="INC-2"))
    assert scenario.rejected(NAMED).code == "not_allowed_in_state"
    assert scenario.rejected(c.Classify(incident="INC-9")).code == "not_found"
