"""What people say of an incident beyond its state, and what Tocsin suggests (R1.4)."""

from __future__ import annotations

import pytest

from engine.core import Core, classifying
from schemas import commands as c
from schemas import events as e
from schemas.classifying import ClassificationRule, Classifying
from schemas.errors import CommandRejected
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


def test_one_person_claims_and_the_next_is_refused() -> None:
    """Claiming answers the incident and names its owner; whose it is already is not taken from them."""
    scenario = Scenario(PAGED).receive(alert()).command(c.Claim(incident="INC-1"))
    assert scenario.of(e.IncidentAcknowledged)
    assert scenario.one(e.IncidentAssigned).assignee == "li"
    scenario.command(c.Claim(incident="INC-1")).then()
    with pytest.raises(CommandRejected, match="handed over"):
        scenario.command(c.Claim(incident="INC-1"), actor="user:wu")


def test_handing_over_says_from_whom_to_whom_and_where_it_stands() -> None:
    """The owner changes, the note is kept; the state does not go back."""
    scenario = Scenario(PAGED).receive(alert()).command(c.Assign(incident="INC-1", assignee="li"))
    scenario.command(c.StartDiagnosis(incident="INC-1"))
    given = c.HandOver(incident="INC-1", assignee="wu", note="the disk is being cleaned")
    scenario.command(given).then(e.IncidentHandedOver)
    assert scenario.one(e.IncidentHandedOver).was == "li"
    scenario.command(given).then()
    scenario.command(c.StartDiagnosis(incident="INC-1")).then()


def test_nobody_verifies_their_own_work() -> None:
    """Somebody else does; a changed solution or a return has to be verified anew."""
    scenario = Scenario(PAGED).receive(alert()).command(c.Resolve(incident="INC-1"))
    check = c.Verify(incident="INC-1", note="looked at the graphs")
    assert scenario.rejected(check).code == "verify_own_work"
    scenario.command(check, actor="user:wu").then(e.IncidentVerified)
    scenario.command(check, actor="user:an").then()
    scenario.command(c.Resolve(incident="INC-1", solution="restarted"))
    scenario.command(check, actor="user:wu").then(e.IncidentVerified)
    scenario.command(c.Reopen(incident="INC-1", reason="again"))
    assert scenario.rejected(check).code == "not_allowed_in_state"


def test_what_healed_by_itself_anybody_verifies() -> None:
    """Nobody resolved it, so nobody judges their own work."""
    scenario = Scenario(PAGED).receive(alert()).receive(alert(status="resolved"))
    scenario.command(c.Verify(incident="INC-1")).then(e.IncidentVerified)


def test_split_alerts_go_on_in_their_own_incident_and_heal_there() -> None:
    """Both incidents count their own alerts, and each resolves with the last of its own."""
    scenario = Scenario(PAGED).receive(alert("A"), alert("B"), alert("C"))
    gone = [ref.fingerprint for ref in scenario.one(e.IncidentOpened).alerts if b'"A"' not in bytes(ref.labels)]
    scenario.command(c.Split(incident="INC-1", alerts=tuple(gone), reason="another disk"))
    assert scenario.one(e.IncidentSplit).fingerprints == sorted(gone)
    assert {ref.fingerprint for ref in scenario.of(e.IncidentOpened)[1].alerts} == set(gone)
    assert (scenario.one(e.IncidentLinked).incident, scenario.one(e.IncidentLinked).other) == ("INC-2", "INC-1")
    scenario.receive(alert("B", status="resolved"), alert("C", status="resolved"))
    assert [one.incident for one in scenario.of(e.IncidentResolved)] == ["INC-2"]
    scenario.receive(alert("A", status="resolved"))
    assert [one.incident for one in scenario.of(e.IncidentResolved)] == ["INC-2", "INC-1"]


def test_a_split_leaves_something_and_takes_what_is_there() -> None:
    """The last firing alert stays, and only firing alerts of the incident go."""
    scenario = Scenario(PAGED).receive(alert("A"), alert("B"))
    both = tuple(ref.fingerprint for ref in scenario.one(e.IncidentOpened).alerts)
    assert scenario.rejected(c.Split(incident="INC-1", alerts=both, reason="x")).code == "nothing_left"
    assert scenario.rejected(c.Split(incident="INC-1", alerts=("none",), reason="x")).code == "not_found"
    assert scenario.rejected(c.Split(incident="INC-9", alerts=both, reason="x")).code == "not_found"
    scenario.command(c.Resolve(incident="INC-1"))
    assert scenario.rejected(c.Split(incident="INC-1", alerts=both[:1], reason="x")).code == "not_allowed_in_state"


def test_links_cross_scopes_and_can_be_taken_back() -> None:
    """A link is said once, changes its relation when said otherwise, and leads to what can be there."""
    scenario = Scenario(PAGED).receive(alert()).receive(alert(cluster="b"))
    other = scenario.of(e.IncidentOpened)[1].incident
    assert scenario.of(e.IncidentOpened)[1].incident == "INC-b-1"
    scenario.command(c.Link(incident="INC-1", other=other)).then(e.IncidentLinked)
    scenario.command(c.Link(incident="INC-1", other=other)).then()
    scenario.command(c.Link(incident="INC-1", other=other, relation="caused_by")).then(e.IncidentLinked)
    scenario.command(c.Unlink(incident="INC-1", other=other)).then(e.IncidentUnlinked)
    scenario.command(c.Unlink(incident="INC-1", other=other)).then()
    assert scenario.rejected(c.Link(incident="INC-1", other="INC-1")).code == "link_to_itself"
    assert scenario.rejected(c.Link(incident="INC-1", other="INC-77")).code == "not_found"
    assert scenario.rejected(c.Link(incident="INC-1", other="nothing")).code == "not_found"
