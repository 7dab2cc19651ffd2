"""What arrived and could not be understood: each with its place, its reason and where its body is in the journal."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import BigInteger, Column, Connection, Integer, MetaData, Table

from projections.projection import PlainText, Projection
from projections.rows import read_as, select_as, upsert
from schemas import events as e

rejections_table = Table(
    "rejections",
    MetaData(),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("offset", BigInteger, nullable=False, comment="the journal record that holds the body"),
    Column("at_ms", BigInteger, nullable=False),
    Column("source", PlainText, nullable=False),
    Column("place", PlainText, nullable=False),
    Column("reason", PlainText, nullable=False),
)


class RejectionProjection(Projection):
    """Payloads, or single alerts of them, that were `invalid`."""

    name = "rejections"
    version = 1
    handles = frozenset({e.PayloadRejected})
    tables = (rejections_table,)

    def apply_all(self, events: Sequence[e.LoggedEvent], tx: Connection) -> None:
        """Note each."""
        rows = []
        for logged in events:
            data = logged.event.data
            assert isinstance(data, e.PayloadRejected)
            rows.append(
                {
                    "partition": logged.partition, "seq": logged.seq, "offset": logged.offset,
                    "at_ms": logged.event.at_ms, "source": data.source, "place": data.place, "reason": data.reason,
                }
            )  # fmt: skip
        upsert(tx, rejections_table, rows)


class Rejection(msgspec.Struct, frozen=True):
    """One item that could not be understood; its body is the journal record at `offset`."""

    partition: int
    offset: int
    at_ms: int
    source: str
    place: str
    reason: str


def latest(conn: Connection, limit: int = 20) -> list[Rejection]:
    """The newest rejections, newest first."""
    newest = (rejections_table.c.at_ms.desc(), rejections_table.c.partition, rejections_table.c.seq.desc())
    return read_as(conn, select_as(rejections_table, Rejection).order_by(*newest).limit(limit), Rejection)
