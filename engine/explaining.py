"""Explanations from the log: of an alert, of an incident, and of a receiver ("why was I paged at 03:12", "why not")."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

import msgspec

from engine.store import Store
from engine.whatif import latest_ms
from schemas import events as e
from schemas.config import Route, Rules
from schemas.errors import CommandRejected
from schemas.explained import Explanation, Reason, WhyNot
from schemas.groups import GroupNotified, GroupSuppressed
from schemas.held import AlertsHeld, AlertsReleased, FlappingEnded, FlappingStarted, PageWithheld

FINGERPRINT = re.compile(r"[0-9a-f]{16}")
AROUND_MS = 15 * 60_000
ALERT_MS = 7 * 86_400_000
"""So far back an alert's decisions are looked for, where nobody says how far."""
RECEIVER_MS = 86_400_000
"""The same of a receiver."""
MOST_EVENTS = 200_000
"""Of the log in one explanation: the latest of the period."""
_HIDDEN = {
    "type", "incident", "alerts", "labels", "notice", "fingerprints", "rules_version", "group_key", "title", "firing",
    "resolved", "channels",
}  # fmt: skip

RulesOf = Callable[[int], Rules]
"""The rules of a version."""


def explain(store: Store, subject: str, *, at_ms: int | None, around_ms: int, rules_of: RulesOf) -> Explanation:
    """Why things are so about an alert (its fingerprint), an incident (its id) or else a receiver (its name).

    `at_ms` is when, and `around_ms` how much before and after counts; without it the latest days of the log do. Raises
    CommandRejected (``not_found``).
    """
    if logged := store.log_of(f"incident/{subject}"):
        return _incident(store, subject, logged)
    is_alert = FINGERPRINT.fullmatch(subject) is not None
    if at_ms is not None:
        since_ms, until_ms = at_ms - around_ms, at_ms + around_ms
    else:
        until_ms = latest_ms(store)
        since_ms = until_ms - (ALERT_MS if is_alert else RECEIVER_MS)
    if is_alert:
        return _alert(store, subject, since_ms, until_ms)
    return _receiver(store, subject, since_ms, until_ms, rules_of)


# --- an incident ------------------------------------------------------------------------------------------------------


def _incident(store: Store, incident: str, logged: list[e.LoggedEvent]) -> Explanation:
    every = list(logged)
    number = 1
    while delivery := store.log_of(f"delivery/{incident}.{number}"):
        every += delivery
        number += 1
    every.sort(key=lambda one: one.seq)
    steps = [_reason(one, incident) for one in every]
    return Explanation("incident", incident, steps[0].at_ms, steps[-1].at_ms, steps)


# --- an alert ---------------------------------------------------------------------------------------------------------


def _alert(store: Store, alert: str, since_ms: int, until_ms: int) -> Explanation:
    incidents: dict[str, None] = {}
    found: list[Reason] = []
    for one in between(store, since_ms, until_ms):
        if alert in named(one.event.data):
            incident = getattr(one.event.data, "incident", "")
            incidents[incident] = None
            found.append(_reason(one, incident))
        elif (incident := incident_of(one.event.data)) and incident in incidents:
            found.append(_reason(one, incident))
    if not found:
        raise CommandRejected("not_found", f"nothing was decided about an alert {alert} in this time")
    return Explanation("alert", alert, since_ms, until_ms, found)


def named(data: e.EventData) -> list[str]:
    """The fingerprints of the alerts that an event is about."""
    match data:
        case (
            e.IncidentOpened(alerts=alerts)
            | e.AlertsAttached(alerts=alerts)
            | e.IncidentReopened(alerts=alerts)
            | AlertsHeld(alerts=alerts)
        ):
            return [alert.fingerprint for alert in alerts]
        case e.AlertsResolved(fingerprints=fingerprints) | AlertsReleased(fingerprints=fingerprints):
            return fingerprints
        case FlappingStarted(fingerprint=fingerprint) | FlappingEnded(fingerprint=fingerprint):
            return [fingerprint]
        case GroupNotified():
            return data.firing + data.resolved
        case GroupSuppressed():
            return [one for held in data.alerts.values() for one in held]
        case _:
            return []


def incident_of(data: e.EventData) -> str:
    """The incident that an event is about, or an empty string."""
    if isinstance(data, e.DeliveryRequested):
        return data.notice.incident
    incident = getattr(data, "incident", "")
    return str(incident or getattr(data, "delivery", "").rpartition(".")[0])


# --- a receiver -------------------------------------------------------------------------------------------------------


def _receiver(store: Store, receiver: str, since_ms: int, until_ms: int, rules_of: RulesOf) -> Explanation:
    """What it was told in this time with what led there, and what happened that it was not told of."""
    period = list(between(store, since_ms, until_ms))
    told = [one for one in period if _tells(one.event.data, receiver)]
    incidents = dict.fromkeys(incident_of(one.event.data) for one in told)
    every = {one.seq: one for one in period if incident_of(one.event.data) in incidents or one in told}
    for incident in incidents:
        every |= {one.seq: one for one in store.log_of(f"incident/{incident}") if one.event.at_ms <= until_ms}
    steps = [_reason(every[seq], incident_of(every[seq].event.data)) for seq in sorted(every)]
    steps = [_routed(step, every, receiver, rules_of) for step in steps]
    not_told = list(_not_told(store, period, receiver, incidents, rules_of))
    if not steps and not not_told:
        raise CommandRejected("not_found", f"nothing in this time is about {receiver}, and there was nothing to tell")
    return Explanation("receiver", receiver, since_ms, until_ms, steps, not_told)


def _tells(data: e.EventData, receiver: str) -> bool:
    return isinstance(data, e.DeliveryRequested | GroupNotified) and data.receiver == receiver


def _routed(step: Reason, every: dict[int, e.LoggedEvent], receiver: str, rules_of: RulesOf) -> Reason:
    """A request to tell somebody, with the route that led there."""
    if step.type != "delivery_requested":
        return step
    (requested,) = [one.event.data for one in every.values() if one.id == step.event]
    assert isinstance(requested, e.DeliveryRequested)
    opened = next(
        (
            one.event.data
            for one in every.values()
            if isinstance(one.event.data, e.IncidentOpened) and one.event.data.incident == step.incident
        ),
        None,
    )
    if opened is None or requested.receiver != receiver:
        return step
    scope = next(one.event.scope for one in every.values() if one.event.data is opened)
    places = _routes_to(receiver, opened, requested.notice.priority, scope, rules_of(requested.rules_version))
    return msgspec.structs.replace(step, rule=f"routes[{places[0]}]") if places else step


def _routes_to(receiver: str, opened: e.IncidentOpened, priority: e.Priority, scope: str, rules: Rules) -> list[int]:
    taken = []
    for place, route in enumerate(rules.routes):
        if _matches(route, opened, priority, scope):
            if route.receiver == receiver:
                taken.append(place)
            if not route.also:
                break
    return taken


def _matches(route: Route, opened: e.IncidentOpened, priority: e.Priority, scope: str) -> bool:
    known = {**opened.labels, "severity": opened.severity, "service": opened.service, "scope": scope}
    return priority in route.priorities and all(known.get(name, "") == value for name, value in route.match.items())


def _not_told(
    store: Store, period: list[e.LoggedEvent], receiver: str, told: Iterable[str], rules_of: RulesOf
) -> Iterator[WhyNot]:
    """Incidents that began or came back in this time, and pages withheld, of which the receiver heard nothing."""
    others: dict[str, list[str]] = {}
    for one in period:
        if isinstance(one.event.data, e.DeliveryRequested):
            others.setdefault(one.event.data.notice.incident, []).append(one.event.data.receiver)
    for one in period:
        data, at_ms = one.event.data, one.event.at_ms
        if isinstance(data, PageWithheld) and data.incident not in told:
            why = f"{data.kind}: {data.reason} by {', '.join(data.by)}"
            yield WhyNot(at_ms, data.incident, _title(store, data.incident), why, data.by[0], data.rules_version)
        elif isinstance(data, GroupSuppressed) and data.receiver == receiver and data.alerts:
            reason = ", ".join(f"{len(held)} {kind}" for kind, held in data.alerts.items())
            yield WhyNot(at_ms, "", data.key, reason, ", ".join(data.by) or data.route, data.rules_version)
        elif isinstance(data, e.IncidentOpened) and data.incident not in told:
            yield WhyNot(at_ms, data.incident, data.title, *_unrouted(data, one, receiver, others, rules_of))
        elif isinstance(data, AlertsHeld) and not data.again:
            names = ", ".join(dict.fromkeys(_name_of(alert) for alert in data.alerts[:5]))
            yield WhyNot(at_ms, "", names, data.disposition, ", ".join(data.by), data.rules_version)


def _unrouted(
    data: e.IncidentOpened, one: e.LoggedEvent, receiver: str, others: dict[str, list[str]], rules_of: RulesOf
) -> tuple[str, str, int]:
    rules, version = rules_of(data.rules_version), data.rules_version
    if "opened" not in rules.delivery.notify:
        return "nobody is told of new incidents", "delivery.notify", version
    if names := others.get(data.incident):
        places = (at for at, one_ in enumerate(rules.routes) if _matches(one_, data, data.priority, one.event.scope))
        reason = f"told to {', '.join(dict.fromkeys(names))} instead"
        return reason, next((f"routes[{place}]" for place in places), ""), version
    if _routes_to(receiver, data, data.priority, one.event.scope, rules):
        return "a page was withheld", "", version
    return "no route leads here", "routes", version


def _title(store: Store, incident: str) -> str:
    first = store.log_of(f"incident/{incident}", limit=1)
    data = first[0].event.data if first else None
    return data.title if isinstance(data, e.IncidentOpened) else ""


def _name_of(alert: e.AlertRef) -> str:
    labels = msgspec.json.decode(alert.labels, type=dict[str, str])
    return labels.get("alertname", alert.fingerprint)


# --- the log ----------------------------------------------------------------------------------------------------------


def between(store: Store, since_ms: int, until_ms: int) -> Iterator[e.LoggedEvent]:
    """The events of a period, in order; the latest MOST_EVENTS of it where there are more."""
    first, end = _first_at(store, since_ms), _first_at(store, until_ms + 1)
    after = max(first, end - MOST_EVENTS) - 1
    while events := store.log(after=after, limit=min(2000, end - 1 - after)) if after < end - 1 else []:
        yield from events
        after = events[-1].seq


def _first_at(store: Store, at_ms: int) -> int:
    """The seq of the first event at or after a moment: the log is in order of time."""
    low, high = 0, store.position().next_seq
    while low < high:
        middle = (low + high) // 2
        (one,) = store.log(after=middle - 1, limit=1)
        if one.event.at_ms < at_ms:
            low = middle + 1
        else:
            high = middle
    return low


def _reason(one: e.LoggedEvent, incident: str) -> Reason:
    data = one.event.data
    fields = {
        name: value
        for name in data.__struct_fields__
        if name not in _HIDDEN and (value := getattr(data, name)) not in ("", [], None, False, 0)
    }
    if isinstance(data, e.DeliveryRequested):
        fields = {"kind": data.notice.kind, "receiver": data.receiver, "priority": data.notice.priority}
    told = "; ".join(f"{name}: {_plain(value)}" for name, value in fields.items())
    rule = ", ".join(data.by) if isinstance(data, AlertsHeld | AlertsReleased | PageWithheld) else ""
    if isinstance(data, e.AlertsAttached) and data.reason:
        rule = f"correlation/{data.reason.partition(':')[0]}"
    version = getattr(data, "rules_version", 0)
    return Reason(one.event.at_ms, one.id, one.type, incident, told, one.event.actor, rule, version)


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
