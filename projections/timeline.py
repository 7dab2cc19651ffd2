"""The timeline: everything that happened to an incident, its clocks, accident proposals and deliveries included.

The rows say which events those are; what each says stands in the log, which is read beside them and not copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    and_,
    column,
    select,
    table,
)  # fmt: skip

from projections.projection import PlainText, Projection, Row
from projections.rows import Rows, upsert
from schemas import events as e
from schemas.oncall_changes import EscalationEnded, EscalationStarted, EscalationStep

_metadata = MetaData()

timeline_table = Table(
    "timeline",
    _metadata,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("incident", String(120), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("actor", PlainText, nullable=False),
    Column("type", String(40), nullable=False),
    Column("event_id", String(64), nullable=False),
    Index("timeline_by_incident", "incident", "partition", "seq"),
)

deliveries_table = Table(
    "timeline_deliveries",
    _metadata,
    Column("delivery", String(160), primary_key=True),
    Column("incident", String(120), nullable=False, comment="empty for a test message"),
)

_log = table("events", column("partition"), column("seq"), column("data"))
"""The log as the store keeps it; only its data is read here."""

_STEPS = (
    e.DeliveryDue, e.DeliveryStarted, e.DeliverySucceeded, e.DeliveryRetryScheduled, e.DeliveryFailed,
    e.DeliveryUnconfirmed, e.DeliveryCancelled,
)  # fmt: skip
_CLOCKS = (e.SlaClockStarted, e.SlaClockStopped, e.SlaClockBreached)
_HOLDING = (e.PageWithheld, e.StormStarted, e.StormEnded)
_PAGING = (EscalationStarted, EscalationStep, EscalationEnded)


class TimelineProjection(Projection):
    """One row for each event of each incident."""

    name = "timeline"
    version = 3
    handles = frozenset(
        {*get_args(e.IncidentEvent), *_CLOCKS, *_HOLDING, *_PAGING, e.AccidentProposed, e.DeliveryRequested, *_STEPS}
    )
    tables = (timeline_table, deliveries_table)

    def apply_all(self, events: Sequence[e.LoggedEvent], tx: Connection) -> None:
        """Write the events down. Raises LookupError on a step of a delivery that nobody requested."""
        steps = (logged.event.data for logged in events)
        deliveries = Rows(tx, deliveries_table, (data.delivery for data in steps if isinstance(data, _STEPS)))
        entries = []
        for logged in events:
            incident = _incident(logged.event.data, deliveries)
            if incident != "":
                entries.append(_entry(logged, incident))
        deliveries.save(tx)
        upsert(tx, timeline_table, entries)


def _incident(data: e.EventData, deliveries: Rows) -> str:
    if isinstance(data, e.DeliveryRequested):
        incident = data.notice.incident
        deliveries.put({"delivery": data.delivery, "incident": incident})
    elif isinstance(data, _STEPS):
        delivery = deliveries.get(data.delivery)
        if delivery is None:
            raise LookupError(f"delivery {data.delivery} has no beginning")
        incident = delivery["incident"]
    else:
        incident = data.incident  # type: ignore[union-attr] # every other type in `handles` has one
    return incident


def _entry(logged: e.LoggedEvent, incident: str) -> Row:
    return {
        "partition": logged.partition,
        "seq": logged.seq,
        "incident": incident,
        "at_ms": logged.event.at_ms,
        "actor": logged.event.actor,
        "type": logged.type,
        "event_id": logged.id,
    }


class TimelineEntry(msgspec.Struct, frozen=True):
    """One event of an incident; `type` is its literal name, `event_id` how documents cite it.

    `data` is its JSON as it was written, in the version of its time.
    """

    partition: int
    seq: int
    incident: str
    at_ms: int
    actor: str
    type: str
    event_id: str
    data: str


def timeline(conn: Connection, incident: str, limit: int = 10_000) -> list[TimelineEntry]:
    """What happened to an incident, the oldest first."""
    own = timeline_table.c
    logged = and_(_log.c.partition == own.partition, _log.c.seq == own.seq)
    statement = select(
        own.partition, own.seq, own.incident, own.at_ms, own.actor, own.type, own.event_id, _log.c.data
    ).select_from(timeline_table.join(_log, logged))
    statement = statement.where(own.incident == incident).order_by(own.partition, own.seq).limit(limit)
    return [TimelineEntry(*row[:-1], bytes(row[-1]).decode()) for row in conn.execute(statement)]
