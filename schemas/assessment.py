"""The service assessment (服务考核, R12): one period of a contract, its events and its commands.

`after` is the one place that says what an event changes: the core and the read model both use it.
"""

from __future__ import annotations

from typing import Annotated, Literal, assert_never

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from schemas.vocabulary import Fact

Verdict = Literal["confirm", "reject", "appeal", "uphold_appeal", "dismiss_appeal"]
Standing = Literal["proposed", "confirmed", "rejected", "appealed"]
Outcome = Literal["done", "not_done", "deferred"]
Party = Literal["head", "purchaser", "provider"]

PARTIES: tuple[Party, ...] = ("head", "purchaser", "provider")
_STANDS: dict[Verdict, Standing] = {
    "confirm": "confirmed", "reject": "rejected", "appeal": "appealed", "uphold_appeal": "rejected",
    "dismiss_appeal": "confirmed",
}  # fmt: skip


class Item(msgspec.Struct, frozen=True):
    """A service item as it stood in the contract when the period was opened; `deferred_from` names a period."""

    id: str
    title: str
    content: str
    deferred_from: str = ""


class Terms(msgspec.Struct, frozen=True):
    """The contract as it stood when the period was opened. Days are ISO dates, `sum` yuan in decimal or empty."""

    title: str
    provider: str
    purchaser: str
    first: str
    last: str
    documents_due: str
    raters: list[str]
    items: list[Item]
    sum: str = ""


# --- events -----------------------------------------------------------------------------------------------------------


class AssessmentOpened(Fact, frozen=True):
    """The assessment of a period began: by a person, or by the first deduction that was proposed for it."""

    contract: str
    period: str
    terms: Terms


class ServiceRated(Fact, frozen=True):
    """A rater handed in annex 1; `version` counts their corrections from 1."""

    contract: str
    period: str
    rater: str
    scores: dict[str, int]
    version: int
    comment: str = ""


class ServiceItemJudged(Fact, frozen=True):
    """A line of annex 2: done, not done, or put off to the next period by a written commitment (承诺书)."""

    contract: str
    period: str
    item: str
    outcome: Outcome
    evidence: str
    commitment: str = ""
    by: str = ""


class DeductionProposed(Fact, frozen=True):
    """A line of annex 3 may be met. The same deduction proposed again at a worse level has to be decided again.

    `evidence` names events, incidents or documents. An outage has its beginning, in UTC milliseconds.
    """

    contract: str
    period: str
    deduction: str
    criterion: str
    points: int
    incidents: list[str] = []
    evidence: list[str] = []
    reason: str = ""
    from_ms: int = 0
    by: str = ""


class DeductionOutageEnded(Fact, frozen=True):
    """The outage that a deduction rests on is over: mitigated or resolved."""

    contract: str
    period: str
    deduction: str
    to_ms: int


class DeductionDecided(Fact, frozen=True):
    """A named person confirmed, rejected or appealed a deduction, or decided its appeal."""

    contract: str
    period: str
    deduction: str
    verdict: Verdict
    reason: str
    by: str


class AssessmentDocumentsReceived(Fact, frozen=True):
    """The provider's documents came on `day` (ISO date); `late` after the last day for them."""

    contract: str
    period: str
    documents: list[str]
    day: str
    late: bool
    by: str = ""


class AssessmentSigned(Fact, frozen=True):
    """A party signed what the computation `digest` (SHA-256) names. Any later change takes signatures away."""

    contract: str
    period: str
    party: Party
    digest: str
    by: str
    opinion: str = ""


class AssessmentClosed(Fact, frozen=True):
    """All parties have signed: the period stays as it was known. `score` is in decimal."""

    contract: str
    period: str
    digest: str
    score: str


AssessmentEvent = (
    AssessmentOpened | ServiceRated | ServiceItemJudged | DeductionProposed | DeductionOutageEnded | DeductionDecided
    | AssessmentDocumentsReceived | AssessmentSigned | AssessmentClosed
)  # fmt: skip

# --- a period as these events leave it --------------------------------------------------------------------------------


class Rating(msgspec.Struct, frozen=True):
    """What one rater said last."""

    scores: dict[str, int]
    version: int
    comment: str = ""

    @property
    def total(self) -> int:
        """The sum of annex 1."""
        return sum(self.scores.values())


class Deduction(msgspec.Struct, frozen=True):
    """One deduction of annex 3 and where it stands; `history` holds each decision, the first first."""

    id: str
    criterion: str
    points: int
    standing: Standing = "proposed"
    incidents: list[str] = []
    evidence: list[str] = []
    reason: str = ""
    from_ms: int = 0
    to_ms: int = 0
    history: list[DeductionDecided] = []


class Period(msgspec.Struct, frozen=True):
    """The assessment of one period: everything that its score follows from."""

    contract: str
    name: str
    terms: Terms
    ratings: dict[str, Rating] = {}
    items: dict[str, ServiceItemJudged] = {}
    deductions: dict[str, Deduction] = {}
    documents: list[AssessmentDocumentsReceived] = []
    signatures: dict[str, AssessmentSigned] = {}
    closed: AssessmentClosed | None = None


def after(period: Period | None, event: AssessmentEvent) -> Period:
    """The period after an event. Raises LookupError for one that was never opened."""
    if isinstance(event, AssessmentOpened):
        return Period(event.contract, event.period, event.terms)
    if period is None:
        raise LookupError(f"{event.contract}/{event.period} was never opened")
    change = msgspec.structs.replace
    match event:
        case AssessmentSigned():
            return change(period, signatures={**period.signatures, event.party: event})
        case AssessmentClosed():
            return change(period, closed=event)
        case ServiceRated():
            rating = Rating(event.scores, event.version, event.comment)
            return change(period, ratings={**period.ratings, event.rater: rating}, signatures={})
        case ServiceItemJudged():
            return change(period, items={**period.items, event.item: event}, signatures={})
        case AssessmentDocumentsReceived():
            return change(period, documents=[*period.documents, event], signatures={})
        case DeductionProposed() | DeductionOutageEnded() | DeductionDecided():
            deduction = _after(period.deductions.get(event.deduction), event)
            return change(period, deductions={**period.deductions, deduction.id: deduction}, signatures={})
        case _:
            assert_never(event)


def _after(known: Deduction | None, event: DeductionProposed | DeductionOutageEnded | DeductionDecided) -> Deduction:
    if isinstance(event, DeductionProposed):
        history = known.history if known else []
        return Deduction(
            event.deduction, event.criterion, event.points, "proposed", event.incidents, event.evidence, event.reason,
            event.from_ms, 0, history,
        )  # fmt: skip
    if known is None:
        raise LookupError(f"{event.deduction} was never proposed")
    if isinstance(event, DeductionOutageEnded):
        return msgspec.structs.replace(known, to_ms=event.to_ms)
    return msgspec.structs.replace(known, standing=_STANDS[event.verdict], history=[*known.history, event])


# --- commands ---------------------------------------------------------------------------------------------------------

Key = Annotated[str, Field(min_length=1, max_length=63, description="as in the rules")]
Why = Annotated[str, Field(min_length=1, max_length=2000)]
Note = Annotated[str, Field(max_length=2000)]


class _Command(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)
    contract: Key
    period: Key


class OpenAssessment(_Command):
    """Begin the assessment of a period (开始考核)."""

    type: Literal["open_assessment"] = "open_assessment"


class RateService(_Command):
    """Score annex 1 as a rater of the contract (评分). A second time only as a `correction`, before signing."""

    type: Literal["rate_service"] = "rate_service"
    support: Annotated[int, Field(ge=0, le=65)]
    quality: Annotated[int, Field(ge=0, le=10)]
    response: Annotated[int, Field(ge=0, le=10)]
    documents: Annotated[int, Field(ge=0, le=8)]
    people: Annotated[int, Field(ge=0, le=7)]
    comment: Note = ""
    correction: bool = False


class JudgeServiceItem(_Command):
    """Say whether a service item was done (完成情况). With a written `commitment` it is put off to the next period."""

    type: Literal["judge_service_item"] = "judge_service_item"
    item: Key
    done: bool
    evidence: Why
    commitment: Note = ""


class ProposeDeduction(_Command):
    """Propose a deduction of annex 3 by hand, with its evidence (提出扣分)."""

    type: Literal["propose_deduction"] = "propose_deduction"
    criterion: Annotated[str, Field(min_length=1, max_length=20, description="as in 一般.4")]
    evidence: Annotated[tuple[Why, ...], Field(min_length=1, max_length=100)]
    incidents: Annotated[tuple[Key, ...], Field(max_length=100)] = ()
    reason: Why


class DecideDeduction(_Command):
    """Confirm, reject or appeal a deduction, or decide its appeal (确认、驳回、申诉)."""

    type: Literal["decide_deduction"] = "decide_deduction"
    deduction: Annotated[str, Field(min_length=1, max_length=120)]
    verdict: Verdict
    reason: Why


class ReceiveAssessmentDocuments(_Command):
    """Note that the provider's documents came today (提交文档)."""

    type: Literal["receive_assessment_documents"] = "receive_assessment_documents"
    documents: Annotated[tuple[Why, ...], Field(min_length=1, max_length=200)]


class SignAssessment(_Command):
    """Sign the result for a party (签字). The third signature closes the period."""

    type: Literal["sign_assessment"] = "sign_assessment"
    party: Party
    opinion: Note = ""


AssessmentCommand = (
    OpenAssessment | RateService | JudgeServiceItem | ProposeDeduction | DecideDeduction | ReceiveAssessmentDocuments
    | SignAssessment
)  # fmt: skip
