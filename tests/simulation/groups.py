"""Notification groups in a history: who has to be told by which routes, and that nobody is told in vain.

Written from the words of Alertmanager's documentation, without its index, caches and lazy timers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from engine.core.state import AlertState, State
from schemas import events as e
from schemas.config import Rules
from schemas.dispatch import Dispatch, DispatchRoute
from schemas.matchers import matches, parse_matchers
from tests.simulation.world import World

SLACK_MS = 1000
DEFAULTS = {"group_wait": 30_000, "group_interval": 300_000, "repeat_interval": 14_400_000}
TREES: tuple[dict[str, Any], ...] = (
    {"receiver": "all", "group_by": ["alertname"]},
    {"receiver": "all", "group_wait": "0s", "group_by": ["..."], "repeat_interval": "6h"},
    {
        "receiver": "all", "group_by": [], "routes": [
            {"matchers": ['service=~"db|mail"'], "receiver": "quiet", "continue": True, "group_interval": "1m"},
            {"matchers": ['service="db"'], "receiver": "all", "group_by": ["service", "severity"], "routes": [
                {"matchers": ['severity="info"'], "receiver": "nobody"},
                {"matchers": ['severity="critical"'], "mute_time_intervals": ["nights"]},
            ]},
        ],
    },
    {
        "receiver": "broken", "group_interval": "3h", "repeat_interval": "8h",
        "routes": [{"matchers": ['alertname!="Down"'], "active_time_intervals": ["nights"]}],
    },
)  # fmt: skip
RECEIVERS: dict[str, Any] = {
    "all": {"integrations": [{"channel": "chat"}, {"channel": "phone"}]},
    "quiet": {"integrations": [{"channel": "mail", "send_resolved": False}]},
    "broken": {"integrations": [{"channel": "pigeon"}, {"channel": "mail"}]},
    "nobody": {},
}
NIGHTS = {"times": [{"start_time": "00:00", "end_time": "08:00"}], "location": "Asia/Shanghai"}


def some_dispatch(world: World) -> Dispatch:
    """A tree of routes, or none."""
    if world.chance(0.7):
        return Dispatch()
    tree = world.dice.choice(TREES)
    return Dispatch.model_validate({"route": tree, "receivers": RECEIVERS, "time_intervals": {"nights": [NIGHTS]}})


class Wanted(msgspec.Struct, frozen=True):
    """By one route an alert is to be told of, in a group with these labels, to this receiver."""

    receiver: str
    labels: dict[str, str]
    wait_ms: int
    interval_ms: int


def wanted(route: DispatchRoute, labels: Mapping[str, str], given: dict[str, Any] | None = None) -> list[Wanted]:
    """Whom the tree names for an alert, trying every route."""
    own = {**(given or {"group_by": (), **DEFAULTS}), **({"receiver": route.receiver} if route.receiver else {})}
    own |= {name: getattr(route, name) for name in ("group_by", *DEFAULTS) if getattr(route, name) is not None}
    found: list[Wanted] = []
    for below in route.routes:
        if all(matches(parse_matchers(text), labels) for text in below.matchers):
            found += wanted(below, labels, own)
            if not below.continue_:
                break
    if found:
        return found
    every = "..." in own["group_by"]
    group = {name: value for name, value in labels.items() if every or name in own["group_by"]}
    return [Wanted(own["receiver"], group, own["group_wait"], own["group_interval"])]


class Groups:
    """What receivers were told of groups, as the log tells it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._told: dict[tuple[str, str], e.GroupNotified] = {}
        """By group and channel: what is on its way or has arrived."""
        self._before: dict[str, e.GroupNotified | None] = {}
        """By delivery under way: what was told before it."""
        self._at_ms: dict[str, int] = {}
        self._held: dict[str, e.GroupSuppressed] = {}
        self._places: dict[str, tuple[str, str]] = {}

    def notified(self, event: e.Event, rules: Rules) -> None:
        """A receiver is told: there is a reason for it."""
        data = event.data
        assert isinstance(data, e.GroupNotified)
        place, demand = (data.group, data.channel), self._world.demand
        before, name = self._told.get(place), f"{data.group} to {data.channel}"
        self._world.saw(f"group told: {data.reason}")
        firing, known = set(data.firing), set(before.firing) if before is not None else set()
        match data.reason:
            case "first":
                # Who wants no resolved alerts is not told that all were over meanwhile, and the log does not say it.
                quiet = not all(one.send_resolved for one in rules.dispatch.receivers[data.receiver].integrations)
                demand(bool(firing) and (quiet or not known), f"{name} is told for the first time again: {data}")
            case "new_alerts":
                demand(bool(firing - known), f"{name} is told of new alerts: there are none")
            case "all_resolved":
                demand(not firing and bool(known), f"{name} is told that all is over: it knew of nothing")
            case "resolved_alerts":
                old = set(before.resolved) if before is not None else set()
                demand(bool(set(data.resolved) - old), f"{name} is told of resolved alerts: there are none")
            case "repeat":
                since_ms = event.at_ms - self._at_ms[before.delivery] if before is not None else 0
                shortest = min(_repeats(rules.dispatch.route)) if rules.dispatch.route else 0
                demand(before is not None and since_ms > shortest, f"{name} is told again after {since_ms} ms")
        self._before[data.delivery], self._at_ms[data.delivery] = before, event.at_ms
        self._told[place], self._places[data.delivery] = data, place

    def suppressed(self, data: e.GroupSuppressed) -> None:
        """Alerts are held back, and the log says why; it says so once."""
        before = self._held.get(data.group)
        same = before is not None and (before.alerts, before.by) == (data.alerts, data.by)
        self._world.demand(not same, f"{data.group} says twice why it is held back")
        self._held[data.group] = data
        for reason in data.alerts:
            self._world.saw(f"group held back: {reason}")

    def ended(self, data: Any) -> None:
        """A delivery is over: what did not arrive was not told."""
        if data.delivery not in self._before:
            return
        before, place = self._before.pop(data.delivery), self._places.pop(data.delivery)
        if isinstance(data, e.DeliveryFailed | e.DeliveryCancelled) and self._told[place].delivery == data.delivery:
            self._world.saw("group told in vain")
            if before is None:
                del self._told[place]
            else:
                self._told[place] = before

    def agrees(self, state: State, rules: Rules) -> None:
        """Each alert that fires is told of, held back for a reason on record, or a timer will see to it in time."""
        route = rules.dispatch.route
        self._world.demand(route is not None or not state.dispatch.groups, "there are groups and no routes")
        for alert in state.alerts.values() if route is not None else ():
            if alert.firing:
                for one in wanted(route, alert.labels):  # type: ignore[arg-type]
                    self._is_seen_to(alert, one, state, rules)

    def _is_seen_to(self, alert: AlertState, one: Wanted, state: State, rules: Rules) -> None:
        found = [
            group for group in state.dispatch.groups.values()
            if (group.receiver, group.labels) == (one.receiver, one.labels) and alert.fingerprint in group.alerts
        ]  # fmt: skip
        what = f"alert {alert.fingerprint} for {one.receiver}"
        self._world.demand(bool(found), f"{what} is in no group")
        if not found:
            return
        group = found[0]
        rings = (group.due_ms, "group", group.id) in state.timers
        latest_ms = state.now_ms + max(one.wait_ms, one.interval_ms) + SLACK_MS
        if rings and group.due_ms <= latest_ms:
            return
        held = self._held.get(group.id)
        if held is not None and any(alert.fingerprint in held_back for held_back in held.alerts.values()):
            self._world.demand(False, f"{what} is held back, and no timer looks whether it still is")
        for integration in rules.dispatch.receivers[one.receiver].integrations:
            told = self._told.get((group.id, integration.channel))
            known = told is not None and alert.fingerprint in told.firing
            self._world.demand(known, f"{what} is not told to {integration.channel}, and no timer will see to it")


def _repeats(route: DispatchRoute) -> list[int]:
    own = DEFAULTS["repeat_interval"] if route.repeat_interval is None else route.repeat_interval
    return [own, *(shortest for below in route.routes for shortest in _repeats(below))]
