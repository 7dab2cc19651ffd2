"""The assessment: deductions proposed from outages (annex 3, 安全事故定级说明), with the events they rest on.

Each is a proposal; a named person decides. An incident counts once, with the highest level that it reached.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Column, Connection, Index, Integer, MetaData, String, Table, select

from projections.projection import Projection, Row
from projections.rows import Rows, read_keys, upsert
from schemas import events as e

_metadata = MetaData()

proposals_table = Table(
    "accident_proposals",
    _metadata,
    Column("incident", String(120), primary_key=True),
    Column("level", String(16), nullable=False),
    Column("criterion", String(32), nullable=False),
    Column("points", Integer, nullable=False, comment="to be taken off, as a positive number"),
    Column("outage", String(16), nullable=False),
    Column("outage_hours", Integer, nullable=False),
    Column("proposed_ms", BigInteger, nullable=False),
    Column("event_id", String(64), nullable=False),
    Index("accident_proposals_by_time", "proposed_ms"),
)

evidence_table = Table(
    "accident_evidence",
    _metadata,
    Column("incident", String(120), primary_key=True),
    Column("mark", String(16), primary_key=True, comment="opened, alerts_resolved or resolved"),
    Column("event_id", String(64), nullable=False, comment="of the last such event"),
    comment="for every incident: whether it becomes an accident shows only later, and its end after that",
)

_MARKS: dict[type, str] = {
    e.IncidentOpened: "opened",
    e.AlertsResolved: "alerts_resolved",
    e.IncidentResolved: "resolved",
}
_IN_ORDER = {mark: place for place, mark in enumerate(_MARKS.values())}


class AssessmentProjection(Projection):
    """The highest proposal for each incident, and what marks the beginning and end of each incident."""

    name = "assessment"
    version = 1
    handles = frozenset({e.AccidentProposed, *_MARKS})
    tables = (proposals_table, evidence_table)

    def apply_all(self, events: Sequence[e.LoggedEvent], tx: Connection) -> None:
        """Note proposals and evidence."""
        proposed = [logged for logged in events if type(logged.event.data) is e.AccidentProposed]
        proposals = Rows(tx, proposals_table, (logged.event.data.incident for logged in proposed))  # type: ignore[union-attr]
        evidence: dict[tuple[str, str], Row] = {}
        for logged in events:
            data: Any = logged.event.data
            if isinstance(data, e.AccidentProposed):
                known = proposals.get(data.incident)
                if known is None or data.points > known["points"]:
                    proposals.put(_proposal(logged, data))
            else:
                mark = _MARKS[type(data)]
                row = {"incident": data.incident, "mark": mark, "event_id": logged.id}
                evidence[data.incident, mark] = row
        proposals.save(tx)
        upsert(tx, evidence_table, list(evidence.values()))


def _proposal(logged: e.LoggedEvent, data: e.AccidentProposed) -> Row:
    return {
        "incident": data.incident,
        "level": data.level,
        "criterion": data.criterion,
        "points": data.points,
        "outage": data.outage,
        "outage_hours": data.outage_hours,
        "proposed_ms": logged.event.at_ms,
        "event_id": logged.id,
    }


class Proposal(msgspec.Struct, frozen=True):
    """A deduction proposed for one incident. `points` is positive; `evidence` holds event ids, the proposal's last."""

    incident: str
    level: e.AccidentLevel
    criterion: str
    points: int
    outage: e.Outage
    outage_hours: int
    proposed_ms: int
    event_id: str
    evidence: tuple[str, ...]


class DeductionLine(msgspec.Struct, frozen=True):
    """A proposal and the points it takes off in its period: none for a second 特大, which counts once a period."""

    proposal: Proposal
    points: int


class Deduction(msgspec.Struct, frozen=True):
    """What annex 3 would take off the score of a period, if every proposal were confirmed."""

    points: int
    lines: tuple[DeductionLine, ...]


def proposals(conn: Connection, since_ms: int, until_ms: int) -> list[Proposal]:
    """The incidents whose highest proposal was made from `since_ms` to before `until_ms`, the oldest first."""
    column = proposals_table.c
    period = (column.proposed_ms >= since_ms, column.proposed_ms < until_ms)
    rows = conn.execute(select(proposals_table).where(*period).order_by(column.proposed_ms, column.incident)).all()
    marks: dict[str, list[tuple[int, str]]] = {}
    columns = list(evidence_table.columns)
    for incident, mark, event_id in read_keys(conn, columns, (row.incident for row in rows), columns[:1]):
        marks.setdefault(incident, []).append((_IN_ORDER[mark], event_id))
    return [
        Proposal(
            **row._mapping,
            evidence=(*(event_id for _, event_id in sorted(marks.get(row.incident, []))), row.event_id),
        )
        for row in rows
    ]


def proposed_deduction(conn: Connection, since_ms: int, until_ms: int) -> Deduction:
    """The sum of a period: 特大 (extraordinary) is −100 for the period, however many; each other counts."""
    lines: list[DeductionLine] = []
    extraordinary = False
    for proposal in proposals(conn, since_ms, until_ms):
        again = extraordinary and proposal.level == "extraordinary"
        extraordinary = extraordinary or proposal.level == "extraordinary"
        lines.append(DeductionLine(proposal, 0 if again else proposal.points))
    return Deduction(sum(line.points for line in lines), tuple(lines))
