"""Daily trends: what was opened, answered and solved on each day, by service, severity and priority.

A day is a calendar day in one time zone. An event counts on the day it happened, under the severity and priority that
its incident had at that moment.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import BigInteger, Boolean, Column, Connection, MetaData, String, Table, func, literal, select

from projections.projection import PlainText, Projection, Row, plain
from projections.rows import MAX_KEY, Rows
from schemas import events as e

_metadata = MetaData()

MEASURES = (
    "opened", "resolved", "acknowledged", "reopened", "false_alarms", "ack_ms_sum", "ack_count", "resolve_ms_sum",
    "resolve_count",
)  # fmt: skip

trend_table = Table(
    "daily_trend",
    _metadata,
    Column("day", String(10), primary_key=True, comment="2025-10-09"),
    Column("service", PlainText, primary_key=True, comment="the first 200 characters"),
    Column("severity", String(16), primary_key=True),
    Column("priority", String(2), primary_key=True),
    *(Column(measure, BigInteger, nullable=False) for measure in MEASURES),
)

incidents_table = Table(
    "trend_incidents",
    _metadata,
    Column("incident", String(120), primary_key=True),
    Column("service", PlainText, nullable=False),
    Column("severity", String(16), nullable=False),
    Column("priority", String(2), nullable=False),
    Column("since_ms", BigInteger, nullable=False, comment="opened, or reopened for the last time"),
    Column("acknowledged", Boolean, nullable=False, comment="since then"),
    Column("resolved", Boolean, nullable=False, comment="since then"),
    Column("position", BigInteger, nullable=False, comment="seq of the last event applied to this row"),
)

_EMPTY = dict.fromkeys(MEASURES, 0)
Counts = dict[str, int]

RELEASE = 1
"""Version of this code; `TrendProjection.version` joins it with the zone."""


class TrendProjection(Projection):
    """Counts and sums for each day, service, severity and priority."""

    name = "trends"
    handles = frozenset(
        {
            e.IncidentOpened, e.IncidentRaised, e.IncidentAcknowledged, e.IncidentResolved, e.IncidentReopened,
            e.IncidentMarkedFalseAlarm,
        }
    )  # fmt: skip
    tables = (trend_table, incidents_table)

    def __init__(self, timezone: str = "Asia/Shanghai") -> None:
        """`timezone` is an IANA name. Another zone has other days, so it makes another version: a rebuild."""
        self._zone = ZoneInfo(timezone)
        self.version = RELEASE * 10**10 + zlib.crc32(timezone.encode())

    def apply_all(self, events: Sequence[e.LoggedEvent], tx: Connection) -> None:
        """Count. Raises LookupError on an event of an incident that was never opened."""
        incidents = Rows(tx, incidents_table, (logged.event.data.incident for logged in events))  # type: ignore[union-attr]
        gained: dict[tuple[str, str, str, str], Counts] = {}
        for logged in events:
            data: Any = logged.event.data
            incident = incidents.get(data.incident)
            if incident is not None and logged.seq <= incident["position"]:
                continue
            incident, counts = _judged(incident, data, logged.event.at_ms)
            incidents.put(incident | {"position": logged.seq})
            if counts:
                key = (self._day(logged.event.at_ms), incident["service"], incident["severity"], incident["priority"])
                sums = gained.setdefault(key, _EMPTY.copy())
                for measure, count in counts.items():
                    sums[measure] += count
        incidents.save(tx)
        _add(tx, gained)

    def _day(self, at_ms: int) -> str:
        return datetime.fromtimestamp(at_ms / 1000, self._zone).date().isoformat()


def _judged(incident: Row | None, data: Any, at_ms: int) -> tuple[Row, Counts]:
    """The incident after an event, and what the event adds to its day."""
    if isinstance(data, e.IncidentOpened):
        if incident is not None:
            raise ValueError(f"{data.incident} is opened twice")
        fresh = {"since_ms": at_ms, "acknowledged": False, "resolved": False}
        named = {"incident": data.incident, "service": plain(data.service[:MAX_KEY])}
        return {**named, "severity": data.severity, "priority": data.priority, **fresh}, {"opened": 1}
    if incident is None:
        raise LookupError(f"{data.incident} has no beginning")
    took_ms = at_ms - incident["since_ms"]
    match data:
        case e.IncidentRaised():
            return incident | {"severity": data.severity, "priority": data.priority}, {}
        case e.IncidentAcknowledged() if not incident["acknowledged"]:
            return incident | {"acknowledged": True}, {"acknowledged": 1, "ack_count": 1, "ack_ms_sum": took_ms}
        case e.IncidentResolved() if not incident["resolved"]:
            return incident | {"resolved": True}, {"resolved": 1, "resolve_count": 1, "resolve_ms_sum": took_ms}
        case e.IncidentReopened():
            return incident | {"since_ms": at_ms, "acknowledged": False, "resolved": False}, {"reopened": 1}
        case e.IncidentMarkedFalseAlarm():
            return incident, {"false_alarms": 1}
    return incident, {}  # acknowledged or resolved once more: already counted


def _fresh_day(key: tuple[str, str, str, str]) -> Row:
    return {**dict(zip(("day", "service", "severity", "priority"), key, strict=True)), **_EMPTY}


def _add(tx: Connection, gained: dict[tuple[str, str, str, str], Counts]) -> None:
    days = Rows(tx, trend_table, gained)
    for key, counts in gained.items():
        known = days.get(key) or _fresh_day(key)
        days.put(known | {measure: known[measure] + count for measure, count in counts.items()})
    days.save(tx)


class DayTrend(msgspec.Struct, frozen=True):
    """One day, or the part of it that `key` names. The sums are milliseconds; divide by the counts for the means."""

    day: str
    key: str
    opened: int
    resolved: int
    acknowledged: int
    reopened: int
    false_alarms: int
    ack_ms_sum: int
    ack_count: int
    resolve_ms_sum: int
    resolve_count: int


def daily(
    conn: Connection, first_day: str, last_day: str, by: Literal["service", "severity", "priority"] | None = None
) -> list[DayTrend]:
    """The days from `first_day` to `last_day` (ISO, both included) on which something happened, in order.

    `by` splits each day; without it `key` is empty.
    """
    column = trend_table.c
    parts = [column.day] if by is None else [column.day, column[by]]
    key = literal("").label("key") if by is None else column[by].label("key")
    sums = (func.sum(column[measure]).label(measure) for measure in MEASURES)
    within = (column.day >= first_day, column.day <= last_day)
    statement = select(column.day, key, *sums).where(*within).group_by(*parts).order_by(*parts)
    return [DayTrend(row[0], row[1], *(int(value) for value in row[2:])) for row in conn.execute(statement)]
