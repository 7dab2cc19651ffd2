"""How often each rule, silence and window has been about an alert, and when the last time was."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import BigInteger, Column, Connection, Integer, MetaData, Table

from projections.projection import PlainText, Projection, plain
from projections.rows import MAX_KEY, Rows, read_as, select_as
from schemas import events as e
from schemas.held import RulesHit

hits_table = Table(
    "rule_hits",
    MetaData(),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("rule", PlainText, primary_key=True, comment="rule/NAME, inhibit/NAME, a silence's id, …"),
    Column("hits", BigInteger, nullable=False),
    Column("last_ms", BigInteger, nullable=False, comment="of the roll-up that counted the last one"),
    Column("position", BigInteger, nullable=False, comment="seq of the last roll-up that is counted"),
)


class RuleHitsProjection(Projection):
    """One row for each rule that was ever about an alert."""

    name = "rule_hits"
    version = 1
    handles = frozenset({RulesHit})
    tables = (hits_table,)

    def apply_all(self, events: Sequence[e.LoggedEvent], tx: Connection) -> None:
        """Add up the roll-ups."""
        counted = [
            (logged, plain(name[:MAX_KEY]), number)
            for logged in events
            for name, number in logged.event.data.hits.items()  # type: ignore[union-attr]
        ]
        rows = Rows(tx, hits_table, [(logged.partition, name) for logged, name, _ in counted])
        for logged, name, number in counted:
            known = rows.get((logged.partition, name)) or {"hits": 0, "position": -1}
            if logged.seq > known["position"]:
                key = {"partition": logged.partition, "rule": name, "position": logged.seq}
                rows.put(key | {"hits": known["hits"] + number, "last_ms": logged.event.at_ms})
        rows.save(tx)


class RuleHits(msgspec.Struct, frozen=True):
    """How often one rule has been about an alert, and when that was rolled up last."""

    rule: str
    hits: int
    last_ms: int


def hits(conn: Connection) -> list[RuleHits]:
    """Every rule that was ever about an alert, the busiest first."""
    order = (hits_table.c.hits.desc(), hits_table.c.rule)
    return read_as(conn, select_as(hits_table, RuleHits).order_by(*order), RuleHits)
