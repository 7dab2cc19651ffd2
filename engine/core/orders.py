"""Commands of people and programs, decided against the state."""

from __future__ import annotations

from pydantic import ValidationError

from engine.core import assessing, forgetting, notices, rota, silences, splitting, triage
from engine.core.signals import Taken
from engine.core.state import REMEMBERED_COMMANDS
from engine.core.step import Step
from engine.machines import incident as machine
from engine.machines import ticket
from schemas import commands as c
from schemas import events as e
from schemas.drills import RPO_TARGET_MS, RTO_TARGET_MS
from schemas.errors import CommandRejected
from schemas.records import Commanded


def decide(record: Commanded, step: Step) -> None:
    """Decide one command. A rejection is left in `step.rejected`; the same command id a second time does nothing."""
    remembered = step.state.commands
    if record.command_id in remembered:
        return
    try:
        _decide(c.COMMAND.validate_json(record.body), record, step)
    except ValidationError as malformed:
        step.rejected = CommandRejected("invalid", str(malformed))
    except CommandRejected as rejected:
        step.rejected = rejected
    else:
        remembered[record.command_id] = None
        if len(remembered) > REMEMBERED_COMMANDS:
            del remembered[next(iter(remembered))]


def _decide(command: c.Command, record: Commanded, step: Step) -> None:  # noqa: C901 - one case per command
    for incident_id in (getattr(command, "incident", ""), getattr(command, "into", "")):
        forgetting.refuse_forgotten(incident_id, step.state)
    match command:
        case c.ReportIncident():
            _report(command, record, step)
        case c.TestChannel():
            _test_channel(command, step)
        case c.RecordDrill():
            _record_drill(command, record, step)
        case c.SetSilence():
            silences.set_silence(command, record, step)
        case c.ExpireSilence():
            silences.expire_silence(command, record, step)
        case c.SetOverride() | c.SwapShifts() | c.SetVacation() | c.RemoveOncallChange():
            rota.decide(command, record, step)
        case (
            c.OpenAssessment() | c.RateService() | c.JudgeServiceItem() | c.ProposeDeduction() | c.DecideDeduction()
            | c.ReceiveAssessmentDocuments() | c.SignAssessment()
        ):  # fmt: skip
            assessing.decide(command, record, step)
        case c.Merge():
            found = step.state.incidents.get(command.incident)
            _log(machine.decide_merge(found, step.state.incidents.get(command.into), command), record, step)
        case c.Split():
            splitting.split(command, record, step)
        case c.Classify() | c.Claim() | c.HandOver() | c.Verify() | c.Link() | c.Unlink():
            _say(command, record, step)
        case c.SetPriority():
            _log(_prioritise(step.state.incidents.get(command.incident), command, step), record, step)
        case _:
            found = step.state.incidents.get(command.incident)
            _log(machine.decide(found, command, record.actor, record.command_id), record, step)
            if isinstance(command, c.Acknowledge | c.Assign | c.StartDiagnosis | c.Mitigate):
                step.signals.append(Taken(command.incident))


def _say(command: ticket.Command, record: Commanded, step: Step) -> None:
    if isinstance(command, c.Link) and not forgetting.may_be_there(command.other, step.state):
        raise CommandRejected("not_found", f"there is no incident {command.other}")
    _log(ticket.decide(step.state.incidents.get(command.incident), command, record.actor), record, step)
    if isinstance(command, c.Claim | c.HandOver):
        step.signals.append(Taken(command.incident))


def _log(decided: tuple[e.IncidentEvent, ...], record: Commanded, step: Step) -> None:
    for event in decided:
        step.incident(event, scope=step.state.incidents[event.incident].scope, actor=record.actor)


def _prioritise(found: machine.Incident | None, command: c.SetPriority, step: Step) -> tuple[e.IncidentEvent, ...]:
    if found is None:
        raise CommandRejected("not_found", f"there is no incident {command.incident}")
    if not found.is_open:
        raise CommandRejected("not_allowed_in_state", f"cannot prioritise {found.id}: it is {found.state}")
    if (found.urgency, found.impact) == (command.urgency, command.impact):
        return ()
    priority = triage.priority_of(command.urgency, command.impact, step.rules.triage)
    reason = command.reason or "judged by hand"
    raised = e.IncidentRaised(found.id, found.severity, command.urgency, command.impact, priority, reason, by_hand=True)
    return (raised,)


def _report(command: c.ReportIncident, record: Commanded, step: Step) -> None:
    """Trouble that a person found (人工上报)."""
    number = step.state.numbers[command.scope] = step.state.numbers.get(command.scope, 0) + 1
    urgency = triage.urgency_of(command.severity)
    opened = e.IncidentOpened(
        incident=triage.incident_id(command.scope, number),
        title=command.title,
        service=command.service,
        severity=command.severity,
        urgency=urgency,
        impact=command.impact,
        priority=triage.priority_of(urgency, command.impact, step.rules.triage),
        origin=command.origin,
        description=command.description,
        outage=command.outage,
        rules_version=step.state.rules_version,
    )
    step.incident(opened, scope=command.scope, actor=record.actor)


def _test_channel(command: c.TestChannel, step: Step) -> None:
    known = {channel for _, channel in step.rules.channels()}
    if command.channel not in known:
        raise CommandRejected("not_found", f"no receiver uses a channel named {command.channel}")
    notice = notices.probe_notice(command.channel, step.rules, step.at_ms)
    step.request("", (command.channel,), notice, scope="default")


def _record_drill(command: c.RecordDrill, record: Commanded, step: Step) -> None:
    """A restore drill, judged by what is promised (R10.2)."""
    in_time = command.rto_ms <= RTO_TARGET_MS and command.rpo_ms <= RPO_TARGET_MS
    drill = e.DrillRecorded(
        backup=command.backup,
        backup_at_ms=command.backup_at_ms,
        records=command.records,
        events=command.events,
        head=command.head,
        decided_again=command.decided_again,
        rto_ms=command.rto_ms,
        rpo_ms=command.rpo_ms,
        passed=in_time and not command.problem,
        problem=command.problem,
    )
    step.log(drill, scope="default", subject="drill", actor=record.actor)
