"""What a period of service scores and pays: pure functions in decimal (R12; procurement document, 9 and payment).

Means are rounded half up to a hundredth of a point, money half up to the cent (分); nothing else is rounded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal

import msgspec

from schemas.annexes import CRITERIA
from schemas.assessment import Deduction, Period, Standing

NOT_DONE = Decimal(-10)
FULL_FROM = Decimal(80)
HUNDREDTH = Decimal("0.01")


class CountedDeduction(msgspec.Struct, frozen=True):
    """A confirmed deduction and the points that it takes off; none where `instead` names what counts for it."""

    id: str
    criterion: str
    points: int
    instead: str = ""


class Score(msgspec.Struct, frozen=True):
    """The result of a period. `share` is the part of the contract's sum that is paid now, of 0.5 at most."""

    raters: int
    quality: Decimal
    completion: Decimal
    capability: Decimal
    total: Decimal
    share: Decimal
    deductions: list[CountedDeduction]
    documents_late: bool
    open_deductions: int
    payment: Decimal | None = None


def mean(totals: Sequence[int]) -> Decimal:
    """The mean of the raters' sums; 0 without any.

    >>> mean([90, 85, 85])
    Decimal('86.67')
    """
    if not totals:
        return Decimal(0)
    return (Decimal(sum(totals)) / len(totals)).quantize(HUNDREDTH, ROUND_HALF_UP)


def counted(deductions: Iterable[Deduction]) -> list[CountedDeduction]:
    """Which confirmed deductions take off how much, the worst first.

    Outages that overlap in time are one accident: the worst counts, the others count with it. −100 counts once.
    """
    confirmed = [one for one in deductions if one.standing == "confirmed"]
    found: list[CountedDeduction] = []
    leaders: dict[str, list[Deduction]] = {}
    extraordinary = ""
    for one in sorted(confirmed, key=lambda one: (-one.points, one.from_ms, one.id)):
        instead = next((name for name, group in leaders.items() if any(_overlap(one, it) for it in group)), "")
        if instead:
            leaders[instead].append(one)
        elif CRITERIA[one.criterion].key == "extraordinary":
            instead, extraordinary = extraordinary, extraordinary or one.id
            leaders[one.id] = [one]
        else:
            leaders[one.id] = [one]
        found.append(CountedDeduction(one.id, one.criterion, 0 if instead else one.points, instead))
    return found


def _overlap(one: Deduction, other: Deduction) -> bool:
    """Whether both are outages that lasted at a common moment; one without an end still lasts."""
    if not one.from_ms or not other.from_ms:
        return False
    return (not other.to_ms or one.from_ms < other.to_ms) and (not one.to_ms or other.from_ms < one.to_ms)


def paid_share(total: Decimal) -> Decimal:
    """The part of the contract's sum that is paid: 80 and more the full half, else half × score %.

    >>> paid_share(Decimal("79.5"))
    Decimal('0.3975')
    """
    return Decimal("0.5") if total >= FULL_FROM else Decimal("0.5") * total / 100


def score(period: Period) -> Score:
    """The result as it follows from what is confirmed. A sum below 0 counts as 0; late documents make it 0."""
    quality = mean([rating.total for rating in period.ratings.values()])
    completion = NOT_DONE * sum(judged.outcome == "not_done" for judged in period.items.values())
    deductions = counted(period.deductions.values())
    capability = -Decimal(sum(one.points for one in deductions))
    late = bool(period.documents) and all(one.late for one in period.documents)
    total = Decimal(0) if late else max(Decimal(0), quality + completion + capability)
    share = paid_share(total)
    amount = (Decimal(period.terms.sum) * share).quantize(HUNDREDTH, ROUND_HALF_UP) if period.terms.sum else None
    undecided = sum(one.standing in ("proposed", "appealed") for one in period.deductions.values())
    return Score(
        len(period.ratings), quality, completion, capability, total, share, deductions, late, undecided, amount
    )


def digest(period: Period) -> str:
    """SHA-256 of all that the result follows from and of the result, hex: the same on any later day."""
    bare = msgspec.structs.replace(period, signatures={}, closed=None)
    encode = msgspec.json.Encoder(order="deterministic").encode
    return hashlib.sha256(encode([bare, score(period)])).hexdigest()


def if_decided(period: Period, standing: Mapping[str, str]) -> Score:
    """What it would score if these deductions stood as ``confirmed`` or ``rejected``. Raises KeyError."""
    changed = dict(period.deductions)
    for name, stands in standing.items():
        stands_as: Standing = "confirmed" if stands == "confirmed" else "rejected"
        changed[name] = msgspec.structs.replace(changed[name], standing=stands_as)
    return score(msgspec.structs.replace(period, deductions=changed))
