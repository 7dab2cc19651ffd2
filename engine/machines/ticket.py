"""What people say of an incident beyond its state: decided against the incident, folded into it."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from schemas import events as e
from schemas import tickets as t
from schemas.errors import CommandRejected

if TYPE_CHECKING:  # the machine of incidents folds these events into its own
    from engine.machines.incident import Incident

MOST_LINKS = 100
"""Of one incident; the other incidents may have more that lead to it."""

Command = t.Classify | t.Claim | t.HandOver | t.Verify | t.Link | t.Unlink
"""What is decided by looking at the incident alone; splitting needs its alerts."""


def decide(incident: Incident | None, command: Command, actor: str) -> tuple[e.IncidentEvent, ...]:
    """The events that `command` causes; none when it is already so. Raises CommandRejected."""
    if incident is None:
        raise CommandRejected("not_found", f"there is no incident {command.incident}")
    match command:
        case t.Classify():
            return _classify(incident, command)
        case t.Claim():
            return _claim(incident, actor)
        case t.HandOver():
            require(incident, incident.is_open, "hand over")
            if incident.assignee == command.assignee:
                return ()
            given = t.IncidentHandedOver(incident.id, command.assignee, incident.assignee, command.note)
            return (*_answered(incident, actor), given)
        case t.Verify():
            return _verify(incident, command, actor)
        case t.Link():
            return _link(incident, command)
        case t.Unlink():
            known = command.other in incident.links
            return (t.IncidentUnlinked(incident.id, command.other),) if known else ()
        case _:
            assert_never(command)


def _classify(incident: Incident, command: t.Classify) -> tuple[e.IncidentEvent, ...]:
    require(incident, incident.state != "merged", "classify")
    said = t.Classification(command.module, command.organisation, command.problem_type)
    if said == incident.classification:
        return ()
    return (t.IncidentClassified(incident.id, said.module, said.organisation, said.problem_type),)


def _claim(incident: Incident, actor: str) -> tuple[e.IncidentEvent, ...]:
    require(incident, incident.is_open, "claim")
    person = actor.removeprefix("user:")
    if incident.assignee == person:
        return ()
    if incident.assignee:
        raise CommandRejected("owned_by_other", f"{incident.id} is {incident.assignee}'s: ask to have it handed over")
    return (*_answered(incident, actor), e.IncidentAssigned(incident.id, person))


def _verify(incident: Incident, command: t.Verify, actor: str) -> tuple[e.IncidentEvent, ...]:
    require(incident, incident.state in ("resolved", "in_review"), "verify")
    if incident.verified_by:
        return ()
    if incident.resolved_by == actor:
        raise CommandRejected("verify_own_work", f"{actor} resolved {incident.id}: somebody else has to verify it")
    return (t.IncidentVerified(incident.id, actor, command.note),)


def _link(incident: Incident, command: t.Link) -> tuple[e.IncidentEvent, ...]:
    if incident.id == command.other:
        raise CommandRejected("link_to_itself", f"{incident.id} cannot be linked to itself")
    if incident.links.get(command.other) == command.relation:
        return ()
    if len(incident.links) >= MOST_LINKS and command.other not in incident.links:
        raise CommandRejected("too_many", f"{incident.id} has {MOST_LINKS} links already")
    return (t.IncidentLinked(incident.id, command.other, command.relation, command.note),)


def _answered(incident: Incident, actor: str) -> tuple[e.IncidentEvent, ...]:
    """Whoever acts on an unanswered incident has thereby answered it."""
    return (e.IncidentAcknowledged(incident.id, by=actor),) if incident.state == "triggered" else ()


def require(incident: Incident, allowed: bool, verb: str) -> None:
    """Raise CommandRejected (``not_allowed_in_state``) unless `allowed`."""
    if not allowed:
        raise CommandRejected("not_allowed_in_state", f"cannot {verb} {incident.id}: it is {incident.state}")


def changes(incident: Incident, event: t.TicketEvent) -> dict[str, object]:
    """What an event alters in the incident."""
    match event:
        case t.ClassificationSuggested():
            return {}
        case t.IncidentClassified():
            said = t.Classification(event.module, event.organisation, event.problem_type)
            return {"classification": said}
        case t.IncidentHandedOver():
            early = incident.state in ("triggered", "acknowledged")
            return {"assignee": event.assignee, **({"state": "assigned"} if early else {})}
        case t.IncidentVerified():
            return {"verified_by": event.by}
        case t.IncidentSplit():
            gone = len(event.fingerprints)
            return {"firing": incident.firing - gone, "alert_count": incident.alert_count - gone}
        case t.IncidentLinked():
            return {"links": {**incident.links, event.other: event.relation}}
        case t.IncidentUnlinked():
            return {"links": {other: how for other, how in incident.links.items() if other != event.other}}
        case _:
            assert_never(event)
