"""What became of a record that another process decided: read back from log and journal."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, Engine, select

from engine.runtime.cluster.sender import Place
from engine.runtime.cluster.tables import REFUSED, SPANS
from engine.store.database import outages_named
from engine.store.rows import column_text, event_of, record_of
from engine.store.tables import EVENTS, JOURNAL
from schemas.errors import CommandRejected
from schemas.events import DeliveryStarted, LoggedEvent
from schemas.ports import Outcome
from schemas.records import Attempting


class Decided(msgspec.Struct, frozen=True):
    """A record's outcome, and the rejection where there was one."""

    outcome: Outcome
    rejected: CommandRejected | None


def read_outcome(engine: Engine, topic_id: str, place: Place) -> Decided:
    """The outcome of the record at a place of the topic that is decided already."""
    with outages_named("read what was decided"), engine.connect() as connection:
        offset = journal_offset(connection, topic_id, place)
        at = (EVENTS.c.partition == place.partition) & (EVENTS.c.offset == offset)
        events = [event_of(row) for row in connection.execute(select(EVENTS).where(at).order_by(EVENTS.c.seq))]
        refused = None
        if not events:
            of_it = (REFUSED.c.partition == place.partition) & (REFUSED.c.offset == offset)
            row = connection.execute(select(REFUSED.c.code, REFUSED.c.reason).where(of_it)).one_or_none()
            refused = CommandRejected(row.code, row.reason) if row else None
    return Decided(Outcome(place.partition, offset, events, {}), refused)


def journal_offset(connection: Connection, topic_id: str, place: Place) -> int:
    """Where the record at a place of the topic stands in the journal."""
    query = select(SPANS.c.first_offset, SPANS.c.first_topic_offset).where(
        SPANS.c.partition == place.partition,
        SPANS.c.topic_id == topic_id,
        SPANS.c.first_topic_offset <= place.offset,
    )
    row = connection.execute(query.order_by(SPANS.c.first_offset.desc()).limit(1)).one_or_none()
    return place.offset if row is None else int(row.first_offset + place.offset - row.first_topic_offset)


def partition_of_subject(engine: Engine, subject: str) -> int | None:
    """The partition whose log tells of a subject (``incident/INC-7``), None where none does."""
    query = select(EVENTS.c.partition).where(EVENTS.c.subject == column_text(subject))
    with outages_named(f"find {subject}"), engine.connect() as connection:
        found: int | None = connection.execute(query.order_by(EVENTS.c.partition, EVENTS.c.seq).limit(1)).scalar()
        return found


def started_at_ms(engine: Engine, delivery: str, attempt: int) -> int | None:
    """When whoever began this attempt asked to (`Attempting.at_ms`), None where nobody began it."""
    query = select(EVENTS).where(EVENTS.c.subject == column_text(f"delivery/{delivery}"))
    with outages_named(f"read delivery {delivery}"), engine.connect() as connection:
        for row in connection.execute(query.order_by(EVENTS.c.seq)):
            logged: LoggedEvent = event_of(row)
            if isinstance(logged.event.data, DeliveryStarted) and logged.event.data.attempt == attempt:
                at = (JOURNAL.c.partition == logged.partition) & (JOURNAL.c.offset == logged.offset)
                record = record_of(connection.execute(select(JOURNAL.c.body).where(at)).scalar_one())
                return record.at_ms if isinstance(record, Attempting) else None
    return None
