"""The assessment machine: what people may do with a period of a contract, and what follows (R12, annexes 1–4)."""

from __future__ import annotations

from typing import assert_never

from schemas import assessment as a
from schemas.annexes import CRITERIA
from schemas.assessment_score import digest, score
from schemas.contracts import Contract
from schemas.errors import CommandRejected

Decided = tuple[a.AssessmentEvent, ...]


def terms_of(contract: Contract, period: str, deferred: dict[str, str]) -> a.Terms:
    """The contract as a period keeps it; `deferred` are items put off, each with the period that put it off."""
    span = contract.period(period)
    if span is None or span.documents_due is None:
        raise CommandRejected("not_found", f"the contract has no period {period}")
    return a.Terms(
        title=contract.title,
        provider=contract.provider,
        purchaser=contract.purchaser,
        first=span.first.isoformat(),
        last=span.last.isoformat(),
        documents_due=span.documents_due.isoformat(),
        raters=list(contract.raters),
        items=[a.Item(one.id, one.title, one.content, deferred.get(one.id, "")) for one in contract.items],
        sum=str(contract.sum or ""),
    )


def decide(period: a.Period, command: a.AssessmentCommand, contract: Contract, *, user: str, today: str) -> Decided:
    """The events that `command` causes; `user` is who asks, `today` the local ISO date.

    Raises CommandRejected (``not_found``, ``not_allowed``, ``not_allowed_in_state``, ``invalid``).
    """
    if period.closed is not None:
        raise CommandRejected("not_allowed_in_state", f"{period.name} is closed: it stays as it was signed")
    match command:
        case a.OpenAssessment():
            return ()
        case a.RateService():
            return _rate(period, command, user)
        case a.JudgeServiceItem():
            _only(user, (*contract.handlers, *contract.heads), "decides service items")
            return _judge(period, command, contract, user)
        case a.ProposeDeduction():
            _only(user, (*contract.handlers, *contract.heads, *contract.raters), "proposes deductions")
            return _propose(period, command, user)
        case a.DecideDeduction():
            return _decide_deduction(period, command, contract, user)
        case a.ReceiveAssessmentDocuments():
            _only(user, (*contract.providers, *contract.handlers, *contract.heads), "hands in documents")
            late = today > period.terms.documents_due
            documents = list(command.documents)
            received = a.AssessmentDocumentsReceived(period.contract, period.name, documents, today, late, user)
            return (received,)
        case a.SignAssessment():
            return _sign(period, command, contract, user, today)
        case _:
            assert_never(command)


def _only(user: str, members: tuple[str, ...], does: str) -> None:
    if user not in members:
        raise CommandRejected("not_allowed", f"{user} is not among those of the contract who {does}")


def _rate(period: a.Period, command: a.RateService, user: str) -> Decided:
    _only(user, tuple(period.terms.raters), "rates the service")
    before = period.ratings.get(user)
    if before is not None and not command.correction:
        raise CommandRejected("not_allowed_in_state", f"{user} has rated {period.name}: a change is a correction")
    aspects = ("support", "quality", "response", "documents", "people")
    scores = {name: getattr(command, name) for name in aspects}
    version = before.version + 1 if before else 1
    return (a.ServiceRated(period.contract, period.name, user, scores, version, command.comment),)


def _judge(period: a.Period, command: a.JudgeServiceItem, contract: Contract, user: str) -> Decided:
    if command.item not in {one.id for one in period.terms.items}:
        raise CommandRejected("not_found", f"the contract has no item {command.item}")
    if command.commitment and command.done:
        raise CommandRejected("invalid", "what is done needs no commitment")
    if command.commitment and contract.period_after(period.name) is None:
        raise CommandRejected("invalid", "no period follows in this contract: it cannot be put off")
    outcome: a.Outcome = "done" if command.done else "deferred" if command.commitment else "not_done"
    judged = a.ServiceItemJudged(
        period.contract, period.name, command.item, outcome, command.evidence, command.commitment, user
    )
    return () if period.items.get(command.item) == judged else (judged,)


def _propose(period: a.Period, command: a.ProposeDeduction, user: str) -> Decided:
    level = CRITERIA.get(command.criterion)
    if level is None:
        raise CommandRejected("not_found", f"annex 3 has no line {command.criterion}")
    number = sum(name.startswith("D") for name in period.deductions) + 1
    proposed = a.DeductionProposed(
        contract=period.contract,
        period=period.name,
        deduction=f"D{number}",
        criterion=command.criterion,
        points=level.points,
        incidents=list(command.incidents),
        evidence=list(command.evidence),
        reason=command.reason,
        by=user,
    )
    return (proposed,)


_FROM: dict[a.Verdict, tuple[a.Standing, ...]] = {
    "confirm": ("proposed", "rejected"),
    "reject": ("proposed", "confirmed"),
    "appeal": ("proposed", "confirmed"),
    "uphold_appeal": ("appealed",),
    "dismiss_appeal": ("appealed",),
}
"""From where each verdict leads on."""


def _decide_deduction(period: a.Period, command: a.DecideDeduction, contract: Contract, user: str) -> Decided:
    known = period.deductions.get(command.deduction)
    if known is None:
        raise CommandRejected("not_found", f"there is no deduction {command.deduction} in {period.name}")
    if known.standing not in _FROM[command.verdict]:
        raise CommandRejected("not_allowed_in_state", f"cannot {command.verdict} {known.id}: it is {known.standing}")
    if command.verdict == "appeal":
        _only(user, contract.providers, "appeals for the provider")
    else:
        _only(user, (*contract.handlers, *contract.heads), "decides deductions")
    if command.verdict in ("uphold_appeal", "dismiss_appeal") and user in {one.by for one in known.history}:
        raise CommandRejected("not_allowed", f"{user} has decided {known.id} before: an appeal is for another person")
    decided = a.DeductionDecided(period.contract, period.name, known.id, command.verdict, command.reason, user)
    return (decided,)


def _sign(period: a.Period, command: a.SignAssessment, contract: Contract, user: str, today: str) -> Decided:
    members = {"head": contract.heads, "purchaser": contract.purchasers, "provider": contract.providers}
    _only(user, members[command.party], f"sign as {command.party}")
    if missing := _missing(period, today):
        raise CommandRejected("not_allowed_in_state", f"{period.name} cannot be signed yet: {'; '.join(missing)}")
    none_came: Decided = ()
    if not period.documents:  # the last day for them has passed
        none_came = (a.AssessmentDocumentsReceived(period.contract, period.name, [], today, True, user),)
        period = a.after(period, none_came[0])
    found = digest(period)
    signed = a.AssessmentSigned(period.contract, period.name, command.party, found, user, command.opinion)
    after = a.after(period, signed)
    if any(party not in after.signatures for party in a.PARTIES):
        return (*none_came, signed)
    return (*none_came, signed, a.AssessmentClosed(period.contract, period.name, found, str(score(period).total)))


def _missing(period: a.Period, today: str) -> list[str]:
    """Why the period cannot be signed yet."""
    missing = []
    if today <= period.terms.last:
        missing.append(f"the period ends on {period.terms.last}")
    if not period.documents and today <= period.terms.documents_due:
        missing.append(f"documents may still come until {period.terms.documents_due}")
    if waiting := [name for name in period.terms.raters if name not in period.ratings]:
        missing.append(f"no rating of {', '.join(waiting)}")
    if unjudged := [one.id for one in period.terms.items if one.id not in period.items]:
        missing.append(f"items not judged: {', '.join(unjudged)}")
    if undecided := [one.id for one in period.deductions.values() if one.standing in ("proposed", "appealed")]:
        missing.append(f"deductions not decided: {', '.join(undecided)}")
    return missing
