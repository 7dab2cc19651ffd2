"""Links between tickets (关联): which incident has to do with which, as people say."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import BigInteger, Column, Connection, Index, MetaData, String, Table, delete, or_, select

from projections.projection import PlainText, Projection
from projections.rows import upsert
from schemas import events as e

_metadata = MetaData()

links_table = Table(
    "ticket_links",
    _metadata,
    Column("incident", String(120), primary_key=True),
    Column("other", String(120), primary_key=True),
    Column("relation", String(16), nullable=False),
    Column("note", PlainText, nullable=False),
    Column("actor", PlainText, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Index("ticket_links_by_other", "other"),
)


class LinkProjection(Projection):
    """One row for each link, in the direction in which it was said."""

    name = "links"
    version = 1
    handles = frozenset({e.IncidentLinked, e.IncidentUnlinked})
    tables = (links_table,)

    def apply_all(self, events: Sequence[e.LoggedEvent], tx: Connection) -> None:
        """Write the links down, or strike them out."""
        own = links_table.c
        for logged in events:
            data, event = logged.event.data, logged.event
            if isinstance(data, e.IncidentLinked):
                said = {"incident": data.incident, "other": data.other, "relation": data.relation, "note": data.note}
                upsert(tx, links_table, [{**said, "actor": event.actor, "at_ms": event.at_ms}])
            elif isinstance(data, e.IncidentUnlinked):
                tx.execute(delete(links_table).where(own.incident == data.incident, own.other == data.other))


class LinkRow(msgspec.Struct, frozen=True):
    """One link; `incident` is the one of which it was said. Times are UTC milliseconds."""

    incident: str
    other: str
    relation: str
    note: str
    actor: str
    at_ms: int


def links_of(conn: Connection, incident: str, limit: int = 200) -> list[LinkRow]:
    """The links from an incident and to it, the oldest first."""
    own = links_table.c
    found = select(own.incident, own.other, own.relation, own.note, own.actor, own.at_ms)
    found = found.where(or_(own.incident == incident, own.other == incident)).limit(limit)
    return [LinkRow(*row) for row in conn.execute(found.order_by(own.at_ms, own.incident, own.other))]
