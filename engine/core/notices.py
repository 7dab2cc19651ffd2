"""Who is told of what: routes, and the notice that a channel renders."""

from __future__ import annotations

from collections.abc import Iterator

from engine.core.channel_state import in_order
from engine.core.state import State
from engine.core.triage import title_of
from engine.machines.incident import Incident
from schemas import events as e
from schemas.alerts import labels_of
from schemas.config import Route, Rules

MAX_LISTED = 10
"""How many alerts a notice names; the number of all is stated beside."""


def routes_of(incident: Incident, rules: Rules) -> Iterator[Route]:
    """The routes of an incident: the first that matches, and the next ones while it says `also`."""
    for route in rules.routes:
        if _matches(route, incident):
            yield route
            if not route.also:
                return


def _matches(route: Route, incident: Incident) -> bool:
    if incident.priority not in route.priorities:
        return False
    known = {**incident.labels, "severity": incident.severity, "service": incident.service, "scope": incident.scope}
    return all(known.get(name, "") == value for name, value in route.match.items())


def notice_of(
    kind: e.NoticeKind, incident: Incident, rules: Rules, at_ms: int, *, refs: list[e.AlertRef], reason: str
) -> e.Notice:
    """All that a channel needs to tell of `incident` as it stands now."""
    return e.Notice(
        kind=kind,
        incident=incident.id,
        title=incident.title,
        priority=incident.priority,
        severity=incident.severity,
        state=incident.state,
        service=incident.service,
        opened_ms=incident.opened_ms,
        at_ms=at_ms,
        alert_count=incident.alert_count,
        alerts=lines_of(refs),
        assignee=incident.assignee,
        reason=reason,
        url=f"{rules.external_url.rstrip('/')}/incidents/{incident.id}",
        language=rules.language,
        timezone=rules.timezone,
    )


def lines_of(refs: list[e.AlertRef]) -> list[str]:
    """The alerts that a notice names, one line each."""
    return [_line(ref) for ref in refs[:MAX_LISTED]]


def _line(ref: e.AlertRef) -> str:
    labels = labels_of(bytes(ref.labels))
    where = labels.get("instance") or labels.get("pod") or labels.get("host")
    title = title_of(labels, labels_of(bytes(ref.annotations)))
    return f"{title} @ {where}" if where else title


def probe_notice(channel: str, rules: Rules, at_ms: int) -> e.Notice:
    """A harmless message that proves a channel alive (R1.8)."""
    return e.Notice(
        kind="test",
        incident="TEST",
        title=channel,
        priority="P4",
        severity="info",
        state="triggered",
        service="tocsin",
        opened_ms=at_ms,
        at_ms=at_ms,
        alert_count=0,
        url=f"{rules.external_url.rstrip('/')}/channels",
        language=rules.language,
        timezone=rules.timezone,
    )


def request(
    state: State, rules: Rules, receiver: str, channels: tuple[str, ...], notice: e.Notice
) -> e.DeliveryRequested:
    """The intent to tell `receiver`, failing channels last; its id counts the deliveries of the incident."""
    number = state.told.get(notice.incident, 0) + 1
    order, avoided = in_order(channels, state.channels)
    return e.DeliveryRequested(
        f"{notice.incident}.{number}", receiver, order, notice, state.rules_version, avoided=avoided
    )
