"""What holds for any history under any rules that hold alerts: books, replay, and that all is judged again."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.matchers import matches, parse_matchers
from engine.core import Core
from engine.core.members import MAINTENANCE
from schemas import commands as c
from schemas import events as e
from schemas import records as r
from schemas.alert_rules import AlertRule, Then
from schemas.denoise import Flapping, HoldBack, InhibitRule, Maintenance, Noise, Storm
from schemas.live import AlertQuery
from schemas.silences import ExpireSilence, SetSilence, SilenceMatcher
from tests.scenario import NOON, PAGED, PARSERS, Scenario, alert

ALERTS = st.builds(
    alert,
    st.sampled_from(["A", "B", "C", "D"]),
    status=st.sampled_from(["firing", "firing", "resolved"]),
    starts_ms=st.integers(0, 3).map(lambda minutes: NOON + 60_000 * minutes),
    service=st.sampled_from(["shop", "redis", "es"]),
    severity=st.sampled_from(["critical", "warning"]),
)
TEXTS = st.sampled_from(["alertname=A", 'alertname=~"A|B"', "service=shop", 'severity!="critical"', 'service=~".+"'])
BOTH = st.tuples(TEXTS)
RULES = st.fixed_dictionaries(
    {},
    optional={
        "inhibit": st.just(
            (InhibitRule(name="i", source_matchers=("alertname=A",), target_matchers=('alertname=~"B|C"',)),)
        )
        | st.just(
            (InhibitRule(source_matchers=("alertname=A",), target_matchers=("severity=warning",), equal=("service",)),)
        ),
        "maintenance": st.builds(
            lambda texts, start, rrule: (
                Maintenance.model_validate(
                    {
                        "name": "m",
                        "matchers": texts,
                        "starts": f"2026-01-05T12:{start:02}:00",
                        "duration_s": 120,
                        "rrule": rrule,
                    }
                ),
            ),
            BOTH,
            st.integers(0, 12),
            st.sampled_from(["", "FREQ=DAILY"]),
        ),
        "noise": st.builds(lambda texts: (Noise(name="n", matchers=texts),), BOTH),
        "hold_back": st.builds(
            lambda texts, s: (HoldBack(name="h", matchers=texts, for_s=s),), BOTH, st.sampled_from([5, 90])
        ),
        "flapping": st.just(Flapping(window_s=40, start_ratio=0.1, stop_ratio=0.05)),
        "storm": st.just(Storm(alerts=3, factor=2, window_s=30, calm_windows=1)),
        "alert_rules": st.just((AlertRule(name="d", match="alertname=D,service=es", then=Then(drop=True)),))
        | st.just((AlertRule(name="x", match="alertname=D", then=Then(set={"service": "shop"})),)),
        "expiry_s": st.just({"test": 100}),
    },
)
SILENCES = st.builds(
    lambda text, start, length: SetSilence(
        matchers=tuple(SilenceMatcher(name=m.name, op=m.op, value=m.value) for m in parse_matchers(text)),
        starts_ms=NOON + 1000 * start,
        ends_ms=NOON + 1000 * (start + length),
    ),
    TEXTS, st.integers(0, 400), st.integers(1, 600),
)  # fmt: skip
INCIDENTS = st.sampled_from(["INC-1", "INC-2", "INC-3"])
COMMANDS = st.one_of(
    st.builds(c.Resolve, incident=INCIDENTS),
    st.builds(c.Acknowledge, incident=INCIDENTS),
    st.builds(c.Merge, incident=INCIDENTS, into=INCIDENTS),
)
STEPS = st.one_of(
    st.tuples(st.just("receive"), st.lists(ALERTS, min_size=1, max_size=6)),
    st.tuples(st.just("receive"), st.lists(ALERTS, min_size=1, max_size=6)),
    st.tuples(st.just("silence"), SILENCES),
    st.tuples(st.just("end silence"), st.integers(0, 3)),
    st.tuples(st.just("configure"), RULES),
    st.tuples(st.just("command"), COMMANDS),
    st.tuples(st.just("wait"), st.sampled_from([1, 20, 70, 150, 700])),
)  # fmt: skip
HISTORIES = st.tuples(RULES, st.lists(STEPS, min_size=5, max_size=30)).map(lambda one: [("configure", one[0]), *one[1]])
_EVERYTHING = AlertQuery(resolved=True, dropped=True)


def _play(steps: list[tuple[str, Any]]) -> Scenario:
    scenario = Scenario(PAGED)
    for verb, what in steps:
        match verb:
            case "receive":
                scenario.receive(*what)
            case "wait":
                scenario.wait(what)
            case "configure":
                scenario.feed(r.Configured(scenario.at_ms, "user:li", PAGED.model_copy(update=what).canonical()))
            case "end silence":
                made = [one.silence.id for one in scenario.of(e.SilenceCreated)]
                if what < len(made):
                    _command(scenario, ExpireSilence(id=made[what]))
            case _:
                _command(scenario, what)
    return scenario


def _command(scenario: Scenario, command: Any) -> None:
    body = c.COMMAND.dump_json(command)
    scenario.feed(r.Commanded(scenario.at_ms, f"id{len(scenario.records)}", "user:li", body))


@settings(max_examples=150, deadline=None)
@given(HISTORIES, st.integers(0, 20))
def test_replay_and_snapshots_give_the_same(steps: list[tuple[str, Any]], cut: int) -> None:
    """Replay equals the log byte for byte; a snapshot and the rest equal the whole."""
    scenario = _play(steps)
    again = Core(PARSERS)
    events = []
    for place, record in enumerate(scenario.records):
        if place == cut:
            again = Core.from_snapshot(again.snapshot(), PARSERS)
        events.extend(again.handle(record).events)
    assert msgspec.json.encode(events) == msgspec.json.encode(scenario.events)
    assert again.snapshot() == scenario.core.snapshot()


@settings(max_examples=250, deadline=None)
@given(HISTORIES)
def test_the_books_balance_and_the_log_knows_who_is_held(steps: list[tuple[str, Any]]) -> None:
    """One disposition each; held and released in turn; whoever fires is in an incident or held, never both."""
    scenario = _play(steps)
    received = sum(len(what) for verb, what in steps if verb == "receive")
    assert sum(sum(page.values()) for page in scenario.core.books().values()) == received
    held, members = _fold(scenario.events)
    for one in scenario.core.live().alerts(_EVERYTHING):
        assert held.get(one.fingerprint, "") == (one.held if one.held != "storm" else "")
        assert (one.fingerprint in members) == (one.firing and not held.get(one.fingerprint))
    incidents = scenario.core._state.incidents
    assert all(one.firing >= 0 for one in incidents.values())
    assert sum(one.firing for one in incidents.values() if not one.merged_into) == len(members)


@settings(max_examples=250, deadline=None)
@given(HISTORIES)
def test_what_holds_an_alert_holds_it_still(steps: list[tuple[str, Any]]) -> None:
    """No alert stays held by what has ended: silence, window, source, flapping, time, rule, storm."""
    scenario = _play(steps)
    scenario.wait(0)
    core = scenario.core
    live, state = core.live(), core._state
    for one in live.alerts(_EVERYTHING):
        for name in one.held_by if one.firing else ():
            kept = state.alerts[one.fingerprint]
            match one.held:
                case "silenced":
                    silence = live.silence(name)
                    assert silence is not None
                    assert silence.state == "active"
                    assert matches(silence.silence.matchers, one.labels)
                case "in_maintenance":
                    assert live.open_windows()[name.removeprefix(MAINTENANCE)] > scenario.at_ms
                case "inhibited":
                    assert one.inhibited_by
                    assert all(state.alerts[source].firing for source in one.inhibited_by)
                case "flapping":
                    assert kept.flapping
                case "storm":
                    assert state.storms[one.scope].since_ms
                case _ if name.startswith("hold_back/"):
                    assert scenario.at_ms < kept.fired_ms + 90_000
                case _:
                    assert one.held in ("noise", "dropped_by_rule")


@settings(max_examples=150, deadline=None)
@given(HISTORIES)
def test_in_the_end_everything_is_judged(steps: list[tuple[str, Any]]) -> None:
    """Without silences, windows and rules, and after a while: whatever fires is in an incident, and no page is owed."""
    scenario = _play(steps)
    scenario.feed(r.Configured(scenario.at_ms, "user:li", PAGED.canonical()))
    for one in scenario.core.live().silences():
        _command(scenario, ExpireSilence(id=one.silence.id))
    scenario.wait(1300)
    assert not [one for one in scenario.core.live().alerts(_EVERYTHING) if one.held]
    assert not [one for one in scenario.core.live().alerts() if not one.incident or one.state == "suppressed"]
    open_ = {one.id for one in scenario.core._state.incidents.values() if one.is_open}
    assert not open_ & scenario.core._state.withheld.keys()


def _fold(events: list[e.Event]) -> tuple[dict[str, str], set[str]]:
    """Who is held, and who fires in some incident, as the log alone tells it."""
    held: dict[str, str] = {}
    members: set[str] = set()
    for event in events:
        match event.data:
            case e.AlertsHeld() as data:
                for ref in data.alerts:
                    assert data.again or ref.fingerprint not in held
                    assert ref.fingerprint not in members
                    held[ref.fingerprint] = data.disposition
            case e.AlertsReleased() as data:
                for one in data.fingerprints:
                    assert held.pop(one) == data.disposition
            case e.IncidentOpened() | e.AlertsAttached() | e.IncidentReopened() as data:
                joined = {ref.fingerprint for ref in data.alerts}
                assert not joined & members
                assert not joined & held.keys()
                members |= joined
            case e.AlertsResolved() as data:
                assert members >= set(data.fingerprints)
                members -= set(data.fingerprints)
            case _:
                pass
    return held, members
