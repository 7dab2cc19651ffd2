"""Batches of records and chained events, as a runtime hands them to the store."""

from __future__ import annotations

from sqlalchemy import text

from engine.chain import PLAIN, Chain, Position
from engine.store import Entry, Store
from schemas.events import Event, NoteAdded
from schemas.records import Received

NUL_BODY = b'{"alerts": "\x00\xff not UTF-8"}'


def entries(at: Position, *event_counts: int, partition: int = 0, chain: Chain = PLAIN) -> tuple[list[Entry], Position]:
    """One entry for each count, with so many chained events, and the position behind them."""
    made = []
    for count in event_counts:
        notes = [
            Event(at.next_offset, "user:李", "a\x00b", f"incident/INC-{index}", NoteAdded("INC", str(index), "满了"))
            for index in range(count)
        ]
        logged = chain.extend(at, partition, at.next_offset, notes)
        made.append(Entry(at.next_offset, Received(at.next_offset, "am\x00", "alertmanager_v2", NUL_BODY), logged))
        at = at.after(logged)
    return made, at


def tamper(store: Store, table: str, change: str, statement: str) -> None:
    """Change what the database protects, as its owner could: without the trigger."""
    on = f" ON {table}" if store.engine.dialect.name == "postgresql" else ""
    with store.writing() as connection:
        connection.execute(text(f"DROP TRIGGER {table}_refuses_{change}{on}"))
        for each in statement.split(";"):
            connection.execute(text(each))
