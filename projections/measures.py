"""Measures: one row for each incident, and what any group of them adds up to (R1.6, R1.9).

An incident counts on the day and in the hour in which it was opened, in one time zone, with what is known of it now.
What can be added is stored; means and shares are divided last, so that the parts of a table add up to its total.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal, get_args
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import BigInteger, Column, Connection, Index, Integer, MetaData, String, Table, func, select

from projections.projection import PlainText, Projection, Row, plain
from projections.rows import MAX_KEY, Rows
from schemas import events as e
from schemas.tickets import ClassificationSuggested, IncidentClassified

RELEASE = 1
"""Version of this code; `MeasureProjection.version` joins it with the zone."""

FLAGS: Final = (
    "over", "resolved", "ever_resolved", "reopened", "false_alarm", "merged", "repeat", "response_judged",
    "response_missed", "resolution_judged", "resolution_missed", "classified",
)  # fmt: skip
"""Columns that are 1 or 0."""
TIMES: Final = ("detect_ms", "acknowledge_ms", "resolve_ms")
"""Columns that are null while there is no such time."""

Dimension = Literal[
    "module", "organisation", "problem_type", "service", "origin", "severity", "priority", "person", "hour", "day",
    "month",
]  # fmt: skip
DIMENSIONS: Final[tuple[Dimension, ...]] = get_args(Dimension)

facts_table = Table(
    "incident_measures",
    MetaData(),
    Column("incident", String(120), primary_key=True),
    Column("day", String(10), nullable=False, comment="2025-10-09, when it was opened"),
    Column("month", String(7), nullable=False),
    Column("hour", Integer, nullable=False, comment="0 to 23, when it was opened"),
    *(Column(name, PlainText, nullable=False) for name in ("module", "organisation", "problem_type", "service")),
    Column("origin", String(16), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("priority", String(2), nullable=False),
    Column("person", PlainText, nullable=False, comment="its owner, else who took notice first"),
    Column("opened_ms", BigInteger, nullable=False),
    Column("since_ms", BigInteger, nullable=False, comment="opened, or reopened for the last time"),
    *(Column(name, BigInteger) for name in TIMES),
    *(Column(name, Integer, nullable=False) for name in FLAGS),
    Column("position", BigInteger, nullable=False, comment="seq of the last event applied to this row"),
    Index("incident_measures_by_day", "day"),
)


class MeasureProjection(Projection):
    """What is measured of each incident."""

    name = "measures"
    handles = frozenset(
        {
            e.IncidentOpened, e.IncidentRaised, e.IncidentAcknowledged, e.IncidentAssigned, e.IncidentResolved,
            e.IncidentReopened, e.IncidentMerged, e.IncidentMarkedFalseAlarm, e.IncidentClosed, e.SlaClockBreached,
            e.SlaClockStopped, e.IncidentHandedOver, ClassificationSuggested, IncidentClassified,
        }
    )  # fmt: skip
    tables = (facts_table,)

    def __init__(self, timezone: str = "Asia/Shanghai") -> None:
        """`timezone` is an IANA name. Another zone has other days, so it makes another version: a rebuild."""
        self._zone = ZoneInfo(timezone)
        self.version = RELEASE * 10**10 + zlib.crc32(timezone.encode())

    def apply_all(self, events: Sequence[e.LoggedEvent], tx: Connection) -> None:
        """Measure. Raises LookupError on an event of an incident that was never opened."""
        incidents = Rows(tx, facts_table, (logged.event.data.incident for logged in events))  # type: ignore[union-attr]
        for logged in events:
            data: Any = logged.event.data
            row = incidents.get(data.incident)
            if row is not None and logged.seq <= row["position"]:
                continue
            if isinstance(data, e.IncidentOpened):
                row = self._opened(data, logged.event.at_ms)
            elif row is None:
                raise LookupError(f"{data.incident} has no beginning")
            else:
                row = row | _known_of_it(row, data) | _life(row, data, logged.event.at_ms)
            incidents.put(row | {"position": logged.seq})
        incidents.save(tx)

    def _opened(self, data: e.IncidentOpened, at_ms: int) -> Row:
        local = datetime.fromtimestamp(at_ms / 1000, self._zone)
        began_ms = min((alert.starts_ms for alert in data.alerts), default=None)
        day = local.date().isoformat()
        return {
            **dict.fromkeys(("module", "organisation", "problem_type", "person"), ""),
            **dict.fromkeys(TIMES),
            **dict.fromkeys(FLAGS, 0),
            "incident": data.incident,
            "day": day,
            "month": day[:7],
            "hour": local.hour,
            "service": plain(data.service[:MAX_KEY]),
            "origin": data.origin,
            "severity": data.severity,
            "priority": data.priority,
            "opened_ms": at_ms,
            "since_ms": at_ms,
            # A sender's clock may be ahead of ours: then the trouble was seen at once.
            "detect_ms": None if began_ms is None else max(0, at_ms - began_ms),
            "repeat": int(bool(data.recurrence_of)),
        }


def _known_of_it(row: Row, data: Any) -> Row:
    """What an event changes of where an incident belongs, and of its promises."""
    match data:
        case e.IncidentRaised():
            return {"severity": data.severity, "priority": data.priority}
        case e.IncidentAssigned() | e.IncidentHandedOver():
            return {"person": plain(data.assignee[:MAX_KEY])}
        case IncidentClassified():
            return _parts(data) | {"classified": 1}
        case ClassificationSuggested() if not row["classified"]:
            return {name: part for name, part in _parts(data).items() if part}
        case e.SlaClockBreached():
            return {f"{data.clock}_judged": 1, f"{data.clock}_missed": 1}
        case e.SlaClockStopped():
            return {
                f"{data.clock}_judged": 1,
                f"{data.clock}_missed": row[f"{data.clock}_missed"] or int(data.breached),
            }
    return {}


def _parts(data: IncidentClassified | ClassificationSuggested) -> Row:
    return {name: plain(getattr(data, name)[:MAX_KEY]) for name in ("module", "organisation", "problem_type")}


def _life(row: Row, data: Any, at_ms: int) -> Row:
    """What an event changes of an incident's course."""
    match data:
        case e.IncidentAcknowledged() if row["acknowledge_ms"] is None:
            return {"acknowledge_ms": at_ms - row["opened_ms"], "person": row["person"] or plain(data.by[:MAX_KEY])}
        case e.IncidentResolved() if not row["resolved"]:
            in_trouble_ms = (row["resolve_ms"] or 0) + at_ms - row["since_ms"]
            return {"resolve_ms": in_trouble_ms, "resolved": 1, "ever_resolved": 1, "over": 1}
        case e.IncidentReopened():
            return {"since_ms": at_ms, "reopened": 1, "resolved": 0, "over": 0, "false_alarm": 0}
        case e.IncidentMerged():
            return {"merged": 1, "over": 1}
        case e.IncidentMarkedFalseAlarm():
            return {"false_alarm": 1, "over": 1}
        case e.IncidentClosed():
            return {"over": 1}
    return {}


class Sums(msgspec.Struct, frozen=True):
    """What a group of incidents adds up to; the shares and means of it are in `MEASURES`."""

    opened: int = 0
    detect_sum: int = 0
    detect_count: int = 0
    acknowledge_sum: int = 0
    acknowledge_count: int = 0
    resolve_sum: int = 0
    resolve_count: int = 0
    over: int = 0
    resolved: int = 0
    ever_resolved: int = 0
    reopened: int = 0
    false_alarm: int = 0
    merged: int = 0
    repeat: int = 0
    response_judged: int = 0
    response_missed: int = 0
    resolution_judged: int = 0
    resolution_missed: int = 0
    classified: int = 0

    def __add__(self, other: Sums) -> Sums:
        """The sums of both groups together."""
        return Sums(
            *(a + b for a, b in zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True))
        )

    def measure(self, name: str) -> float | None:
        """One of `MEASURES`; None where there is nothing to divide by."""
        above, below, _ = MEASURES[name]
        of = getattr(self, below)
        return self._above(above) / of if of else None

    def _above(self, name: str) -> int:
        judged, _, kept = name.partition("-")
        value: int = getattr(self, judged)
        return value - (getattr(self, kept) if kept else 0)


MEASURES: Final[dict[str, tuple[str, str, Literal["ms", "share"]]]] = {
    "mttd": ("detect_sum", "detect_count", "ms"),
    "mtta": ("acknowledge_sum", "acknowledge_count", "ms"),
    "mttr": ("resolve_sum", "resolve_count", "ms"),
    "response": ("response_judged-response_missed", "response_judged", "share"),
    "efficiency": ("resolution_judged-resolution_missed", "resolution_judged", "share"),
    "closure_rate": ("over", "opened", "share"),
    "reopen_rate": ("reopened", "ever_resolved", "share"),
    "noise_ratio": ("false_alarm", "opened", "share"),
    "repeat_rate": ("repeat", "opened", "share"),
}
"""Each measure as what is divided by what, in milliseconds or as a share; `a-b` is the difference of two sums."""


class Cell(msgspec.Struct, frozen=True):
    """One group of incidents: its values of the dimensions asked for, and its sums."""

    keys: tuple[str, ...]
    sums: Sums


def measured(conn: Connection, first_day: str, last_day: str, by: Sequence[Dimension] = ()) -> list[Cell]:
    """The incidents opened from `first_day` to `last_day` (ISO, both included), split by up to any dimensions.

    Ordered by key. Without `by` there is one cell, and none where nothing was opened.
    """
    column = facts_table.c
    keys = [column[name] for name in by]
    resolve_ms = func.sum(column.resolve_ms).filter(column.resolved == 1)
    sums = [
        func.count(), func.sum(column.detect_ms), func.count(column.detect_ms), func.sum(column.acknowledge_ms),
        func.count(column.acknowledge_ms), resolve_ms, func.sum(column.resolved),
        *(func.sum(column[name]) for name in FLAGS),
    ]  # fmt: skip
    statement = select(*keys, *sums).where(column.day >= first_day, column.day <= last_day)
    rows = conn.execute(statement.group_by(*keys).order_by(*keys) if keys else statement)
    cells = [
        Cell(tuple(str(key) for key in row[: len(keys)]), Sums(*(int(value or 0) for value in row[len(keys) :])))
        for row in rows
    ]
    return [cell for cell in cells if cell.sums.opened]
