"""The incident machine: what may happen to one incident, and what it is afterwards.

triggered → acknowledged → assigned → diagnosing → mitigated → resolved → in_review → closed,
with merged and false_alarm as other ends, and reopened leading back to triggered.
"""

from __future__ import annotations

from typing import assert_never

import msgspec

from engine.machines import ticket
from schemas import commands as c
from schemas import events as e
from schemas.errors import CommandRejected
from schemas.tickets import Classification, Relation, TicketEvent

OPEN: frozenset[e.IncidentState] = frozenset({"triggered", "acknowledged", "assigned", "diagnosing", "mitigated"})
"""The states in which somebody still has to do something about the trouble itself."""

AFTER: frozenset[e.IncidentState] = frozenset({"resolved", "in_review", "closed"})
"""The states in which the trouble is over; it can come back from each."""


class Incident(msgspec.Struct, frozen=True):
    """One incident as the core remembers it.

    Times are UTC milliseconds; `since_ms` is when the present trouble began (opened or reopened), `firing` counts the
    alerts that fire now.
    """

    id: str
    scope: str
    title: str
    service: str
    severity: e.Severity
    urgency: int
    impact: int
    priority: e.Priority
    opened_ms: int
    since_ms: int
    group_key: str = ""
    origin: str = "alert"
    labels: dict[str, str] = {}
    outage: e.Outage | None = None
    state: e.IncidentState = "triggered"
    firing: int = 0
    alert_count: int = 0
    assignee: str = ""
    solution: str = ""
    cause_code: str = ""
    resolved_ms: int = 0
    merged_into: str = ""
    judged_by_hand: bool = False
    classification: Classification | None = None
    """As a person said; None while nobody did."""
    resolved_by: str = ""
    """Who said last that it is over, or what was done; empty where it healed by itself."""
    verified_by: str = ""
    links: dict[str, Relation] = {}
    """Incidents with which it has to do, and how."""

    @property
    def is_open(self) -> bool:
        """Whether somebody still has to do something about it."""
        return self.state in OPEN


def decide(  # noqa: C901 - one case per command
    incident: Incident | None, command: c.IncidentCommand, actor: str, note_id: str
) -> tuple[e.IncidentEvent, ...]:
    """The events that `command` causes; none when it is already so.

    `note_id` identifies a note, so that the same note twice is one. Raises CommandRejected (``not_found``,
    ``not_allowed_in_state``). Merging is judged by `decide_merge`, which sees both incidents.
    """
    if incident is None:
        raise CommandRejected("not_found", f"there is no incident {command.incident}")
    match command:
        case c.Acknowledge():
            return _answered(incident, actor, "acknowledge")
        case c.Assign():
            if incident.is_open and incident.assignee == command.assignee:
                return ()
            return (*_answered(incident, actor, "assign"), e.IncidentAssigned(incident.id, command.assignee))
        case c.StartDiagnosis():
            if incident.state in ("diagnosing", "mitigated"):
                return ()
            return (*_answered(incident, actor, "diagnose"), e.DiagnosisStarted(incident.id, by=actor))
        case c.AddNote():
            return (e.NoteAdded(incident.id, note_id, command.text),)
        case c.Mitigate():
            if incident.state == "mitigated":
                return ()
            return (*_answered(incident, actor, "mitigate"), e.IncidentMitigated(incident.id, command.note))
        case c.Resolve():
            return _decide_resolve(incident, command, actor)
        case c.StartReview():
            if incident.state == "in_review":
                return ()
            _require(incident, incident.state == "resolved", "review")
            return (e.ReviewStarted(incident.id, by=actor),)
        case c.Close():
            if incident.state == "closed":
                return ()
            _require(incident, incident.state in ("resolved", "in_review"), "close")
            return (e.IncidentClosed(incident.id, command.note),)
        case c.Reopen():
            if incident.is_open:
                return ()
            _require(incident, incident.state != "merged", "reopen")
            return (e.IncidentReopened(incident.id, command.reason),)
        case c.MarkFalseAlarm():
            if incident.state == "false_alarm":
                return ()
            _require(incident, incident.is_open or incident.state == "resolved", "mark as a false alarm")
            return (e.IncidentMarkedFalseAlarm(incident.id, command.reason),)
        case c.SetPriority() | c.Merge():
            raise AssertionError("judged where the rules and the other incident are known")
        case _:
            assert_never(command)


def decide_merge(incident: Incident | None, into: Incident | None, command: c.Merge) -> tuple[e.IncidentEvent, ...]:
    """Merge `incident` into `into`, both of one scope. Raises CommandRejected."""
    if incident is None or into is None:
        missing = command.incident if incident is None else command.into
        raise CommandRejected("not_found", f"there is no incident {missing}")
    if incident.state == "merged" and incident.merged_into == into.id:
        return ()
    _require(incident, incident.is_open or incident.state == "resolved", "merge")
    if incident.id == into.id:
        raise CommandRejected("merge_into_itself", f"{incident.id} cannot be merged into itself")
    if incident.scope != into.scope:
        raise CommandRejected("other_scope", f"{into.id} is of scope {into.scope}: link the two instead")
    _require(into, into.is_open, "merge others into")
    if incident.outage is not None and incident.outage != into.outage:
        # Annex 3 counts outages by their own length: one must not end by disappearing in lesser trouble.
        raise CommandRejected("outage_into_other", f"{incident.id} is an outage: merge {into.id} into it instead")
    return (e.IncidentMerged(incident.id, into.id, command.reason),)


def _decide_resolve(incident: Incident, command: c.Resolve, actor: str) -> tuple[e.IncidentEvent, ...]:
    resolved = e.IncidentResolved(incident.id, solution=command.solution, cause_code=command.cause_code)
    if incident.state in ("resolved", "in_review"):
        # It healed by itself; the person adds what was done and why.
        news = (command.solution or incident.solution, command.cause_code or incident.cause_code)
        return () if news == (incident.solution, incident.cause_code) else (resolved,)
    return (*_answered(incident, actor, "resolve"), resolved)


def _answered(incident: Incident, actor: str, verb: str) -> tuple[e.IncidentEvent, ...]:
    """Whoever acts on an unanswered incident has thereby answered it."""
    _require(incident, incident.is_open, verb)
    return (e.IncidentAcknowledged(incident.id, by=actor),) if incident.state == "triggered" else ()


def _require(incident: Incident, allowed: bool, verb: str) -> None:
    if not allowed:
        raise CommandRejected("not_allowed_in_state", f"cannot {verb} {incident.id}: it is {incident.state}")


def evolve(incident: Incident | None, event: e.IncidentEvent, scope: str, at_ms: int, actor: str = "") -> Incident:
    """The incident after `event`, which `actor` caused."""
    if isinstance(event, e.IncidentOpened):
        assert incident is None, f"{event.incident} was opened twice"
        return _opened(event, scope, at_ms)
    assert incident is not None, f"{event.incident} has no beginning"
    if isinstance(event, e.IncidentResolved):
        by = "" if event.automatic else actor
        incident = msgspec.structs.replace(incident, resolved_by=by, verified_by="")
    return msgspec.structs.replace(incident, **_changes(incident, event, at_ms))


def _opened(event: e.IncidentOpened, scope: str, at_ms: int) -> Incident:
    return Incident(
        id=event.incident,
        scope=scope,
        title=event.title,
        service=event.service,
        severity=event.severity,
        urgency=event.urgency,
        impact=event.impact,
        priority=event.priority,
        opened_ms=at_ms,
        since_ms=at_ms,
        group_key=event.group_key,
        origin=event.origin,
        labels=event.labels,
        outage=event.outage,
        firing=len(event.alerts),
        alert_count=len(event.alerts),
    )


def _changes(incident: Incident, event: e.IncidentEvent, at_ms: int) -> dict[str, object]:  # noqa: C901 - one case per event
    if isinstance(event, TicketEvent):
        return ticket.changes(incident, event)
    match event:
        case e.IncidentOpened() | e.NoteAdded():
            return {}
        case e.AlertsAttached():
            return _joined(incident, event.alerts)
        case e.AlertsResolved():
            return {"firing": incident.firing - len(event.fingerprints)}
        case e.IncidentRaised():
            return {
                "severity": event.severity,
                "urgency": event.urgency,
                "impact": event.impact,
                "priority": event.priority,
                "judged_by_hand": incident.judged_by_hand or event.by_hand,
            }
        case e.IncidentAcknowledged():
            return {"state": "acknowledged"} if incident.state == "triggered" else {}
        case e.IncidentAssigned():
            early = incident.state in ("triggered", "acknowledged")
            return {"assignee": event.assignee, **({"state": "assigned"} if early else {})}
        case e.DiagnosisStarted():
            return {"state": "diagnosing"}
        case e.IncidentMitigated():
            return {"state": "mitigated"}
        case e.IncidentResolved():
            over = incident.state in ("resolved", "in_review")
            return {
                "state": incident.state if over else "resolved",
                "resolved_ms": incident.resolved_ms if over else at_ms,
                "solution": event.solution or incident.solution,
                "cause_code": event.cause_code or incident.cause_code,
            }
        case e.ReviewStarted():
            return {"state": "in_review"}
        case e.IncidentClosed():
            return {"state": "closed"}
        case e.IncidentReopened():
            anew = {"state": "triggered", "since_ms": at_ms, "resolved_ms": 0, "verified_by": ""}
            return {**anew, **_joined(incident, event.alerts)}
        case e.IncidentMerged():
            return {"state": "merged", "merged_into": event.into}
        case e.IncidentMarkedFalseAlarm():
            return {"state": "false_alarm"}
        case _:
            assert_never(event)


def _joined(incident: Incident, alerts: list[e.AlertRef]) -> dict[str, object]:
    return {"firing": incident.firing + len(alerts), "alert_count": incident.alert_count + len(alerts)}


def absorb(into: Incident, merged: Incident) -> Incident:
    """`into` after `merged` was merged into it: it answers for the other's alerts."""
    return msgspec.structs.replace(
        into, firing=into.firing + merged.firing, alert_count=into.alert_count + merged.alert_count
    )
