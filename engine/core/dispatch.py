"""Dispatch: alerts into notification groups by the tree of routes, and when whom to tell of a group.

A group is looked at `group_wait` after its first alert, then at whole `group_interval`s. Where nothing has changed a
look would decide nothing, so that no timer rings for it but when a receiver has to be told again: what it decides is
what Alertmanager decides (`dispatch/dispatch.go`), looking every time. Groups with alerts that are held back are looked
at each time, for they may come free by themselves.
"""

from __future__ import annotations

from typing import Final

import msgspec

from detectors.routes import RouteOptions, RouteTree, labels_text
from detectors.time_intervals import contains
from engine.core import group_notices
from engine.core.state import AlertState, State
from engine.core.step import Step
from engine.core.triage import incident_id
from engine.machines import delivery
from engine.machines.dispatch import Group, Told, Way, why_tell
from schemas import events as e
from schemas.alerts import labels_of
from schemas.config import Rules
from schemas.dispatch import Integration
from schemas.groups import SuppressionReason

_HELD: Final[dict[str, SuppressionReason]] = {
    "flapping": "flapping", "noise": "noise", "dropped_by_rule": "dropped_by_rule", "in_maintenance": "in_maintenance",
    "silenced": "silenced", "inhibited": "inhibited",
}  # fmt: skip
_WINDOW: Final = "maintenance/"
_PLACES_KEPT = 100_000
"""Label sets whose place in the tree is remembered; when they are full, all are forgotten."""

Place = tuple[RouteOptions, dict[str, str], str]
"""A route that takes an alert, the group's labels, and the same as text."""


class Dispatch:
    """The notification groups of one partition."""

    def __init__(self, state: State, rules: Rules) -> None:
        self._state = state
        self._ids = {(group.route, labels_text(group.labels)): group.id for group in state.dispatch.groups.values()}
        self._due_now: dict[str, None] = {}
        self._known: dict[tuple[str, str], Group] = {}
        """While the rules change: the groups of before, by key and receiver."""
        self._places: dict[bytes, list[Place]] = {}
        self._use(rules)

    def _use(self, rules: Rules) -> None:
        self._rules = rules.dispatch
        self._tree = RouteTree(rules.dispatch.route) if rules.dispatch.route else None
        self._places.clear()

    # --- what happens to alerts ---------------------------------------------------------------------------------

    def take(self, step: Step) -> None:
        """What a record has changed: alerts that fire now or are over, and deliveries that have ended."""
        for pending, event in step.ended:
            self._delivered(pending, event, step)
        step.ended.clear()
        if self._tree is not None:
            for alert in step.changed.values():
                self._place(alert, step)
        step.changed.clear()
        due, self._due_now = self._due_now, {}
        for group_id in due:
            self._look(self._state.dispatch.groups[group_id], step)

    def places(self, labels_raw: bytes) -> list[Place]:
        """The routes that take an alert with these labels, each with the group in which it belongs."""
        assert self._tree is not None
        found = self._places.get(labels_raw)
        if found is None:
            labels = labels_of(labels_raw)
            found = []
            for route in self._tree.matching(labels):
                own = route.group_labels(labels)
                found.append((route, own, labels_text(own)))
            if len(self._places) >= _PLACES_KEPT:
                self._places.clear()
            self._places[labels_raw] = found
        return found

    def _place(self, alert: AlertState, step: Step) -> None:
        groups = self._state.dispatch.groups
        for route, labels, text in self.places(alert.judged_raw or alert.labels_raw):
            group = groups.get(self._ids.get((route.id, text), ""))
            if group is None:
                if alert.firing:
                    self._begin(route, labels, text, alert, step)
                continue
            group.alerts[alert.fingerprint] = None
            if group.flushed_ms:
                self._arm(group, group.next_look_ms(step.at_ms, route.group_interval_ms), step)

    def _begin(self, route: RouteOptions, labels: dict[str, str], text: str, alert: AlertState, step: Step) -> Group:
        """A group for its first alert; one that has fired for longer than `group_wait` already waits no more."""
        dispatch = self._state.dispatch
        key = f"{route.key}:{text}"
        group = self._again(Group("", route.id, key, route.receiver, labels, {alert.fingerprint: None}))
        if not group.id:
            number = dispatch.numbers[alert.scope] = dispatch.numbers.get(alert.scope, 0) + 1
            group.id = "G" + incident_id(alert.scope, number).removeprefix("INC")
        dispatch.groups[group.id] = group
        self._ids[route.id, text] = group.id
        if route.group_wait_ms == 0 or alert.starts_ms + route.group_wait_ms < step.at_ms:
            self._due_now[group.id] = None
        else:
            self._arm(group, step.at_ms + route.group_wait_ms, step)
        return group

    def _arm(self, group: Group, due_ms: int, step: Step) -> None:
        if not group.due_ms or due_ms < group.due_ms:
            group.due_ms = due_ms
            step.timers.set(due_ms, "group", group.id)

    # --- looking at a group -------------------------------------------------------------------------------------

    def ring(self, group_id: str, due_ms: int, step: Step) -> None:
        """The timer of a group rang; one that was set anew meanwhile rings again."""
        self.take(step)
        group = self._state.dispatch.groups.get(group_id)
        if group is not None and group.due_ms == due_ms and self._tree is not None:
            self._look(group, step)

    def _look(self, group: Group, step: Step) -> None:
        assert self._tree is not None
        route = self._tree.by_id[group.route]
        group.flushed_ms, group.due_ms, group.settling = step.at_ms, 0, {}
        free, held, by = self._sorted_out(group, route, step.at_ms)
        self._say_held(group, held, by, step)
        resolved = {alert.fingerprint: alert.resolved_ms for alert in free if not alert.firing}
        gone = {fingerprint: 0 for fingerprint in group.alerts if fingerprint not in self._state.alerts}
        over = {f: self._state.alerts[f].resolved_ms for f in group.alerts if f not in gone and not self._fires(f)}
        group.settling = gone | over
        firing = [alert.fingerprint for alert in free if alert.firing]
        waits = False
        if free:
            for integration in self._rules.receivers[group.receiver].integrations:
                told = Told(step.at_ms, firing, list(resolved))
                waits |= not self._tell(group, integration, told, route, step)
        if not group.is_busy:
            self._settle(group, step)
        if group.id not in self._state.dispatch.groups:
            return
        if held or waits or group.settling:
            self._arm(group, step.at_ms + route.group_interval_ms, step)
        repeat_ms = group.repeat_due_ms(route.repeat_interval_ms, route.group_interval_ms) if firing else None
        if repeat_ms is not None:
            self._arm(group, repeat_ms, step)

    def _fires(self, fingerprint: str) -> bool:
        alert = self._state.alerts.get(fingerprint)
        return alert is not None and alert.firing

    def _sorted_out(
        self, group: Group, route: RouteOptions, at_ms: int
    ) -> tuple[list[AlertState], dict[SuppressionReason, list[str]], list[str]]:
        """The alerts of a group that may be told of; those that fire and may not, by reason; and the intervals."""
        alerts = [alert for fingerprint in group.alerts if (alert := self._state.alerts.get(fingerprint)) is not None]
        muted_by = [name for name in route.mute if self._lies_within(name, at_ms)]
        inactive = bool(route.active) and not any(self._lies_within(name, at_ms) for name in route.active)
        if muted_by or inactive:
            reason: SuppressionReason = "inactive" if inactive else "muted"
            firing = [alert.fingerprint for alert in alerts if alert.firing]
            return [], {reason: firing} if firing else {}, list(route.active) if inactive else muted_by
        free: list[AlertState] = []
        held: dict[SuppressionReason, list[str]] = {}
        for alert in alerts:
            why = held_back(alert)
            if why is None:
                free.append(alert)
            elif alert.firing:
                held.setdefault(why, []).append(alert.fingerprint)
        return free, held, []

    def _lies_within(self, name: str, at_ms: int) -> bool:
        return any(contains(interval, at_ms) for interval in self._rules.time_intervals[name])

    def _say_held(self, group: Group, held: dict[SuppressionReason, list[str]], by: list[str], step: Step) -> None:
        by = by if held else []
        if (held, by) == (group.held, group.by):
            return
        group.held, group.by = held, by
        suppressed = e.GroupSuppressed(
            group.id, group.route, group.key, group.receiver, held, by, self._state.rules_version
        )
        step.log(suppressed, scope="default", subject=f"group/{group.id}")

    # --- telling ------------------------------------------------------------------------------------------------

    def _tell(self, group: Group, integration: Integration, now: Told, route: RouteOptions, step: Step) -> bool:
        """Tell one integration if there is need; False where an earlier message has left and has no answer yet."""
        way = group.ways.setdefault(integration.channel, Way())
        if way.delivery and not self._superseded(way, step):
            return False
        reason = why_tell(
            way.told,
            set(now.firing),
            set(now.resolved),
            send_resolved=integration.send_resolved,
            repeat_before_ms=now.at_ms - route.repeat_interval_ms,
        )
        if reason is None:
            return True
        if not integration.send_resolved and not now.firing:
            way.told = now
            return True
        shown = now if integration.send_resolved else Told(now.at_ms, now.firing)
        alerts = [self._state.alerts[fingerprint] for fingerprint in (*shown.firing, *shown.resolved)]
        notice = group_notices.notice_of(group, shown, reason, alerts, step.rules)
        delivery_id = f"{group.id}.{self._state.told.get(group.id, 0) + 1}"
        notified = e.GroupNotified(
            group.id, group.route, group.key, group.receiver, integration.channel, reason, delivery_id, shown.firing,
            shown.resolved, self._state.rules_version,
        )  # fmt: skip
        step.log(notified, scope="default", subject=f"group/{group.id}")
        way.begin(now, delivery_id)
        step.request(group.receiver, (integration.channel,), notice, scope="default")
        return True

    def _superseded(self, way: Way, step: Step) -> bool:
        """Take back a message that has not left yet, for a newer one; False if it has left."""
        pending = self._state.deliveries.get(way.delivery)
        if pending is not None:
            if pending.phase == "started":
                return False
            for event in delivery.cancel(pending, "superseded"):
                step.delivery(event, scope=pending.scope)
        way.end(arrived=False)
        return True

    def _delivered(self, pending: delivery.Delivery, event: delivery.DeliveryEvent, step: Step) -> None:
        """A message about a group has come to its end; what did not arrive is decided again at the next look."""
        group = self._state.dispatch.groups.get(pending.incident)
        if group is None:
            self._forget(pending.incident)
            return
        way = group.ways.get(pending.channels[0])
        if way is None or way.delivery != pending.id:
            return
        arrived = isinstance(event, e.DeliverySucceeded | e.DeliveryUnconfirmed)
        way.end(arrived=arrived)
        if not arrived and self._tree is not None:
            group.settling = {}
            interval_ms = self._tree.by_id[group.route].group_interval_ms
            self._arm(group, group.next_look_ms(step.at_ms, interval_ms), step)
        elif not group.is_busy:
            self._settle(group, step)

    def _settle(self, group: Group, step: Step) -> None:
        """Receivers know of the resolved alerts: those that have not fired again leave, with the last one the group."""
        for fingerprint, resolved_ms in group.settling.items():
            alert = self._state.alerts.get(fingerprint)
            if alert is None or (not alert.firing and alert.resolved_ms == resolved_ms):
                group.alerts.pop(fingerprint, None)
        group.settling = {}
        if not group.alerts:
            self._end(group, step)

    def _end(self, group: Group, step: Step) -> None:
        for way in group.ways.values():
            pending = self._state.deliveries.get(way.delivery)
            for event in delivery.cancel(pending, "group ended") if pending is not None else ():
                step.delivery(event, scope="default")
        del self._state.dispatch.groups[group.id]
        self._ids.pop((group.route, labels_text(group.labels)), None)
        self._forget(group.id)

    def _forget(self, group_id: str) -> None:
        self._state.told.pop(group_id, None)
        self._state.reached.pop(group_id, None)

    # --- other rules --------------------------------------------------------------------------------------------

    def configure(self, rules: Rules, step: Step) -> None:
        """Decide by other rules from now on, in groups made anew. What receivers know of a group stays known."""
        if rules.dispatch == self._rules:
            return
        before, self._ids = self._state.dispatch.groups, {}
        self._state.dispatch.groups, self._due_now = {}, {}
        self._use(rules)
        for group in before.values():
            self._withdraw(group, step)
        self._known = {(group.key, group.receiver): group for group in reversed(before.values())}
        unsettled = {fingerprint for group in before.values() for fingerprint in group.alerts}
        if self._tree is not None:
            for alert in self._state.alerts.values():
                if alert.firing or alert.fingerprint in unsettled:
                    self._place(alert, step)
        for group_id in before:
            if group_id not in self._state.dispatch.groups:
                self._forget(group_id)
        self._known = {}

    def _withdraw(self, group: Group, step: Step) -> None:
        """What has not left yet is not sent any more: the new groups decide anew."""
        for way in group.ways.values():
            if way.delivery:
                self._superseded(way, step)

    def _again(self, group: Group) -> Group:
        """The same group with what its receivers know by the rules before these."""
        known = self._known.pop((group.key, group.receiver), None)
        if known is None:
            return group
        wanted = {integration.channel for integration in self._rules.receivers[group.receiver].integrations}
        ways = {channel: way for channel, way in known.ways.items() if channel in wanted}
        return msgspec.structs.replace(group, id=known.id, ways=ways, held=known.held, by=known.by)

    # --- what others may look at --------------------------------------------------------------------------------

    def receivers_of(self, alert: AlertState) -> list[str]:
        """The receivers to which an alert goes, in the order of the routes that say so."""
        if self._tree is None:
            return []
        return [route.receiver for route, _, _ in self.places(alert.judged_raw or alert.labels_raw)]

    def filled_in(self, pending: delivery.Delivery) -> e.Notice:
        """The notice of a delivery with the alerts that it tells of."""
        group = self._state.dispatch.groups.get(pending.incident)
        way = group.ways.get(pending.channels[0]) if group else None
        if way is None or way.told is None or way.delivery != pending.id:
            return pending.notice
        return group_notices.filled_in(pending.notice, way.told, self._state)


def held_back(alert: AlertState) -> SuppressionReason | None:
    """Why an alert is not told of now, or None."""
    if alert.muted_by:
        return "in_maintenance" if all(name.startswith(_WINDOW) for name in alert.muted_by) else "silenced"
    if alert.inhibited_by:
        return "inhibited"
    return _HELD.get(alert.held)
