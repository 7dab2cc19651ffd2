"""Assessments in the core: commands about a period, and deductions that incidents propose by themselves.

An outage belongs to the period in which it began, unless that is closed: then to the one in which the line was passed.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from engine.machines import assessment as machine
from engine.machines.incident import Incident
from schemas import assessment as a
from schemas.clocks import AccidentProposed
from schemas.contracts import Contract
from schemas.errors import CommandRejected
from schemas.records import Commanded

if TYPE_CHECKING:
    from engine.core.step import Step


def decide(command: a.AssessmentCommand, record: Commanded, step: Step) -> None:
    """Decide a command about a period, which opens it where nobody has. Raises CommandRejected."""
    contract = step.rules.contracts.get(command.contract)
    if contract is None:
        raise CommandRejected("not_found", f"there is no contract {command.contract}")
    user = record.actor.partition(":")[2] or record.actor
    known = step.state.assessments.get(_key(command.contract, command.period))
    opened = _opened(command.contract, command.period, contract, step) if known is None else None
    period = known or (a.after(None, opened) if opened else None)
    assert period is not None
    if isinstance(command, a.OpenAssessment) and user not in (*contract.handlers, *contract.heads):
        raise CommandRejected("not_allowed", f"{user} is not among those of the contract who open periods")
    today = _day(step.at_ms, step).isoformat()
    decided = machine.decide(period, command, contract, user=user, today=today)
    for event in ((opened,) if opened else ()) + decided:
        _log(event, step, record.actor)


def propose(proposal: AccidentProposed, owner: Incident, step: Step) -> None:
    """An outage has passed a line of annex 3: a deduction in each contract that it concerns."""
    for name, contract in step.rules.contracts.items():
        if contract.services and owner.service not in contract.services:
            continue
        period = _period_of(name, contract, (proposal.outage_since_ms, step.at_ms), step)
        if period is None:
            continue
        proposed = a.DeductionProposed(
            contract=name,
            period=period.name,
            deduction=f"{owner.id}@{proposal.outage_since_ms}",
            criterion=proposal.criterion,
            points=proposal.points,
            incidents=[owner.id],
            reason=f"{proposal.outage} > {proposal.outage_hours} h",
            from_ms=proposal.outage_since_ms,
        )
        _log(proposed, step)


def ended(owner: Incident, step: Step) -> None:
    """The trouble of an incident is over: so are the outages that its deductions rest on."""
    for period in list(step.state.assessments.values()):
        for one in list(period.deductions.values()):
            if period.closed is None and one.from_ms and not one.to_ms and owner.id in one.incidents:
                _log(a.DeductionOutageEnded(period.contract, period.name, one.id, step.at_ms), step)


def _period_of(name: str, contract: Contract, moments: tuple[int, int], step: Step) -> a.Period | None:
    for at_ms in moments:
        span = contract.period_on(_day(at_ms, step))
        if span is None:
            continue
        known = step.state.assessments.get(_key(name, span.name))
        if known is None:
            _log(_opened(name, span.name, contract, step), step)
            known = step.state.assessments[_key(name, span.name)]
        if known.closed is None:
            return known
    return None


def _opened(name: str, period: str, contract: Contract, step: Step) -> a.AssessmentOpened:
    """The opening of a period, with what the one before it has put off."""
    deferred: dict[str, str] = {}
    for before in contract.periods:
        following = contract.period_after(before.name)
        known = step.state.assessments.get(_key(name, before.name))
        if following is not None and following.name == period and known is not None:
            deferred = {item: before.name for item, one in known.items.items() if one.outcome == "deferred"}
    return a.AssessmentOpened(name, period, machine.terms_of(contract, period, deferred))


def _log(event: a.AssessmentEvent, step: Step, actor: str = "system") -> None:
    key = _key(event.contract, event.period)
    step.state.assessments[key] = a.after(step.state.assessments.get(key), event)
    step.log(event, scope="default", subject=f"assessment/{key}", actor=actor)


def _key(contract: str, period: str) -> str:
    return f"{contract}/{period}"


def _day(at_ms: int, step: Step) -> date:
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(ZoneInfo(step.rules.timezone)).date()
