"""A report: what was measured in a period, beside the period before it, and how far the log was read (R1.7)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import reduce
from operator import add
from typing import Final, Literal
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import Connection, column, func, select, table

from projections.measures import Cell, Dimension, MeasureProjection, Sums, facts_table, measured
from projections.projection import NOWHERE, checkpoints

SPLITS: Final[tuple[Dimension, ...]] = (
    "module", "organisation", "problem_type", "service", "origin", "severity", "priority", "person", "hour",
)  # fmt: skip
"""What a report splits its period by, a table each."""

MOST_LINES: Final = 20_000
"""Incidents in a workbook: about half a minute of work."""

_log = table("events", column("partition"), column("seq"), column("at_ms"))
_FORMS: Final = (
    (re.compile(r"(\d{4})-(\d\d)-(\d\d)"), "day"),
    (re.compile(r"(\d{4})-W(\d\d)"), "week"),
    (re.compile(r"(\d{4})-(\d\d)"), "month"),
    (re.compile(r"(\d{4})-?Q([1-4])"), "quarter"),
    (re.compile(r"(\d{4})-?H([12])"), "half"),
    (re.compile(r"(\d{4})"), "year"),
)
_MONTHS: Final = {"month": 1, "quarter": 3, "half": 6, "year": 12}

Kind = Literal["day", "week", "month", "quarter", "half", "year"]


class Period(msgspec.Struct, frozen=True):
    """A calendar period; both days are ISO dates and belong to it."""

    name: str
    kind: Kind
    first_day: str
    last_day: str

    @property
    def steps(self) -> Dimension:
        """What its trend goes by."""
        return "hour" if self.kind == "day" else "month" if self.kind in ("half", "year") else "day"

    def before(self) -> Period:
        """The period of the same kind that ends where this one begins. Raises ValueError before the year 1."""
        return period_of(self.kind, date.fromisoformat(self.first_day) - timedelta(days=1))


def period_named(name: str) -> Period:
    """The period that is written so: ``2026-10-08``, ``2026-W41``, ``2026-10``, ``2026-Q4``, ``2026-H2`` or ``2026``.

    Raises ValueError where it is none.
    """
    for form, kind in _FORMS:
        found = form.fullmatch(name)
        if found:
            numbers = [int(part) for part in found.groups()]
            return period_of(kind, _first_day(kind, numbers))  # type: ignore[arg-type]
    raise ValueError(f"{name!r} is no period; write 2026-10-08, 2026-W41, 2026-10, 2026-Q4, 2026-H2 or 2026")


def _first_day(kind: str, numbers: Sequence[int]) -> date:
    if kind == "day":
        return date(*numbers)
    if kind == "week":
        return date.fromisocalendar(numbers[0], numbers[1], 1)
    part = numbers[1] if len(numbers) > 1 else 1
    return date(numbers[0], (part - 1) * _MONTHS[kind] + 1, 1)


def period_of(kind: Kind, day: date) -> Period:
    """The period of that kind in which `day` lies.

    >>> period_of("week", date(2026, 10, 8)).name
    '2026-W41'
    """
    if kind == "day":
        return Period(day.isoformat(), kind, day.isoformat(), day.isoformat())
    if kind == "week":
        year, week, weekday = day.isocalendar()
        monday = day - timedelta(days=weekday - 1)
        return Period(f"{year}-W{week:02}", kind, monday.isoformat(), (monday + timedelta(days=6)).isoformat())
    months = _MONTHS[kind]
    part = (day.month - 1) // months
    first = date(day.year, part * months + 1, 1)
    after = part * months + months
    ends = date(day.year + after // 12, after % 12 + 1, 1)
    parts = {"month": f"-{day.month:02}", "quarter": f"-Q{part + 1}", "half": f"-H{part + 1}"}
    return Period(f"{day.year}{parts.get(kind, '')}", kind, first.isoformat(), (ends - timedelta(days=1)).isoformat())


class Coverage(msgspec.Struct, frozen=True):
    """How much of a period the figures cover. Times are UTC ms; `positions` are (partition, seq) of the log."""

    log_from_ms: int | None
    begins_within: bool
    """The log begins later than the period."""
    under_way: bool
    """The period was not over when the report was made."""
    positions: tuple[tuple[int, int], ...]
    behind: int
    """Events of the log that the figures do not know yet."""
    halted: str


class Report(msgspec.Struct, frozen=True):
    """The figures of one period and of the one before it."""

    period: Period
    previous: Period
    made_ms: int
    timezone: str
    coverage: Coverage
    total: Sums
    before: Sums
    trend: list[Cell]
    splits: dict[str, list[Cell]]
    rows_by: Dimension
    columns_by: Dimension
    pivot: list[Cell]


def report_on(
    conn: Connection,
    period: Period,
    *,
    made_ms: int,
    timezone: str,
    pivot: tuple[Dimension, Dimension] = ("module", "problem_type"),
) -> Report:
    """The report on `period` as the read models stand; `pivot` names the rows and columns of its cross table."""
    days, earlier = (period.first_day, period.last_day), period.before()
    return Report(
        period,
        earlier,
        made_ms,
        timezone,
        _coverage(conn, period, made_ms, timezone),
        _whole(measured(conn, *days)),
        _whole(measured(conn, earlier.first_day, earlier.last_day)),
        _in_order(measured(conn, *days, by=(period.steps,))),
        {name: _in_order(measured(conn, *days, by=(name,))) for name in SPLITS},
        *pivot,
        measured(conn, *days, by=pivot),
    )


def _whole(cells: Sequence[Cell]) -> Sums:
    return reduce(add, (cell.sums for cell in cells), Sums())


def _in_order(cells: list[Cell]) -> list[Cell]:
    """Hours as numbers, everything else as text."""
    return sorted(
        cells, key=lambda cell: (len(cell.keys[0]), cell.keys) if cell.keys[0].isdecimal() else (0, cell.keys)
    )


def _coverage(conn: Connection, period: Period, made_ms: int, timezone: str) -> Coverage:
    at = checkpoints.c
    known = conn.execute(select(at.partition, at.position, at.halted_reason).where(at.name == MeasureProjection.name))
    read = {partition: (position, halted or "") for partition, position, halted in known}
    latest = select(_log.c.partition, func.max(_log.c.seq)).group_by(_log.c.partition)
    heads = {int(row[0]): int(row[1]) for row in conn.execute(latest)}
    log_from_ms = conn.scalar(select(func.min(_log.c.at_ms)).where(_log.c.seq == 0))
    zone = ZoneInfo(timezone)
    begins = datetime.combine(date.fromisoformat(period.first_day), datetime.min.time(), zone)
    ends = datetime.combine(date.fromisoformat(period.last_day) + timedelta(days=1), datetime.min.time(), zone)
    return Coverage(
        log_from_ms,
        log_from_ms is None or log_from_ms > begins.timestamp() * 1000,
        datetime.fromtimestamp(made_ms / 1000, UTC) < ends,
        tuple(sorted((partition, position) for partition, (position, _) in read.items())),
        sum(head - read.get(partition, (NOWHERE, ""))[0] for partition, head in heads.items()),
        "; ".join(halted for _, halted in read.values() if halted),
    )


class IncidentLine(msgspec.Struct, frozen=True):
    """One incident of a period, as the measures see it; times in ms, flags 1 or 0."""

    incident: str
    day: str
    hour: int
    module: str
    organisation: str
    problem_type: str
    service: str
    origin: str
    severity: str
    priority: str
    person: str
    detect_ms: int | None
    acknowledge_ms: int | None
    resolve_ms: int | None
    over: int
    reopened: int
    false_alarm: int
    merged: int
    repeat: int
    response_missed: int
    resolution_missed: int


def incident_lines(conn: Connection, period: Period, limit: int = MOST_LINES) -> list[IncidentLine]:
    """The incidents that were opened in the period, in the order in which they were opened; `limit` at most."""
    own = facts_table.c
    statement = select(*(own[name] for name in IncidentLine.__struct_fields__))
    within = statement.where(own.day >= period.first_day, own.day <= period.last_day)
    rows = conn.execute(within.order_by(own.opened_ms, own.incident).limit(limit))
    return [IncidentLine(*row) for row in rows]
