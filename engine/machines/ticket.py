"""What people say of an incident beyond its state: decided against the incident, folded into it."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from schemas import tickets as t
from schemas.errors import CommandRejected

if TYPE_CHECKING:  # the machine of incidents folds these events into its own
    from engine.machines.incident import Incident


def decide(incident: Incident | None, command: t.TicketCommand) -> tuple[t.TicketEvent, ...]:
    """The events that `command` causes; none when it is already so. Raises CommandRejected."""
    if incident is None:
        raise CommandRejected("not_found", f"there is no incident {command.incident}")
    _refuse(incident.state == "merged", incident, "classify")
    said = t.Classification(command.module, command.organisation, command.problem_type)
    if said == incident.classification:
        return ()
    return (t.IncidentClassified(incident.id, said.module, said.organisation, said.problem_type),)


def _refuse(when: bool, incident: Incident, verb: str) -> None:
    if when:
        raise CommandRejected("not_allowed_in_state", f"cannot {verb} {incident.id}: it is {incident.state}")


def changes(event: t.TicketEvent) -> dict[str, object]:
    """What an event alters in the incident."""
    match event:
        case t.ClassificationSuggested():
            return {}
        case t.IncidentClassified():
            said = t.Classification(event.module, event.organisation, event.problem_type)
            return {"classification": said}
        case _:
            assert_never(event)
