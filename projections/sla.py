"""SLA clocks: the promises of response and resolution (R11), one run each time an incident opens or reopens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Boolean, Column, Connection, Index, Integer, MetaData, String, Table

from projections.projection import Projection, Row
from projections.rows import read_as, read_keys, select_as, upsert
from schemas import events as e

sla_table = Table(
    "sla_clocks",
    MetaData(),
    Column("incident", String(120), primary_key=True),
    Column("clock", String(16), primary_key=True),
    Column(
        "run", Integer, primary_key=True, autoincrement=False, comment="from 1; a reopened incident begins the next"
    ),
    Column("target_s", Integer, nullable=False),
    Column("started_ms", BigInteger, nullable=False),
    Column("due_ms", BigInteger, nullable=False),
    Column("stopped_ms", BigInteger, comment="null while it runs"),
    Column("elapsed_ms", BigInteger),
    Column("breached", Boolean, nullable=False),
    Column("breached_ms", BigInteger, comment="when the breach was noted; it happened at due_ms"),
    Column("position", BigInteger, nullable=False, comment="seq of the last event applied to this row"),
    Index("sla_clocks_by_stop", "stopped_ms", "due_ms"),
    Index("sla_clocks_by_breach", "breached", "due_ms"),
)

_ClockEvent = e.SlaClockStarted | e.SlaClockStopped | e.SlaClockBreached


class SlaProjection(Projection):
    """One row for each run of each clock."""

    name = "sla"
    version = 1
    handles = frozenset({e.SlaClockStarted, e.SlaClockStopped, e.SlaClockBreached})
    tables = (sla_table,)

    def apply_all(self, events: Sequence[e.LoggedEvent], tx: Connection) -> None:
        """Run the clocks. Raises LookupError on the stop or breach of a clock that never started."""
        keys = ((logged.event.data.incident, logged.event.data.clock) for logged in events)  # type: ignore[union-attr]
        latest: dict[tuple[str, str], Row] = {}
        columns = list(sla_table.columns)
        for found in read_keys(tx, columns, keys, (sla_table.c.incident, sla_table.c.clock)):
            row = {column.name: cell for column, cell in zip(columns, found, strict=True)}
            known = latest.setdefault((row["incident"], row["clock"]), row)
            if row["run"] > known["run"]:
                latest[row["incident"], row["clock"]] = row
        changed: dict[tuple[str, str, int], Row] = {}
        for logged in events:
            data: Any = logged.event.data
            row_before = latest.get((data.incident, data.clock))
            if row_before is not None and logged.seq <= row_before["position"]:
                continue
            row = _after(row_before, data, logged.event.at_ms) | {"position": logged.seq}
            latest[data.incident, data.clock] = changed[data.incident, data.clock, row["run"]] = row
        upsert(tx, sla_table, list(changed.values()))


def _after(row: Row | None, data: _ClockEvent, at_ms: int) -> Row:
    if isinstance(data, e.SlaClockStarted):
        return {
            "incident": data.incident,
            "clock": data.clock,
            "run": row["run"] + 1 if row else 1,
            "target_s": data.target_s,
            "started_ms": at_ms,
            "due_ms": data.due_ms,
            "stopped_ms": None,
            "elapsed_ms": None,
            "breached": False,
            "breached_ms": None,
        }
    if row is None:
        raise LookupError(f"the {data.clock} clock of {data.incident} has no beginning")
    if isinstance(data, e.SlaClockBreached):
        return row | {"breached": True, "breached_ms": at_ms}
    noted_ms = row["breached_ms"] or (at_ms if data.breached else None)
    return row | {
        "stopped_ms": at_ms,
        "elapsed_ms": data.elapsed_ms,
        "breached": row["breached"] or data.breached,
        "breached_ms": noted_ms,
    }


class ClockRow(msgspec.Struct, frozen=True):
    """One run of one clock. Times are UTC milliseconds; `stopped_ms` and `elapsed_ms` are None while it runs."""

    incident: str
    clock: e.Clock
    run: int
    target_s: int
    started_ms: int
    due_ms: int
    stopped_ms: int | None
    elapsed_ms: int | None
    breached: bool
    breached_ms: int | None


def clocks_of(conn: Connection, incident: str) -> list[ClockRow]:
    """The clocks of an incident, in the order in which they started; response before resolution."""
    column = sla_table.c
    statement = select_as(sla_table, ClockRow).where(column.incident == incident)
    return read_as(conn, statement.order_by(column.started_ms, column.run, column.clock.desc()), ClockRow)


def breaches(conn: Connection, since_ms: int, until_ms: int) -> list[ClockRow]:
    """The promises that were broken from `since_ms` to before `until_ms`: at their due time, whenever it was noted."""
    column = sla_table.c
    broken = (column.breached.is_(True), column.due_ms >= since_ms, column.due_ms < until_ms)
    return read_as(
        conn, select_as(sla_table, ClockRow).where(*broken).order_by(column.due_ms, column.incident), ClockRow
    )


def running(conn: Connection, *, of: Sequence[str] | None = None) -> list[ClockRow]:
    """The clocks that run now, of all incidents or of those named; the one that is due first at the top."""
    column = sla_table.c
    statement = select_as(sla_table, ClockRow).where(column.stopped_ms.is_(None))
    if of is not None:
        statement = statement.where(column.incident.in_(of))
    return read_as(conn, statement.order_by(column.due_ms, column.incident, column.clock.desc()), ClockRow)
