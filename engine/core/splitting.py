"""Splitting an incident: alerts that are another trouble go on in an incident of their own (拆分)."""

from __future__ import annotations

from engine.core import joining
from engine.core.step import Step
from engine.machines import ticket
from schemas import events as e
from schemas.errors import CommandRejected
from schemas.records import Commanded
from schemas.tickets import Split


def split(command: Split, record: Commanded, step: Step) -> None:
    """Open an incident for some of the alerts. Raises CommandRejected."""
    found = step.state.incidents.get(command.incident)
    if found is None:
        raise CommandRejected("not_found", f"there is no incident {command.incident}")
    ticket.require(found, found.is_open, "split")
    members = {alert.fingerprint: alert for alert in step.registry.members.of(found.id)}
    wanted = sorted(set(command.alerts))
    if missing := [fingerprint for fingerprint in wanted if fingerprint not in members]:
        raise CommandRejected("not_found", f"no alert {missing[0]} fires in {found.id}")
    if len(wanted) == len(members):
        raise CommandRejected("nothing_left", f"one firing alert of {found.id} has to stay at least")
    leaving = [members[fingerprint] for fingerprint in wanted]
    if any(alert.held == "storm" for alert in leaving):
        raise CommandRejected("not_allowed_in_state", f"{found.id} is a storm: its alerts are judged again at its end")
    opened = joining.opening_of(leaving, [joining.ref_of(alert) for alert in leaving], step)
    for alert in leaving:
        # Before the events: what keeps all of them quiet keeps the new incident quiet, too.
        step.registry.members.leave(alert)
        alert.incident = opened.incident
        step.registry.members.join(alert)
    gone = e.IncidentSplit(found.id, opened.incident, wanted, command.reason)
    step.incident(gone, scope=found.scope, actor=record.actor)
    step.incident(opened, scope=found.scope, actor=record.actor)
    link = e.IncidentLinked(opened.incident, found.id, "related", command.reason)
    step.incident(link, scope=found.scope, actor=record.actor)
