"""What people may do to an incident, and when."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.core import orders
from schemas import commands as c
from schemas import events as e
from schemas import records as r
from schemas.config import Rules
from tests.scenario import NOON, PAGED, Scenario, alert

LASTING = Rules(expiry_s={"test": 999_999})

ON_ONE: list[c.Command] = [
    c.Acknowledge(incident="INC-1"),
    c.Assign(incident="INC-1", assignee="wang"),
    c.StartDiagnosis(incident="INC-1"),
    c.Mitigate(incident="INC-1"),
    c.Resolve(incident="INC-1", solution="restarted", cause_code="memory"),
    c.StartReview(incident="INC-1"),
    c.Close(incident="INC-1"),
    c.Reopen(incident="INC-1", reason="it is back"),
    c.Merge(incident="INC-1", into="INC-2"),
    c.MarkFalseAlarm(incident="INC-1", reason="a drill"),
    c.SetPriority(incident="INC-1", urgency=4, impact=3),
    c.Classify(incident="INC-1", module="payments"),
    c.Claim(incident="INC-1"),
    c.HandOver(incident="INC-1", assignee="zhao", note="night"),
    c.Verify(incident="INC-1"),
    c.Link(incident="INC-1", other="INC-2"),
    c.Unlink(incident="INC-1", other="INC-2"),
]


def test_the_whole_life_of_an_incident() -> None:
    """R1.4: acknowledged, assigned, diagnosed, mitigated, resolved, reviewed, closed, each by a named person."""
    scenario = Scenario(LASTING).receive(alert())
    for command in ON_ONE[:7]:
        scenario.wait(60).command(command)
    states = [type(event.data) for event in scenario.events if event.actor == "user:li"]
    assert states == [
        e.IncidentAcknowledged, e.IncidentAssigned, e.DiagnosisStarted, e.IncidentMitigated, e.IncidentResolved,
        e.ReviewStarted, e.IncidentClosed,
    ]  # fmt: skip


def _at(stage: str) -> Scenario:
    scenario = Scenario(LASTING).receive(alert(), alert(service="other"))
    steps: dict[str, list[c.Command]] = {
        "triggered": [],
        "acknowledged": ON_ONE[:1],
        "assigned": ON_ONE[:2],
        "diagnosing": ON_ONE[:3],
        "mitigated": ON_ONE[:4],
        "resolved": ON_ONE[:5],
        "in_review": ON_ONE[:6],
        "closed": ON_ONE[:7],
        "merged": [ON_ONE[8]],
        "false_alarm": [ON_ONE[9]],
    }
    if stage == "outage":
        return scenario.receive(alert("Down", outage="business"))
    for command in steps[stage]:
        scenario.command(command)
    return scenario


STAGES = (
    "triggered", "acknowledged", "assigned", "diagnosing", "mitigated", "resolved", "in_review", "closed", "merged",
    "false_alarm",
)  # fmt: skip


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("command", ON_ONE, ids=lambda command: command.type)
def test_the_same_command_twice_decides_nothing_the_second_time(stage: str, command: c.Command) -> None:
    """In every state, for every command: once it has worked, asking again (with a new id) changes nothing."""
    scenario = _at(stage)
    body, before = c.COMMAND.dump_json(command), len(scenario.events)
    first = scenario.feed(orders.Commanded(scenario.at_ms, "first", "user:li", body))
    assert (first.rejected is None) or len(scenario.events) == before
    if first.rejected is None:
        second = scenario.feed(orders.Commanded(scenario.at_ms, "second", "user:li", body))
        assert not second.events


def test_a_command_sent_again_with_its_id_is_decided_once() -> None:
    """A retry after a lost answer carries the same id."""
    scenario = Scenario().receive(alert())
    note = c.AddNote(incident="INC-1", text="looking")
    scenario.command(note, command_id="same").then(e.NoteAdded)
    scenario.command(note, command_id="same").then()


REJECTED: list[tuple[str, c.Command, str]] = [
    ("triggered", c.Acknowledge(incident="INC-9"), "not_found"),
    ("resolved", c.Acknowledge(incident="INC-1"), "not_allowed_in_state"),
    ("closed", c.Assign(incident="INC-1", assignee="x"), "not_allowed_in_state"),
    ("triggered", c.StartReview(incident="INC-1"), "not_allowed_in_state"),
    ("triggered", c.Close(incident="INC-1"), "not_allowed_in_state"),
    ("merged", c.Reopen(incident="INC-1", reason="x"), "not_allowed_in_state"),
    ("triggered", c.Merge(incident="INC-1", into="INC-1"), "merge_into_itself"),
    ("triggered", c.Merge(incident="INC-1", into="INC-9"), "not_found"),
    ("closed", c.Merge(incident="INC-2", into="INC-1"), "not_allowed_in_state"),
    ("closed", c.MarkFalseAlarm(incident="INC-1", reason="x"), "not_allowed_in_state"),
    ("outage", c.Merge(incident="INC-3", into="INC-1"), "outage_into_other"),
    ("resolved", c.SetPriority(incident="INC-1", urgency=1, impact=1), "not_allowed_in_state"),
    ("triggered", c.TestChannel(channel="nowhere"), "not_found"),
]


@pytest.mark.parametrize(("stage", "command", "code"), REJECTED)
def test_the_impossible_is_rejected_with_a_code(stage: str, command: c.Command, code: str) -> None:
    """A rejection names its reason, and no event is logged."""
    assert _at(stage).rejected(command).code == code


def test_a_malformed_command_is_rejected() -> None:
    """A journalled command that is not one is rejected, not poison."""
    scenario = Scenario()
    decision = scenario.feed(orders.Commanded(NOON, "x", "user:li", b'{"type":"dance"}'))
    assert decision.rejected is not None
    assert decision.rejected.code == "invalid"


def test_acting_on_an_unanswered_incident_answers_it() -> None:
    """R11.1: whoever assigns or resolves has responded; the response clock stops."""
    scenario = Scenario().receive(alert()).wait(60).command(ON_ONE[1])
    scenario.then(e.IncidentAcknowledged, e.SlaClockStopped, e.IncidentAssigned)
    assert scenario.one(e.SlaClockStopped).elapsed_ms == 60_000


def test_clocks_breach_at_their_time_and_stop_late() -> None:
    """R11.1 and R11.2: 10 minutes to respond, 2 hours to resolve."""
    scenario = Scenario(LASTING).receive(alert()).wait(600)
    assert scenario.one(e.SlaClockBreached).clock == "response"
    scenario.command(ON_ONE[0])
    stopped = scenario.one(e.SlaClockStopped)
    assert (stopped.elapsed_ms, stopped.breached) == (600_000, True)
    scenario.wait(6600).command(ON_ONE[4])
    assert [breach.clock for breach in scenario.of(e.SlaClockBreached)] == ["response", "resolution"]


def test_resolving_over_firing_alerts_is_looked_at_again() -> None:
    """A person may be wrong: what still fires after the reopen window was not over."""
    scenario = Scenario(LASTING).receive(alert()).command(ON_ONE[4]).wait(601)
    assert "still firing" in scenario.one(e.IncidentReopened).reason


def test_closing_over_firing_alerts_is_looked_at_again_too() -> None:
    """Neither a review nor a closing hides what still burns."""
    scenario = Scenario(LASTING).receive(alert())
    for command in ON_ONE[4:7]:
        scenario.command(command)
    assert "still firing" in scenario.wait(601).one(e.IncidentReopened).reason


def test_after_a_long_gap_timers_count_in_their_order() -> None:
    """Resolved by hand, the sender falls silent, Tocsin sleeps ten hours: the incident stays resolved."""
    scenario = Scenario(Rules(expiry_s={"test": 300})).receive(alert()).command(ON_ONE[4])
    scenario.at_ms += 36_000_000
    scenario.feed(r.Tick(scenario.at_ms))
    assert scenario.one(e.AlertsResolved).reason == "timeout"
    assert not scenario.of(e.IncidentReopened)


def test_a_merged_incident_goes_on_in_the_other() -> None:
    """After a merge the other incident answers for the alerts of both."""
    scenario = Scenario(LASTING).receive(alert(), alert(service="other")).command(ON_ONE[8])
    scenario.receive(alert(instance="new"))
    assert scenario.of(e.AlertsAttached)[-1].incident == "INC-2"
    scenario.receive(alert(service="other", status="resolved"), alert(status="resolved"))
    assert not scenario.of(e.IncidentResolved)
    scenario.receive(alert(instance="new", status="resolved"))
    assert scenario.one(e.IncidentResolved).incident == "INC-2"


def test_a_person_can_report_what_no_alert_told_of() -> None:
    """R1.4: discovery by hand (人工上报), with clocks and pages like any other."""
    told = {
        "title": "投标页面打不开",
        "service": "bidding",
        "origin": "user_report",
        "severity": "critical",
        "impact": 1,
    }
    report = c.ReportIncident.model_validate(told)
    scenario = Scenario(PAGED).command(report)
    opened = scenario.one(e.IncidentOpened)
    assert (opened.priority, opened.origin) == ("P1", "user_report")
    assert scenario.events[1].actor == "user:li"
    assert scenario.one(e.DeliveryRequested).notice.title == "投标页面打不开"


def test_a_priority_set_by_hand_is_not_undone_by_more_of_the_same() -> None:
    """A person's judgement stands until something worse comes."""
    scenario = Scenario().receive(alert(severity="warning"))
    scenario.command(c.SetPriority(incident="INC-1", urgency=4, impact=3)).then(e.IncidentRaised)
    scenario.receive(*(alert(severity="warning", instance=str(n)) for n in range(30))).then(e.AlertsAttached)
    scenario.receive(alert("Dead", severity="critical")).then(e.AlertsAttached, e.IncidentRaised)


def test_remembered_commands_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest command ids are forgotten, so that memory stays bounded."""
    monkeypatch.setattr(orders, "REMEMBERED_COMMANDS", 2)
    scenario = Scenario().receive(alert())
    ask: Callable[[str], Scenario] = lambda key: scenario.command(c.AddNote(incident="INC-1", text="x"), command_id=key)  # noqa: E731
    for key in ("a", "b", "c"):
        ask(key)
    ask("a").then(e.NoteAdded)
    ask("c").then()
