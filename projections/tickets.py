"""Tickets (工单): each incident as it stands now, and its alerts. The history of one is `projections.timeline`.

The rows of alerts say which event names them; labels and annotations stand in the log and are not copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypedDict, Unpack, get_args

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, case, column, func, or_, select, table

from projections.projection import Projection, Row
from projections.rows import CHUNK, MAX_KEY, Rows, read_as, select_as
from projections.ticket_alerts import TicketAlerts, move_alerts, take_alerts
from projections.ticket_tables import alerts_table, tickets_table
from projections.timeline import TimelineEntry, timeline
from schemas import events as e
from schemas.tickets import ClassifiedBy

__all__ = [
    "AlertRow",
    "Counted",
    "TicketFilter",
    "TicketProjection",
    "TicketRow",
    "TimelineEntry",
    "count_tickets",
    "counts_by",
    "get_ticket",
    "list_tickets",
    "ticket_alerts",
    "timeline",
]

OPEN: tuple[e.IncidentState, ...] = ("triggered", "acknowledged", "assigned", "diagnosing", "mitigated")
"""The states in which somebody still has to do something about the trouble itself."""
PARTS: tuple[ClassifiedBy, ...] = get_args(ClassifiedBy)
_log = table("events", column("partition"), column("seq"), column("data"))
"""The log as the store keeps it; only its data is read here."""


def _opened(logged: e.LoggedEvent, data: e.IncidentOpened) -> Row:
    at_ms = logged.event.at_ms
    return {
        "incident": data.incident,
        "partition": logged.partition,
        "state": "triggered",
        "title": data.title,
        "service": data.service[:MAX_KEY],
        "scope": logged.event.scope,
        "severity": data.severity,
        "urgency": data.urgency,
        "impact": data.impact,
        "priority": data.priority,
        "origin": data.origin,
        "outage": data.outage,
        "assignee": "",
        "acknowledged_by": "",
        "opened_ms": at_ms,
        "acknowledged_ms": None,
        "assigned_ms": None,
        "mitigated_ms": None,
        "resolved_ms": None,
        "closed_ms": None,
        "updated_ms": at_ms,
        "alert_count": 0,
        "firing_count": 0,
        "description": data.description,
        "solution": "",
        "cause_code": "",
        "merged_into": "",
        "recurrence_of": data.recurrence_of,
        "reopen_count": 0,
        "group_key": data.group_key,
        "module": "",
        "organisation": "",
        "problem_type": "",
        "classified_by": "",
        "verified_by": "",
        "verified_ms": None,
        "position": logged.seq,
    }


def _raised(ticket: Row, data: e.IncidentRaised, at_ms: int) -> None:
    ticket.update(severity=data.severity, urgency=data.urgency, impact=data.impact, priority=data.priority)


def _acknowledged(ticket: Row, data: e.IncidentAcknowledged, at_ms: int) -> None:
    if ticket["state"] == "triggered":
        ticket.update(state="acknowledged", acknowledged_by=data.by, acknowledged_ms=at_ms)


def _assigned(ticket: Row, data: e.IncidentAssigned | e.IncidentHandedOver, at_ms: int) -> None:
    ticket.update(assignee=data.assignee, assigned_ms=at_ms)
    if ticket["state"] in ("triggered", "acknowledged"):
        ticket["state"] = "assigned"


def _mitigated(ticket: Row, data: e.IncidentMitigated, at_ms: int) -> None:
    ticket.update(state="mitigated", mitigated_ms=at_ms)


def _resolved(ticket: Row, data: e.IncidentResolved, at_ms: int) -> None:
    # Resolved once more: a person adds what was done to an incident that had healed; it is no more resolved by that.
    if ticket["state"] not in ("resolved", "in_review"):
        ticket.update(state="resolved", resolved_ms=at_ms)
    ticket.update(
        verified_by="",
        verified_ms=None,
        solution=data.solution or ticket["solution"],
        cause_code=data.cause_code or ticket["cause_code"],
    )


def _reopened(ticket: Row, data: e.IncidentReopened, at_ms: int) -> None:
    # It waits for somebody's notice again; what was before is on the timeline.
    ticket.update(state="triggered", acknowledged_by="", acknowledged_ms=None, mitigated_ms=None)
    ticket.update(verified_by="", verified_ms=None)
    ticket.update(resolved_ms=None, closed_ms=None, reopen_count=ticket["reopen_count"] + 1)


def _suggested(ticket: Row, data: e.ClassificationSuggested, at_ms: int) -> None:
    if not ticket["classified_by"]:
        ticket.update(module=data.module, organisation=data.organisation, problem_type=data.problem_type)


def _classified(ticket: Row, data: e.IncidentClassified, at_ms: int, actor: str) -> None:
    ticket.update({part: getattr(data, part) for part in PARTS}, classified_by=actor)


_FOLD: dict[type, Callable[[Row, Any, int], None]] = {
    e.IncidentRaised: _raised,
    e.IncidentAcknowledged: _acknowledged,
    e.IncidentAssigned: _assigned,
    e.DiagnosisStarted: lambda ticket, data, at_ms: ticket.update(state="diagnosing"),
    **dict.fromkeys((e.NoteAdded, e.IncidentSplit, e.IncidentLinked, e.IncidentUnlinked), lambda *_: None),
    e.IncidentMitigated: _mitigated,
    e.IncidentResolved: _resolved,
    e.ReviewStarted: lambda ticket, data, at_ms: ticket.update(state="in_review"),
    e.IncidentClosed: lambda ticket, data, at_ms: ticket.update(state="closed", closed_ms=at_ms),
    e.IncidentReopened: _reopened,
    e.IncidentMerged: lambda ticket, data, at_ms: ticket.update(state="merged", merged_into=data.into),
    e.IncidentMarkedFalseAlarm: lambda ticket, data, at_ms: ticket.update(state="false_alarm"),
    e.ClassificationSuggested: _suggested,
    e.IncidentHandedOver: _assigned,
    e.IncidentVerified: lambda ticket, data, at_ms: ticket.update(verified_by=data.by, verified_ms=at_ms),
}


class TicketProjection(Projection):
    """One row for each incident and one for each of its alerts."""

    name = "tickets"
    version = 4
    handles = frozenset({e.IncidentOpened, e.AlertsAttached, e.AlertsResolved, e.IncidentClassified, *_FOLD})
    tables = (tickets_table, alerts_table)

    def apply_all(self, events: Sequence[e.LoggedEvent], tx: Connection) -> None:
        """Fold the events into the tickets. Raises LookupError on an event of an incident that was never opened."""
        run: list[e.LoggedEvent] = []
        for logged in events:
            run.append(logged)
            if isinstance(logged.event.data, e.IncidentMerged):
                self._fold(run, tx)
                move_alerts(tx, logged.event.data.incident, logged.event.data.into)
                run = []
            elif isinstance(logged.event.data, e.IncidentSplit):
                self._fold(run, tx)
                take_alerts(tx, logged.event.data.incident, logged.event.data.fingerprints)
                run = []
        if run:
            self._fold(run, tx)

    def _fold(self, events: Sequence[e.LoggedEvent], tx: Connection) -> None:
        tickets = Rows(tx, tickets_table, (_incident(logged) for logged in events))
        alerts = TicketAlerts(tx, _alert_keys(events))
        for logged in events:
            ticket = tickets.get(_incident(logged))
            if ticket is not None and logged.seq <= ticket["position"]:
                continue
            tickets.put(_folded(ticket, alerts, logged))
        tickets.save(tx)
        alerts.save(tx)


def _folded(ticket: Row | None, alerts: TicketAlerts, logged: e.LoggedEvent) -> Row:
    data, at_ms = logged.event.data, logged.event.at_ms
    if isinstance(data, e.IncidentOpened):
        if ticket is not None:
            raise ValueError(f"{data.incident} is opened twice")
        ticket = _opened(logged, data)
        alerts.join(ticket, data.alerts, logged)
        return ticket
    if ticket is None:
        raise LookupError(f"{_incident(logged)} has no beginning")
    if isinstance(data, e.AlertsResolved):
        alerts.resolve(ticket, data.fingerprints, at_ms)
    elif isinstance(data, e.IncidentClassified):
        _classified(ticket, data, at_ms, logged.event.actor)
    elif not isinstance(data, e.AlertsAttached):
        _FOLD[type(data)](ticket, data, at_ms)
    if isinstance(data, e.AlertsAttached | e.IncidentReopened):
        alerts.join(ticket, data.alerts, logged)
    ticket.update(updated_ms=at_ms, position=logged.seq)
    return ticket


def _incident(logged: e.LoggedEvent) -> str:
    incident: str = logged.event.data.incident  # type: ignore[union-attr] # every type in `handles` has one
    return incident


def _alert_keys(events: Sequence[e.LoggedEvent]) -> list[tuple[str, str]]:
    keys: list[tuple[str, str]] = []
    for logged in events:
        data = logged.event.data
        if isinstance(data, e.AlertsResolved):
            keys += [(data.incident, alert) for alert in data.fingerprints]
        elif isinstance(data, e.AlertsAttached | e.IncidentReopened):
            keys += [(data.incident, alert.fingerprint) for alert in data.alerts]
    return keys


# --- reads ------------------------------------------------------------------------------------------------------


class TicketRow(msgspec.Struct, frozen=True):
    """One incident as it stands. Times are UTC milliseconds, None while it has not happened (since it was reopened)."""

    incident: str
    partition: int
    state: e.IncidentState
    title: str
    service: str
    scope: str
    severity: e.Severity
    urgency: int
    impact: int
    priority: e.Priority
    origin: str
    outage: e.Outage | None
    assignee: str
    acknowledged_by: str
    opened_ms: int
    acknowledged_ms: int | None
    assigned_ms: int | None
    mitigated_ms: int | None
    resolved_ms: int | None
    closed_ms: int | None
    updated_ms: int
    alert_count: int
    firing_count: int
    description: str
    solution: str
    cause_code: str
    merged_into: str
    recurrence_of: str
    reopen_count: int
    group_key: str
    module: str
    organisation: str
    problem_type: str
    classified_by: str
    """Who confirmed it; empty while it is only suggested."""
    verified_by: str
    verified_ms: int | None
    position: int


class AlertRow(msgspec.Struct, frozen=True):
    """One alert of an incident; `labels` and `annotations` are JSON objects, `resolved_ms` None while it is firing."""

    incident: str
    fingerprint: str
    severity: e.Severity
    starts_ms: int
    resolved_ms: int | None
    labels: str
    annotations: str
    source: str
    generator_url: str


class TicketFilter(TypedDict, total=False):
    """Which tickets: all conditions that are given and not empty must hold. `text` is found in title, service or id.

    `opened_after_ms` is included, `opened_before_ms` is not.
    """

    states: Sequence[e.IncidentState]
    priorities: Sequence[e.Priority]
    service: str
    text: str
    assignee: str
    module: str
    organisation: str
    problem_type: str
    opened_after_ms: int | None
    opened_before_ms: int | None


def _conditions(wanted: TicketFilter) -> Iterable[ColumnElement[bool]]:
    own = tickets_table.c
    if states := wanted.get("states"):
        yield own.state.in_(states)
    if priorities := wanted.get("priorities"):
        yield own.priority.in_(priorities)
    if service := wanted.get("service"):
        yield own.service == service[:MAX_KEY]
    if assignee := wanted.get("assignee"):
        yield own.assignee == assignee
    for part in PARTS:
        if value := wanted.get(part):
            yield own[part] == value
    if text := wanted.get("text"):
        yield or_(*(field.icontains(text, autoescape=True) for field in (own.title, own.service, own.incident)))
    if (after_ms := wanted.get("opened_after_ms")) is not None:
        yield own.opened_ms >= after_ms
    if (before_ms := wanted.get("opened_before_ms")) is not None:
        yield own.opened_ms < before_ms


def list_tickets(
    conn: Connection, *, limit: int = 50, offset: int = 0, urgent_first: bool = False, **wanted: Unpack[TicketFilter]
) -> list[TicketRow]:
    """The tickets that match, newest first; with `urgent_first`, those of higher priority before the others."""
    newest = (tickets_table.c.opened_ms.desc(), tickets_table.c.incident.desc())
    order = (tickets_table.c.priority, *newest) if urgent_first else newest
    statement = select_as(tickets_table, TicketRow).where(*_conditions(wanted)).order_by(*order)
    return read_as(conn, statement.limit(limit).offset(offset), TicketRow)


def count_tickets(conn: Connection, **wanted: Unpack[TicketFilter]) -> int:
    """How many tickets match."""
    return conn.scalar(select(func.count()).select_from(tickets_table).where(*_conditions(wanted))) or 0


class Counted(msgspec.Struct, frozen=True):
    """How many tickets have one value of a part of the classification; `open` of them are not over."""

    value: str
    total: int
    open: int


def counts_by(conn: Connection, part: ClassifiedBy, limit: int = 200, **wanted: Unpack[TicketFilter]) -> list[Counted]:
    """The tickets that match, counted by a part of their classification, the most first; empty is not known."""
    value = tickets_table.c[part]
    total = func.count()
    still = func.sum(case((tickets_table.c.state.in_(OPEN), 1), else_=0))
    statement = select(value, total, still).where(*_conditions(wanted)).group_by(value)
    rows = conn.execute(statement.order_by(total.desc(), value).limit(limit))
    return [Counted(name, int(count), int(open_)) for name, count, open_ in rows]


def get_ticket(conn: Connection, incident: str) -> TicketRow | None:
    """One ticket, or None."""
    statement = select_as(tickets_table, TicketRow).where(tickets_table.c.incident == incident)
    return next(iter(read_as(conn, statement, TicketRow)), None)


class _Named(msgspec.Struct):
    """What an event says of alerts, of whatever version it is."""

    alerts: list[e.AlertRef]


_named = msgspec.json.Decoder(_Named)


def ticket_alerts(conn: Connection, incident: str, limit: int = 200) -> list[AlertRow]:
    """The alerts of an incident: the firing ones first, the newest of them first."""
    own = alerts_table.c
    order = (own.resolved_ms.is_not(None), own.starts_ms.desc(), own.fingerprint)
    shown = select(own.fingerprint, own.starts_ms, own.resolved_ms, own.partition, own.seq)
    rows = conn.execute(shown.where(own.incident == incident).order_by(*order).limit(limit)).all()
    named = _refs(conn, {(row.partition, row.seq) for row in rows})
    found = []
    for row in rows:
        ref = named[row.partition, row.seq][row.fingerprint]
        labels, annotations = bytes(ref.labels).decode(), bytes(ref.annotations).decode()
        told = (ref.severity, row.starts_ms, row.resolved_ms, labels, annotations, ref.source, ref.generator_url)
        found.append(AlertRow(incident, row.fingerprint, *told))
    return found


def _refs(conn: Connection, events: set[tuple[int, int]]) -> dict[tuple[int, int], dict[str, e.AlertRef]]:
    """The alerts that each of these events, (partition, seq), names."""
    found: dict[tuple[int, int], dict[str, e.AlertRef]] = {}
    for partition in sorted({partition for partition, _ in events}):
        wanted = sorted(seq for its, seq in events if its == partition)
        for start in range(0, len(wanted), CHUNK):
            some = and_(_log.c.partition == partition, _log.c.seq.in_(wanted[start : start + CHUNK]))
            for seq, data in conn.execute(select(_log.c.seq, _log.c.data).where(some)):
                found[partition, seq] = {ref.fingerprint: ref for ref in _named.decode(data).alerts}
    return found
