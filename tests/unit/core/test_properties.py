"""What holds for any history whatever."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core import Core
from engine.machines import incident as machine
from schemas import commands as c
from schemas import events as e
from schemas import records as r
from schemas.alerts import fingerprint
from schemas.config import Rules
from tests.scenario import NOON, PAGED, PARSERS, Scenario, alert

ALERTS = st.builds(
    alert,
    st.sampled_from(["A", "B"]),
    status=st.sampled_from(["firing", "firing", "resolved"]),
    starts_ms=st.integers(0, 3).map(lambda minutes: NOON + 60_000 * minutes),
    service=st.sampled_from(["shop", "redis"]),
    severity=st.sampled_from(["critical", "warning"]),
    outage=st.sampled_from(["", "business"]),
)
FINGERPRINTS = ALERTS.map(lambda one: fingerprint(one.labels))
INCIDENTS = st.sampled_from(["INC-1", "INC-2", "INC-3"])
COMMANDS = st.one_of(
    st.builds(c.Acknowledge, incident=INCIDENTS),
    st.builds(c.Claim, incident=INCIDENTS),
    st.builds(c.HandOver, incident=INCIDENTS, assignee=st.sampled_from(["li", "wang"]), note=st.just("night")),
    st.builds(c.Verify, incident=INCIDENTS),
    st.builds(c.Link, incident=INCIDENTS, other=INCIDENTS),
    st.builds(c.Split, incident=INCIDENTS, alerts=st.lists(FINGERPRINTS, min_size=1).map(tuple), reason=st.just("x")),
    st.builds(c.Classify, incident=INCIDENTS, module=st.sampled_from(["", "payments"])),
    st.builds(c.Assign, incident=INCIDENTS, assignee=st.sampled_from(["li", "wang"])),
    st.builds(c.Mitigate, incident=INCIDENTS),
    st.builds(c.Resolve, incident=INCIDENTS),
    st.builds(c.Close, incident=INCIDENTS),
    st.builds(c.Reopen, incident=INCIDENTS, reason=st.just("again")),
    st.builds(c.Merge, incident=INCIDENTS, into=INCIDENTS),
    st.builds(c.MarkFalseAlarm, incident=INCIDENTS, reason=st.just("drill")),
)
STEPS = st.one_of(
    st.tuples(st.just("receive"), st.lists(ALERTS, max_size=6)),
    st.tuples(st.just("command"), COMMANDS),
    st.tuples(st.just("answer"), st.sampled_from(["ok", "retry", "failed", "unknown"])),
    st.tuples(st.just("wait"), st.sampled_from([1, 70, 700, 8000, 100_000])),
)


RULES = PAGED.model_copy(update={"expiry_s": {"test": 900}})


def play(steps: list[tuple[str, Any]], rules: Rules = RULES) -> Scenario:
    """A history of these steps."""
    scenario = Scenario(rules)
    for verb, what in steps:
        if verb == "receive":
            scenario.receive(*what)
        elif verb == "wait":
            scenario.wait(what)
        elif verb == "answer":
            if scenario.core.pending_deliveries():
                scenario.answer(what)
        else:
            body = c.COMMAND.dump_json(what)
            scenario.feed(r.Commanded(scenario.at_ms, f"id{len(scenario.records)}", "user:li", body))
    return scenario


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, max_size=25))
def test_the_same_records_give_the_same_events(steps: list[tuple[str, Any]]) -> None:
    """Replay equals the log, byte for byte."""
    scenario = play(steps)
    again = Core(PARSERS)
    events = [event for record in scenario.records for event in again.handle(record).events]
    assert msgspec.json.encode(events) == msgspec.json.encode(scenario.events)
    assert again.snapshot() == scenario.core.snapshot()


@settings(max_examples=100, deadline=None)
@given(st.lists(STEPS, max_size=20), st.integers(0, 20))
def test_a_snapshot_and_the_rest_equal_the_whole(steps: list[tuple[str, Any]], cut: int) -> None:
    """State from a snapshot and the journal behind it is the state from the whole journal."""
    scenario = play(steps)
    before, after = scenario.records[:cut], scenario.records[cut:]
    first = Core(PARSERS)
    for record in before:
        first.handle(record)
    second = Core.from_snapshot(first.snapshot(), PARSERS)
    for record in after:
        second.handle(record)
    assert second.snapshot() == scenario.core.snapshot()


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, max_size=25))
def test_the_books_balance_and_counts_are_true(steps: list[tuple[str, Any]]) -> None:
    """Every alert has one disposition; the firing count of each incident is never negative."""
    scenario = play(steps)
    received = sum(len(what) for verb, what in steps if verb == "receive")
    books = scenario.core.books()
    assert sum(sum(page.values()) for page in books.values()) == received
    scenario.wait(61)
    rolled = sum(event.received for event in scenario.of(e.IntakeRolledUp))
    assert rolled == received
    incidents = _fold(scenario.events)
    assert all(one.firing >= 0 for one in incidents.values())


def _fold(events: list[e.Event]) -> dict[str, machine.Incident]:
    folded: dict[str, machine.Incident] = {}
    for event in events:
        if isinstance(event.data, e.IncidentEvent):
            before = folded.get(event.data.incident)
            after = machine.evolve(before, event.data, event.scope, event.at_ms)
            folded[after.id] = after
            if isinstance(event.data, e.IncidentMerged):
                folded[after.merged_into] = machine.absorb(folded[after.merged_into], after)
    return folded


@settings(max_examples=100, deadline=None)
@given(st.lists(STEPS, max_size=25))
def test_every_page_has_one_fate(steps: list[tuple[str, Any]]) -> None:
    """A delivery ends at most once, and is not attempted after its end."""
    scenario = play(steps)
    ended: set[str] = set()
    for event in scenario.events:
        if isinstance(event.data, e.DeliveryDue | e.DeliveryStarted):
            assert event.data.delivery not in ended
        if isinstance(event.data, e.DeliverySucceeded | e.DeliveryFailed | e.DeliveryUnconfirmed | e.DeliveryCancelled):
            assert event.data.delivery not in ended
            ended.add(event.data.delivery)
