"""The books: every alert received has exactly one disposition, and the sums show it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import BigInteger, Column, Connection, Integer, MetaData, String, Table, func, select

from projections.projection import PlainText, Projection, plain
from projections.rows import MAX_KEY, Rows
from schemas import events as e

_metadata = MetaData()

ledger_table = Table(
    "ledger",
    _metadata,
    Column("source", PlainText, primary_key=True, comment="the first 200 characters"),
    Column("disposition", String(32), primary_key=True),
    Column("count", BigInteger, nullable=False),
)

totals_table = Table(
    "ledger_totals",
    _metadata,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("received", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False, comment="seq of the last roll-up that is in the books"),
)


class LedgerProjection(Projection):
    """Alerts received, in all and by source and disposition."""

    name = "ledger"
    version = 1
    handles = frozenset({e.IntakeRolledUp})
    tables = (ledger_table, totals_table)

    def apply_all(self, events: Sequence[e.LoggedEvent], tx: Connection) -> None:
        """Enter the roll-ups."""
        totals = Rows(tx, totals_table, (logged.partition for logged in events))
        counted: dict[tuple[str, str], int] = {}
        for logged in events:
            data = logged.event.data
            assert isinstance(data, e.IntakeRolledUp)
            before = totals.get(logged.partition) or {"received": 0, "position": -1}
            if logged.seq <= before["position"]:
                continue
            received = before["received"] + data.received
            totals.put({"partition": logged.partition, "received": received, "position": logged.seq})
            for source, dispositions in data.by_source.items():
                for disposition, count in dispositions.items():
                    key = (plain(source[:MAX_KEY]), disposition)
                    counted[key] = counted.get(key, 0) + count
        totals.save(tx)
        entries = Rows(tx, ledger_table, counted)
        for entry, count in counted.items():
            known = entries.get(entry)
            entries.put(
                {"source": entry[0], "disposition": entry[1], "count": count + (known["count"] if known else 0)}
            )
        entries.save(tx)


class Balance(msgspec.Struct, frozen=True):
    """The books at their last roll-up. `difference` is what was received less what has a disposition: 0, or a bug."""

    received: int
    by_source: dict[str, dict[str, int]]
    difference: int


def balance(conn: Connection) -> Balance:
    """The state of the books."""
    received = int(conn.scalar(select(func.coalesce(func.sum(totals_table.c.received), 0))) or 0)
    by_source: dict[str, dict[str, int]] = {}
    order = (ledger_table.c.source, ledger_table.c.disposition)
    for source, disposition, count in conn.execute(select(ledger_table).order_by(*order)):
        by_source.setdefault(source, {})[disposition] = count
    return Balance(received, by_source, received - sum(sum(counts.values()) for counts in by_source.values()))
