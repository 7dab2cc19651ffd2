"""What is over is forgotten in time, so that state, snapshots and cold start are bounded by what is alive."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core import Core
from engine.core.state import State, decode_state
from schemas import commands as c
from schemas import events as e
from schemas import records as r
from schemas.config import Rules
from schemas.errors import CommandRejected
from tests.scenario import PAGED, PARSERS, Scenario, alert
from tests.unit.core.test_properties import STEPS, play

DAY_S = 86_400
BRIEF = PAGED.model_copy(update={"incident_kept_s": DAY_S, "resolved_kept_s": 3600, "expiry_s": {"test": 900}})
LASTING = BRIEF.model_copy(update={"expiry_s": {"test": 5 * DAY_S}})


def state_of(scenario: Scenario) -> State:
    """What the core remembers."""
    return decode_state(scenario.core.snapshot())


def answered(scenario: Scenario) -> Scenario:
    """Every ordered attempt has arrived."""
    while scenario.core.pending_deliveries():
        scenario.answer("ok")
    return scenario


def over(rules: Rules = BRIEF) -> Scenario:
    """INC-1 is resolved, and whoever had to be told of it was told."""
    scenario = answered(Scenario(rules).receive(alert()))
    return answered(scenario.receive(alert(status="resolved")))


def test_an_incident_that_is_over_is_forgotten_with_all_that_hangs_on_it() -> None:
    """A day after its last event nothing of it is left, and no timer either."""
    scenario = over().wait(DAY_S - 1)
    assert list(state_of(scenario).incidents) == ["INC-1"]
    state = state_of(scenario.wait(1))
    assert not any(
        (state.incidents, state.over, state.groups, state.told, state.reached, state.clocks, state.deliveries,
         state.alerts, state.timers)
    )  # fmt: skip


def test_within_its_time_it_can_come_back_and_afterwards_it_cannot() -> None:
    """The next of its group is a recurrence, then none; its number is not given again."""
    scenario = over().wait(DAY_S - 10).receive(alert(starts_ms=1))
    assert scenario.of(e.IncidentOpened)[-1].recurrence_of == "INC-1"
    scenario = over().wait(DAY_S).receive(alert(starts_ms=1))
    opened = scenario.of(e.IncidentOpened)[-1]
    assert (opened.incident, opened.recurrence_of) == ("INC-2", "")


@pytest.mark.parametrize(
    "command", [c.Reopen(incident="INC-1", reason="again"), c.Merge(incident="INC-2", into="INC-1")]
)
def test_a_command_about_a_forgotten_incident_is_told_so(command: c.Command) -> None:
    """It is not called unknown: it was there, and is over for too long; what never was is still unknown."""
    scenario = over().wait(DAY_S).receive(alert(starts_ms=1))
    refused = scenario.rejected(command)
    assert refused.code == "not_allowed_in_state"
    assert "over for too long" in refused.reason
    assert scenario.rejected(c.Acknowledge(incident="INC-9")).code == "not_found"
    assert scenario.rejected(c.Acknowledge(incident="INC-x")).code == "not_found"


def test_each_event_gives_it_its_whole_time_again() -> None:
    """A note on what is over, and a life after a reopening, count from their own time."""
    scenario = over().wait(DAY_S / 2).command(c.AddNote(incident="INC-1", text="see the report")).wait(DAY_S - 1)
    assert "INC-1" in state_of(scenario).incidents
    scenario.command(c.Reopen(incident="INC-1", reason="not over")).wait(5 * DAY_S)
    assert "INC-1" in state_of(scenario).incidents
    answered(scenario.command(c.Resolve(incident="INC-1"))).wait(DAY_S - 1)
    assert "INC-1" in state_of(scenario).incidents
    assert not state_of(scenario.wait(1)).incidents


def test_what_still_fires_is_kept() -> None:
    """A false alarm whose alert goes on firing is remembered, and forgotten when the alert has ended."""
    scenario = answered(Scenario(LASTING).receive(alert()))
    answered(scenario.command(c.MarkFalseAlarm(incident="INC-1", reason="drill"))).wait(3 * DAY_S)
    assert "INC-1" in state_of(scenario).incidents
    answered(scenario.receive(alert(status="resolved"))).wait(2 * DAY_S)
    assert not state_of(scenario).incidents


def test_a_merged_incident_is_kept_as_long_as_what_it_was_merged_into() -> None:
    """Its alerts still heal the other; both are forgotten, with both groups, when the other is over for long enough."""
    scenario = answered(Scenario(LASTING).receive(alert("A"), alert("B", service="redis")))
    answered(scenario.command(c.Merge(incident="INC-1", into="INC-2"))).wait(3 * DAY_S)
    assert set(state_of(scenario).incidents) == {"INC-1", "INC-2"}
    answered(scenario.receive(alert("A", status="resolved"), alert("B", status="resolved", service="redis")))
    assert scenario.of(e.IncidentResolved)
    state = state_of(scenario.wait(2 * DAY_S))
    assert (state.incidents, state.groups, state.over, state.timers) == ({}, {}, {}, [])


def test_the_groups_that_joined_by_correlation_are_forgotten_too() -> None:
    """Two groups stand for one incident; with it both are forgotten."""
    related = Rules.model_validate(
        BRIEF.model_dump(mode="json")
        | {"service_map": [{"service": "shop", "depends_on": ["redis"]}], "correlation": [{"name": "near"}]}
    )
    scenario = answered(Scenario(related).receive(alert("A")))
    answered(scenario.receive(alert("B", service="redis")))
    assert len(state_of(scenario).groups) == 2
    assert list(state_of(scenario).incidents) == ["INC-1"]
    answered(scenario.receive(alert("A", status="resolved"), alert("B", status="resolved", service="redis")))
    state = state_of(scenario.wait(DAY_S))
    assert (state.incidents, state.groups, state.joined, state.over) == ({}, {}, {}, {})


def configure(scenario: Scenario, **changed: int) -> None:
    """Other rules from now on."""
    scenario.feed(r.Configured(scenario.at_ms, "test", BRIEF.model_copy(update=changed).canonical()))
    scenario.wait(0)


def test_rules_that_keep_less_forget_at_once_and_rules_that_keep_more_leak_nothing() -> None:
    """Alerts and incidents go by the time that is in force, whatever it was when they ended."""
    scenario = over().wait(1800)
    configure(scenario, resolved_kept_s=7200, incident_kept_s=2 * DAY_S)
    assert state_of(scenario.wait(3600)).alerts
    assert not state_of(scenario.wait(1800)).alerts
    assert state_of(scenario.wait(DAY_S)).incidents
    assert not state_of(scenario.wait(DAY_S)).incidents
    scenario = over().wait(1800)
    configure(scenario, resolved_kept_s=60, incident_kept_s=3600)
    assert not state_of(scenario).alerts
    assert not state_of(scenario.wait(1800)).incidents
    assert state_of(scenario.wait(DAY_S)).timers == []


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, max_size=25))
def test_nothing_that_is_over_is_remembered_for_ever(steps: list[tuple[str, object]]) -> None:
    """After any history: once all is over and told, and its time has passed, the state is as empty as at first."""
    scenario = play(steps, BRIEF)
    for _ in range(4):  # alerts expire, breaches page, retries end
        answered(scenario.wait(DAY_S))
    for incident_id in list(state_of(scenario).incidents):
        for command in (c.Resolve(incident=incident_id), c.Close(incident=incident_id)):
            scenario.feed(r.Commanded(scenario.at_ms, "", "user:li", c.COMMAND.dump_json(command)))
    answered(scenario)
    state = state_of(scenario.wait(3 * DAY_S))
    assert not any(
        (state.incidents, state.over, state.groups, state.told, state.reached, state.clocks, state.deliveries,
         state.alerts)
    )  # fmt: skip
    again = Core(PARSERS)
    events = [event for record in scenario.records for event in again.handle(record).events]
    assert msgspec.json.encode(events) == msgspec.json.encode(scenario.events)
    with pytest.raises(CommandRejected):
        scenario.command(c.Acknowledge(incident="INC-1"))
