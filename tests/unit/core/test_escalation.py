"""People are paged step by step until one answers, and the log says who was not reached and why (R1.3, R1.8)."""

from __future__ import annotations

from typing import Any

import pytest

from schemas import commands as c
from schemas import events as e
from schemas import records as r
from schemas.config import Rules
from schemas.oncall_changes import EscalationEnded, EscalationStarted, EscalationStep
from tests.scenario import NOON, Scenario, alert

DAY_MS = 86_400_000
BASE: dict[str, Any] = {
    "receivers": {"chat": {"channels": ["robot"]}, "boss": {"channels": ["sms"]}},
    "expiry_s": {"test": 9_999_999},
    "routes": [{"policy": "page"}],
    "sla": {name: {"response_s": 999_999, "resolution_s": 999_999} for name in ("P1", "P2", "P3", "P4")},
}
LADDER = {
    "people": {name: {"contacts": ["mail", "sms"]} for name in ("li", "wang", "zhao")},
    "teams": {"ops": {"members": ["li", "wang"]}},
    "schedules": {"main": {"layers": [{"name": "l", "people": ["li", "wang"], "starts": "2026-01-05T09:00"}]}},
    "policies": {
        "page": {
            "steps": [{"schedules": ["main"], "wait_s": 300}, {"people": ["zhao"], "wait_s": 600}],
            "repeat": 0,
            "fallback": ["boss"],
        }
    },
}
P2 = {"severity": "major", "impact": "2"}


def given(*, routes: list[dict[str, Any]] | None = None, **oncall: Any) -> Scenario:
    """A scenario under the ladder, with parts of it replaced."""
    rules = BASE | {"oncall": LADDER | oncall} | ({"routes": routes} if routes else {})
    return Scenario(Rules.model_validate(rules))


def page(*steps: dict[str, Any], **others: Any) -> dict[str, Any]:
    """The policy `page`, of these steps."""
    return {"page": {"steps": list(steps), "repeat": 0, **others}}


def told(scenario: Scenario) -> list[tuple[str, str]]:
    """Everybody whom a message was meant for, in order, and of what."""
    return [(one.receiver, one.notice.kind) for one in scenario.of(e.DeliveryRequested)]


def ends(scenario: Scenario) -> list[str]:
    return [one.reason for one in scenario.of(EscalationEnded)]


def test_whoever_is_on_call_is_paged_first_and_by_their_own_contacts() -> None:
    """The first step at once: li by the schedule, through mail and then SMS, in a notice that names the person."""
    scenario = given().receive(alert())
    assert scenario.one(EscalationStarted).policy == "page"
    step = scenario.one(EscalationStep)
    assert (step.step, step.round, step.people, step.due_ms) == (1, 1, ["li"], NOON + 300_000)
    assert step.why == {"li": "schedule main: layer l"}
    requested = scenario.one(e.DeliveryRequested)
    assert (requested.receiver, requested.channels, requested.notice.person) == ("li", ["mail", "sms"], "li")
    assert requested.notice.alerts == ["HighErrorRate"]


def test_without_an_answer_the_next_step_is_taken_then_the_fallback_told() -> None:
    """300 s later zhao, 600 s after that the boss; the end says that people were told and none answered."""
    scenario = given().receive(alert()).answer("ok").wait(299)
    assert told(scenario) == [("li", "opened")]
    scenario.wait(1).answer("ok")
    assert told(scenario)[1:] == [("zhao", "opened")]
    scenario.wait(600)
    assert told(scenario)[2:] == [("boss", "opened")]
    ended = scenario.one(EscalationEnded)
    assert (ended.reason, ended.told) == ("exhausted", ["li", "zhao"])
    assert len(scenario.of(e.IncidentOpened)) == 1


@pytest.mark.parametrize(
    "command",
    [c.Acknowledge(incident="INC-1"), c.Assign(incident="INC-1", assignee="li"), c.StartDiagnosis(incident="INC-1")],
)
def test_an_answer_ends_it(command: c.Command) -> None:
    """Nobody else is paged, and what was not sent yet is cancelled."""
    scenario = given().receive(alert()).command(command).wait(9999)
    assert ends(scenario) == ["acknowledged"]
    assert told(scenario) == [("li", "opened")]
    assert scenario.one(e.DeliveryCancelled)


def test_what_heals_is_told_to_whom_was_told() -> None:
    """One thread for each person: the resolution goes to li, whom the page had reached, and not to zhao."""
    scenario = given().receive(alert()).answer("ok").receive(alert(status="resolved")).wait(9999)
    assert told(scenario) == [("li", "opened"), ("li", "resolved")]
    assert ends(scenario) == ["over"]


def test_a_higher_priority_begins_anew_though_it_was_acknowledged() -> None:
    """alertmanager#1860: a sibling pages nobody, a higher severity does; a second answer ends it again."""
    scenario = given().receive(alert("Slow", severity="warning")).answer("ok").command(c.Acknowledge(incident="INC-1"))
    scenario.receive(alert("Slower", severity="warning"))
    assert told(scenario) == [("li", "opened")]
    scenario.receive(alert("Down", severity="critical", impact="1"))
    assert told(scenario)[-1] == ("li", "raised")
    assert len(scenario.of(EscalationStarted)) == 2
    scenario.command(c.Acknowledge(incident="INC-1")).wait(9999)
    assert ends(scenario)[-1] == "acknowledged"
    assert len(told(scenario)) == 2


def test_contacts_fail_over_and_then_the_next_step_is_taken_at_once() -> None:
    """Mail refuses, SMS refuses: zhao is paged in the same moment, long before the wait is over."""
    scenario = given().receive(alert()).answer("failed", reason="550").wait(0)
    assert scenario.core.pending_deliveries()[0].channel == "sms"
    scenario.answer("failed", reason="no credit")
    assert told(scenario) == [("li", "opened"), ("zhao", "opened")]
    scenario.wait(300)
    assert len(told(scenario)) == 2  # the wait of the first step means nothing any more


def test_a_page_that_reaches_nobody_is_an_incident_of_its_own() -> None:
    """Every channel is broken: the fallback is told, TocsinNobodyReachable opens, and heals with the next success."""
    scenario = given()
    scenario.receive(alert())
    for _ in range(4):
        scenario.answer("failed").wait(0)
    assert ends(scenario)[0] == "nobody_reachable"
    assert ("boss", "opened") in told(scenario)
    own = scenario.of(e.IncidentOpened)[-1]
    assert (own.labels["alertname"], own.origin, own.severity) == ("TocsinNobodyReachable", "internal", "critical")
    assert own.title == "nobody could be reached for INC-1 by policy page"
    while scenario.core.pending_deliveries():
        scenario.answer("failed").wait(0)
    assert len(scenario.of(e.IncidentOpened)) == 2  # it does not call for itself again and again
    scenario.receive(alert(service="another")).answer("ok")
    assert scenario.of(e.IncidentResolved)[-1].incident == own.incident


def test_a_gap_is_passed_over_and_said() -> None:
    """Nobody on call: the step says so, and the next is taken at once."""
    schedules = {"main": {"gaps": "meant", "layers": [{"name": "l", "people": ["li"], "starts": "2027-01-01T00:00"}]}}
    scenario = given(schedules=schedules).receive(alert())
    first, second = scenario.of(EscalationStep)
    assert (first.people, first.skipped) == ([], {"schedule main": "nobody_on_call"})
    assert (second.step, second.people) == (2, ["zhao"])


def test_quiet_hours_are_passed_by_p1_only() -> None:
    """At noon li rests: P1 pages li; P2 goes to zhao at once; where all rest, it waits until the first wakes."""
    rest = {"contacts": ["mail"], "quiet_hours": {"start": "11:00", "end": "14:00"}}
    people = LADDER["people"] | {"li": rest}
    assert told(given(people=people).receive(alert(severity="critical", impact="1"))) == [("li", "opened")]
    other = given(people=people).receive(alert(**P2))
    assert told(other) == [("zhao", "opened")]
    assert other.of(EscalationStep)[0].skipped == {"li": "quiet_hours"}
    asleep = given(people=dict.fromkeys(("li", "wang", "zhao"), rest)).receive(alert(**P2))
    assert not told(asleep)
    asleep.wait(2 * 3600 - 1)
    assert not told(asleep)
    asleep.wait(1)
    assert told(asleep) == [("li", "opened")]
    assert not asleep.of(EscalationEnded)


def test_a_vacation_counts_for_those_who_are_named_as_well() -> None:
    """zhao is away: the team's others are paged, and the step says why not zhao."""
    scenario = given(policies=page({"people": ["zhao"], "teams": ["ops"]}))
    scenario.command(c.SetVacation(person="zhao", starts_ms=NOON, ends_ms=NOON + DAY_MS)).receive(alert())
    step = scenario.one(EscalationStep)
    assert (step.people, step.skipped) == (["li", "wang"], {"zhao": "vacation"})


def test_nobody_is_paged_twice_for_one_thing() -> None:
    """A person in a schedule and a team of one step gets one page; nor do two policies of two routes page li twice."""
    policies = page({"schedules": ["main"], "teams": ["ops"]}) | {"second": {"steps": [{"people": ["li", "zhao"]}]}}
    routes = [{"policy": "page", "also": True}, {"policy": "second"}]
    scenario = given(policies=policies, routes=routes).receive(alert())
    assert told(scenario) == [("li", "opened"), ("wang", "opened"), ("zhao", "opened")]
    assert scenario.of(EscalationStep)[1].skipped == {"li": "paged_already"}


def test_steps_repeat_as_often_as_the_policy_says() -> None:
    """Twice in all: four pages, then the end."""
    policy = LADDER["policies"]["page"] | {"repeat": 1}
    scenario = given(policies={"page": policy}).receive(alert())
    for wait_s in (300, 600, 300, 600):
        scenario.answer("ok").wait(wait_s)
    assert [(one.step, one.round) for one in scenario.of(EscalationStep)] == [(1, 1), (2, 1), (1, 2), (2, 2)]
    assert ends(scenario) == ["exhausted"]


@pytest.mark.parametrize(
    ("only", "labels", "applies"),
    [
        ({"priorities": ["P1"]}, {"severity": "critical", "impact": "1"}, True),
        ({"priorities": ["P1"]}, P2, False),
        ({"urgency": [1]}, {"severity": "critical"}, True),
        ({"impact": [1]}, P2, False),
        ({"match": {"team": "dba"}}, {"team": "dba"}, True),
        ({"match": {"owner": "li"}}, {}, False),
        ({"hours": [{"start": "11:00", "end": "13:00"}]}, {}, True),
        ({"hours": [{"start": "13:00", "end": "15:00"}]}, {}, False),
        ({"days": "rest"}, {}, False),
    ],
)
def test_steps_apply_by_urgency_impact_owner_and_hours(
    only: dict[str, Any], labels: dict[str, str], applies: bool
) -> None:
    """R1.3: a step that does not apply is left out, and the next is taken."""
    steps = ({"people": ["li"], "only": only}, {"people": ["zhao"]})
    assert told(given(policies=page(*steps)).receive(alert(**labels))) == [("li" if applies else "zhao", "opened")]


def test_the_owner_can_be_a_step() -> None:
    """An incident that is raised while it belongs to wang pages wang."""
    scenario = given(policies=page({"owner": True}, {"people": ["zhao"]})).receive(alert("Slow", severity="warning"))
    assert told(scenario) == [("zhao", "opened")]
    scenario.command(c.Assign(incident="INC-1", assignee="wang")).receive(alert("Down", impact="1"))
    assert told(scenario)[-1] == ("wang", "raised")


def test_a_policy_that_only_tells_receivers_reaches_them() -> None:
    """A group chat alone is reached when it takes the message; it is not `nobody_reachable`."""
    scenario = given(policies=page({"receivers": ["chat"], "wait_s": 60})).receive(alert()).answer("ok").wait(60)
    assert told(scenario) == [("chat", "opened")]
    assert ends(scenario) == ["exhausted"]


def test_other_rules_end_what_they_no_longer_know() -> None:
    """A policy that is gone at its next step ends with that reason."""

    scenario = given().receive(alert()).answer("ok")
    without = Rules.model_validate(BASE | {"routes": []})
    scenario.feed(r.Configured(scenario.at_ms, "test", without.canonical()))
    scenario.wait(300)
    assert ends(scenario) == ["rules_changed"]


def test_a_restart_in_the_middle_changes_nothing() -> None:
    """From a snapshot before the first step's end the same events follow."""
    scenario = given().receive(alert()).answer("ok")
    again = type(scenario.core).from_snapshot(scenario.core.snapshot(), {})

    tick = r.Tick(NOON + 300_000)
    assert again.handle(tick).events == scenario.core.handle(tick).events
    assert again.snapshot() == scenario.core.snapshot()
