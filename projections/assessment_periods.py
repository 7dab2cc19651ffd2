"""The assessments of service periods (R12): each as its events leave it, and the events behind every part of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from sqlalchemy import Column, Connection, MetaData, String, Table, Text, select

from projections.projection import Projection
from projections.rows import Rows
from schemas import assessment as a
from schemas import events as e

periods_table = Table(
    "assessment_periods",
    MetaData(),
    Column("contract", String(63), primary_key=True),
    Column("name", String(63), primary_key=True),
    Column("body", Text, nullable=False, comment="the period as JSON"),
    Column("sources", Text, nullable=False, comment="part of the period → ids of the events behind it, as JSON"),
)

_KINDS = (
    a.AssessmentOpened, a.ServiceRated, a.ServiceItemJudged, a.DeductionProposed, a.DeductionOutageEnded,
    a.DeductionDecided, a.AssessmentDocumentsReceived, a.AssessmentSigned, a.AssessmentClosed,
)  # fmt: skip
_json = msgspec.json.Encoder(order="deterministic").encode


class Assessed(msgspec.Struct, frozen=True):
    """A period, and by part (``rating/li``, ``item/patrol``, ``deduction/D1``, …) the ids of the events behind it."""

    period: a.Period
    sources: dict[str, list[str]]


class AssessmentPeriods(Projection):
    """One row for each period of each contract."""

    name = "assessment_periods"
    version = 1
    handles = frozenset(_KINDS)
    tables = (periods_table,)

    def apply_all(self, events: Sequence[e.LoggedEvent], tx: Connection) -> None:
        """Let each period follow its events. Raises LookupError where a period was never opened."""
        ours = [(logged, logged.event.data) for logged in events]
        keys = ((data.contract, data.period) for _, data in ours if isinstance(data, _KINDS))
        rows = Rows(tx, periods_table, keys)
        for logged, data in ours:
            if not isinstance(data, _KINDS):
                continue
            known = rows.get((data.contract, data.period))
            before = _read(known["body"], known["sources"]) if known else None
            found = follow(before, logged.id, data)
            body, sources = _json(found.period).decode(), _json(found.sources).decode()
            rows.put({"contract": data.contract, "name": data.period, "body": body, "sources": sources})
        rows.save(tx)


def follow(before: Assessed | None, event_id: str, data: a.AssessmentEvent) -> Assessed:
    """A period after one event more; an event that was followed already changes nothing."""
    sources = before.sources if before else {}
    part = _part(data)
    if before is not None and event_id in sources.get(part, ()):
        return before
    period = a.after(before.period if before else None, data)
    return Assessed(period, {**sources, part: [*sources.get(part, ()), event_id]})


def _part(data: a.AssessmentEvent) -> str:
    match data:
        case a.ServiceRated():
            return f"rating/{data.rater}"
        case a.ServiceItemJudged():
            return f"item/{data.item}"
        case a.DeductionProposed() | a.DeductionOutageEnded() | a.DeductionDecided():
            return f"deduction/{data.deduction}"
        case a.AssessmentSigned():
            return f"signature/{data.party}"
        case a.AssessmentDocumentsReceived():
            return "documents"
        case _:
            return "period"


def from_log(events: Iterable[e.LoggedEvent], contract: str, period: str) -> Assessed | None:
    """A period computed again from the log alone; None where it was never opened."""
    found: Assessed | None = None
    for logged in events:
        data = logged.event.data
        if isinstance(data, _KINDS) and (data.contract, data.period) == (contract, period):
            found = follow(found, logged.id, data)
    return found


def periods(conn: Connection) -> list[Assessed]:
    """Every period that was opened, the latest first."""
    column = periods_table.c
    found = [_read(body, sources) for body, sources in conn.execute(select(column.body, column.sources))]
    return sorted(found, key=lambda one: (one.period.terms.first, one.period.contract), reverse=True)


def period_of(conn: Connection, contract: str, name: str) -> Assessed | None:
    """One period, or None."""
    column = periods_table.c
    query = select(column.body, column.sources).where(column.contract == contract, column.name == name)
    row = conn.execute(query).first()
    return _read(row[0], row[1]) if row else None


def may_see_rating(period: a.Period, rater: str, viewer: str) -> bool:
    """Whether `viewer` may see what `rater` gave: alone until all have handed in, or the period is closed."""
    complete = all(name in period.ratings for name in period.terms.raters)
    return rater == viewer or complete or period.closed is not None


def _read(body: str, sources: str) -> Assessed:
    return Assessed(msgspec.json.decode(body, type=a.Period), msgspec.json.decode(sources, type=dict[str, list[str]]))
