"""Who is held back now, by what and since when: what the log says of alerts that open nothing."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import BigInteger, Column, Connection, Integer, MetaData, String, Table, delete, func, select

from projections.projection import PlainText, Projection, Row
from projections.rows import CHUNK, read_as, select_as, upsert
from schemas import events as e

held_table = Table(
    "held_alerts",
    MetaData(),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("fingerprint", String(16), primary_key=True),
    Column("name", PlainText, nullable=False),
    Column("disposition", String(32), nullable=False),
    Column("held_by", PlainText, nullable=False, comment="names of silences, windows and rules, separated by commas"),
    Column("since_ms", BigInteger, nullable=False),
    Column("source", PlainText, nullable=False),
    Column("event_id", String(64), nullable=False, comment="the event that says so"),
)

_labels = msgspec.json.Decoder(dict[str, str]).decode


class HeldProjection(Projection):
    """One row for each alert that is held."""

    name = "held"
    version = 1
    handles = frozenset({e.AlertsHeld, e.AlertsReleased})
    tables = (held_table,)

    def apply_all(self, events: Sequence[e.LoggedEvent], tx: Connection) -> None:
        """Add who is held, and take out who is released; only the last word on each alert is written."""
        now: dict[tuple[int, str], Row | None] = {}
        for logged in events:
            data = logged.event.data
            if isinstance(data, e.AlertsHeld):
                for ref in data.alerts:
                    now[logged.partition, ref.fingerprint] = _row(ref, data, logged)
            else:
                assert isinstance(data, e.AlertsReleased)
                now.update(((logged.partition, fingerprint), None) for fingerprint in data.fingerprints)
        upsert(tx, held_table, [row for row in now.values() if row is not None])
        gone: dict[int, list[str]] = {}
        for (partition, fingerprint), row in now.items():
            if row is None:
                gone.setdefault(partition, []).append(fingerprint)
        for partition, fingerprints in gone.items():
            for start in range(0, len(fingerprints), CHUNK):
                some = held_table.c.fingerprint.in_(fingerprints[start : start + CHUNK])
                tx.execute(delete(held_table).where(held_table.c.partition == partition, some))


def _row(ref: e.AlertRef, data: e.AlertsHeld, logged: e.LoggedEvent) -> Row:
    return {
        "partition": logged.partition,
        "fingerprint": ref.fingerprint,
        "name": _labels(bytes(ref.labels)).get("alertname", ref.fingerprint)[:200],
        "disposition": data.disposition,
        "held_by": ", ".join(data.by)[:2000],
        "since_ms": logged.event.at_ms,
        "source": ref.source,
        "event_id": logged.id,
    }


class HeldAlert(msgspec.Struct, frozen=True):
    """An alert that is held; `event_id` is how documents cite the decision."""

    partition: int
    fingerprint: str
    name: str
    disposition: str
    held_by: str
    since_ms: int
    source: str
    event_id: str


def held_now(conn: Connection, limit: int = 50) -> list[HeldAlert]:
    """Who is held, the latest first."""
    order = (held_table.c.since_ms.desc(), held_table.c.partition, held_table.c.fingerprint)
    return read_as(conn, select_as(held_table, HeldAlert).order_by(*order).limit(limit), HeldAlert)


def held_counts(conn: Connection) -> dict[str, int]:
    """How many alerts are held, by disposition."""
    own = held_table.c.disposition
    counted = conn.execute(select(own, func.count()).group_by(own).order_by(own))
    return {str(name): int(count) for name, count in counted}
