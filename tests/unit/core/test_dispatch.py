"""Notification groups: who is told of which alerts, when, why, and why not, as Alertmanager decides it."""

from __future__ import annotations

from typing import Any

import pytest

from engine.core import Core
from schemas import events as e
from schemas import records as r
from schemas.config import Rules
from schemas.dispatch import Dispatch
from tests.scenario import NOON, PARSERS, Scenario, alert

HOOK = {"integrations": [{"channel": "hook"}]}
QUIET = {"integrations": [{"channel": "mail", "send_resolved": False}]}


def rules(*routes: dict[str, Any], receivers: dict[str, Any] | None = None, **root: Any) -> Rules:
    """Rules with a root route to `default`, grouped by alert name, unless `root` says otherwise."""
    route = {"receiver": "default", "group_by": ["alertname"], "routes": routes, **root}
    given = {"route": route, "receivers": {"default": HOOK, "quiet": QUIET, "nobody": {}, **(receivers or {})}}
    intervals = {"nights": [{"times": [{"start_time": "00:00", "end_time": "08:00"}], "location": "Asia/Shanghai"}]}
    dispatch = Dispatch.model_validate({**given, "time_intervals": intervals})
    return Rules(dispatch=dispatch, expiry_s={"test": 999_999})


def told(scenario: Scenario) -> list[tuple[str, str, int, int]]:
    """Each message so far: receiver, why, how many alerts fire and how many are over."""
    return [(one.receiver, one.reason, len(one.firing), len(one.resolved)) for one in scenario.of(e.GroupNotified)]


def deliver(scenario: Scenario, outcome: str = "ok") -> None:
    """The outbox makes every attempt that is ordered."""
    while scenario.core.pending_deliveries():
        scenario.answer(outcome)


def test_a_group_waits_for_more_alerts_then_tells_of_all() -> None:
    """Nothing before `group_wait`; then one message with what came meanwhile."""
    scenario = Scenario(rules()).receive(alert(instance="a")).wait(20).receive(alert(instance="b")).wait(9.9)
    assert told(scenario) == []
    scenario.wait(0.1)
    assert told(scenario) == [("default", "first", 2, 0)]
    assert scenario.one(e.GroupNotified).key == '{}:{alertname="HighErrorRate"}'


def test_no_group_wait_pages_in_the_same_step() -> None:
    """`group_wait: 0s`: the record that brings the alert decides the message."""
    scenario = Scenario(rules(group_wait="0s")).receive(alert(), alert(instance="b"))
    assert told(scenario) == [("default", "first", 2, 0)]
    assert scenario.core.pending_deliveries()[0].channel == "hook"


def test_an_alert_that_has_long_fired_waits_no_more() -> None:
    """Its start lies further back than `group_wait`: somebody is told at once."""
    scenario = Scenario(rules()).receive(alert(starts_ms=NOON - 31_000))
    assert told(scenario) == [("default", "first", 1, 0)]


def test_what_changes_is_told_at_the_next_whole_interval() -> None:
    """A new alert 1 s after the first message is told of 5 minutes after that message, not earlier."""
    scenario = Scenario(rules()).receive(alert()).wait(30)
    deliver(scenario)
    scenario.wait(1).receive(alert(instance="b")).wait(298)
    assert len(told(scenario)) == 1
    scenario.wait(1)
    assert told(scenario)[1:] == [("default", "new_alerts", 2, 0)]


def test_resolved_alerts_are_told_and_leave_with_the_last_one_the_group() -> None:
    """Some, then all of them are over; what was told leaves no state behind."""
    scenario = Scenario(rules()).receive(alert(instance="a"), alert(instance="b")).wait(30)
    deliver(scenario)
    scenario.receive(alert(instance="a", status="resolved")).wait(300)
    deliver(scenario)
    scenario.receive(alert(instance="b", status="resolved")).wait(300)
    deliver(scenario)
    assert told(scenario)[1:] == [("default", "resolved_alerts", 1, 1), ("default", "all_resolved", 0, 1)]
    dispatch = scenario.core._state.dispatch
    assert not dispatch.groups
    assert not scenario.core._state.told


def test_an_unchanged_group_is_told_again_after_the_repeat_interval() -> None:
    """4 h after the last message, at a whole interval, strictly later: as Alertmanager, at 4 h 5 min; and no timer
    rings in between."""
    scenario = Scenario(rules()).receive(alert()).wait(30)
    deliver(scenario)
    before = len(scenario.records)
    scenario.wait(4 * 3600)
    assert len(told(scenario)) == 1
    assert len(scenario.records) - before < 10
    scenario.wait(300)
    assert told(scenario)[1:] == [("default", "repeat", 1, 0)]


def test_fired_and_over_before_anybody_was_told_is_nobodys_business() -> None:
    """An alert that heals within `group_wait` causes no message."""
    scenario = Scenario(rules()).receive(alert()).wait(10).receive(alert(status="resolved")).wait(3600)
    assert told(scenario) == []
    assert not scenario.core._state.dispatch.groups


def test_who_wants_no_resolved_alerts_is_told_of_those_that_fire_only() -> None:
    """Without `send_resolved` the end of an alert causes no message, and the next one does not list it."""
    scenario = Scenario(rules(receiver="quiet")).receive(alert(instance="a"), alert(instance="b")).wait(30)
    deliver(scenario)
    scenario.receive(alert(instance="a", status="resolved")).wait(300)
    assert len(told(scenario)) == 1
    scenario.receive(alert(instance="c")).wait(300)
    assert told(scenario)[1:] == [("quiet", "new_alerts", 2, 0)]
    deliver(scenario)
    scenario.receive(alert(instance="b", status="resolved"), alert(instance="c", status="resolved")).wait(600)
    assert len(told(scenario)) == 2
    assert not scenario.core._state.dispatch.groups


def test_the_tree_is_walked_as_alertmanager_walks_it() -> None:
    """The first child that matches ends the search unless it says `continue`; a parent takes what no child wants."""
    tree = rules(
        {"matchers": ["severity=critical"], "receiver": "a", "continue": True},
        {"matchers": ['service=~"shop|cart"'], "receiver": "b", "routes": [{"matchers": ["team=x"], "receiver": "c"}]},
        {"matchers": ["severity=critical"], "receiver": "d"},
        group_wait="0s",
        receivers=dict.fromkeys("abcd", HOOK),
    )

    def receivers(**labels: Any) -> list[str]:
        return [one[0] for one in told(Scenario(tree).receive(alert(**labels)))]

    assert receivers() == ["a", "b"]
    assert receivers(team="x") == ["a", "c"]
    assert receivers(service="db") == ["a", "d"]
    assert receivers(service="db", severity="info") == ["default"]


def test_all_labels_make_a_group_or_none_does() -> None:
    """`...` groups nothing together, an empty list everything."""
    two = alert(instance="a"), alert("Other", instance="b")
    assert len(told(Scenario(rules(group_wait="0s", group_by=["..."])).receive(*two))) == 2
    assert told(Scenario(rules(group_wait="0s", group_by=[])).receive(*two)) == [("default", "first", 2, 0)]


def test_every_integration_is_told_and_remembers_for_itself() -> None:
    """Two ways of one receiver: where one fails for good, it alone is told again at the next interval."""
    both = {"integrations": [{"channel": "hook"}, {"channel": "mail"}]}
    scenario = Scenario(rules(group_wait="0s", receivers={"default": both})).receive(alert())
    assert [one.channel for one in scenario.of(e.GroupNotified)] == ["hook", "mail"]
    scenario.answer("ok").answer("failed", reason="no such host")
    scenario.wait(300)
    assert [(one.channel, one.reason) for one in scenario.of(e.GroupNotified)[2:]] == [("mail", "first")]


def test_a_message_that_has_not_left_gives_way_to_a_newer_one() -> None:
    """While a channel is down, only the latest state of the group waits for it."""
    scenario = Scenario(rules(group_wait="0s", group_interval="10s")).receive(alert(instance="a")).answer("retry")
    scenario.wait(1).receive(alert(instance="b")).wait(9)
    assert scenario.one(e.DeliveryCancelled).reason == "superseded"
    assert told(scenario)[1:] == [("default", "first", 2, 0)]


def test_resolved_alerts_stay_until_somebody_knows() -> None:
    """Where the message that tells of the end is lost, the next one tells of it."""
    scenario = Scenario(rules(group_wait="0s", group_interval="10s")).receive(alert()).answer("ok")
    scenario.receive(alert(status="resolved")).wait(10).answer("failed", reason="gone")
    scenario.wait(10).answer("ok")
    assert told(scenario)[1:] == [("default", "all_resolved", 0, 1)] * 2
    assert not scenario.core._state.dispatch.groups


def test_mute_and_active_times_hold_back_and_say_so() -> None:
    """NOON is noon in China: outside of the nights. What is held back by the time is told once the time is over."""
    active = {"matchers": ["team=x"], "active_time_intervals": ["nights"]}
    muted = {"matchers": ["team=y"], "mute_time_intervals": ["nights"]}
    scenario = Scenario(rules(active, muted, group_wait="0s", group_by=["team"]))
    scenario.receive(alert(team="x"), alert(team="y"))
    assert scenario.one(e.GroupNotified).key == '{}/{team="y"}:{team="y"}'
    held = scenario.one(e.GroupSuppressed)
    assert (list(held.alerts), held.by) == (["inactive"], ["nights"])
    deliver(scenario)
    scenario.wait(12 * 3600)
    assert scenario.of(e.GroupSuppressed)[1].alerts == {}
    assert scenario.of(e.GroupNotified)[-1].key == '{}/{team="x"}:{team="x"}'
    scenario.wait(3600)  # y would be told again at a quarter past midnight
    assert list(scenario.of(e.GroupSuppressed)[2].alerts) == ["muted"]


def test_the_notice_has_the_alerts_when_it_is_handed_over() -> None:
    """The log keeps fingerprints; the channel gets labels, annotations, start and end, in Alertmanager's order."""
    scenario = Scenario(rules(group_wait="0s")).receive(alert(instance="b"), alert(instance="a"), alert(job="z"))
    requested = scenario.one(e.DeliveryRequested)
    assert requested.notice.group is not None
    assert requested.notice.group.alerts == []
    [pending] = scenario.core.pending_deliveries()
    group = pending.notice.group
    assert group is not None
    assert [bytes(one.labels).decode().count('"job"') for one in group.alerts] == [1, 0, 0]
    assert [one.starts_ms for one in group.alerts] == [NOON] * 3
    assert pending.notice.title == "[FIRING:3] HighErrorRate"
    assert pending.notice.alerts[1:] == ["HighErrorRate @ a", "HighErrorRate @ b"]


def test_other_rules_forget_nothing_that_was_told() -> None:
    """After a reload nobody is told again of what they know; a new receiver is told."""
    scenario = Scenario(rules(group_wait="0s")).receive(alert()).answer("ok")
    changed = rules(group_wait="1s", group_interval="10s")
    scenario.wait(5).feed(r.Configured(scenario.at_ms, "test", changed.canonical()))
    scenario.wait(60)
    assert len(told(scenario)) == 1
    other = rules({"matchers": ["service=shop"], "receiver": "new"}, group_wait="0s", receivers={"new": HOOK})
    scenario.feed(r.Configured(scenario.at_ms, "test", other.canonical()))
    assert told(scenario)[1:] == [("new", "first", 1, 0)]


def test_a_snapshot_changes_no_decision() -> None:
    """From a snapshot the same messages follow as without."""
    scenario = Scenario(rules()).receive(alert(), alert("Other")).wait(31)
    deliver(scenario)
    scenario.receive(alert(instance="b"))
    other = Core.from_snapshot(scenario.core.snapshot(), PARSERS)
    due = scenario.core.next_due_ms()
    assert due == other.next_due_ms()
    while due is not None and due < NOON + 3_600_000:
        assert scenario.core.handle(r.Tick(due)).events == other.handle(r.Tick(due)).events
        due = scenario.core.next_due_ms()


def test_without_a_route_there_are_no_groups() -> None:
    """Dispatch is off by default."""
    scenario = Scenario(Rules()).receive(alert()).wait(3600)
    assert not scenario.of(e.GroupNotified)


@pytest.mark.parametrize(
    ("dispatch", "place"),
    [
        ({"route": {}}, "route.receiver"),
        ({"route": {"receiver": "x"}}, "route.receiver: no receiver named 'x'"),
        ({"route": {"receiver": "a", "matchers": ["a=b"]}}, "route.matchers: the root route must not have any"),
        ({"route": {"receiver": "a", "routes": [{"receiver": "b"}]}}, "route.routes[0].receiver"),
        ({"route": {"receiver": "a", "routes": [{"mute_time_intervals": ["n"]}]}}, "no time interval named 'n'"),
        ({"route": {"receiver": "a", "group_by": ["...", "x"]}}, "cannot have `...`"),
        ({"route": {"receiver": "a", "group_interval": "0s"}}, "group_interval: cannot be zero"),
        ({"route": {"receiver": "a", "routes": [{"matchers": ["a=~("]}]}}, "bad regular expression"),
        ({"route": {"receiver": "a", "group_wait": "1 hour"}}, "expected a duration"),
    ],
)
def test_a_bad_tree_is_refused_with_its_place(dispatch: dict[str, Any], place: str) -> None:
    """Each mistake is found when the rules are read."""
    with pytest.raises(ValueError) as refused:
        Dispatch.model_validate({"receivers": {"a": {}}, **dispatch})
    assert place in str(refused.value)
