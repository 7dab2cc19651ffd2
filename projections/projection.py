"""The shape of a read model, and where it notes how far it has read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
from sqlalchemy import BigInteger, Column, Connection, Integer, MetaData, String, Table, Text, TypeDecorator, delete
from sqlalchemy.engine import Dialect

from schemas.events import LoggedEvent

NOWHERE = -1
"""The position of a projection that has read nothing: events are numbered from 0."""


def plain(text: str) -> str:
    """Text as every database takes it: PostgreSQL refuses the character NUL, which JSON may carry."""
    return text.replace("\0", "\ufffd")


class PlainText(TypeDecorator[str]):
    """A column of `plain` text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """The value with each NUL shown as U+FFFD."""
        return plain(value) if value else value


class Projection(Protocol):
    """A read model: tables that are a function of the log.

    Subclass it and write `apply_all`. Bump `version` whenever the same log shall give other rows or the tables change:
    the tables are then built anew and filled from the beginning.
    """

    name: str
    version: int
    handles: frozenset[type]
    """The event data types it wants; it is shown no others."""
    tables: Sequence[Table]

    def apply_all(self, events: Sequence[LoggedEvent], tx: Connection) -> None:
        """Bring the rows up to date with `events`, in log order, inside `tx`.

        Events that were applied before change nothing. Keeps nothing in memory between calls, because `tx` may roll
        back. Raises whatever it likes on an event that it cannot apply; the projector finds out which it was.
        """
        ...

    def apply(self, event: LoggedEvent, tx: Connection) -> None:
        """Bring the rows up to date with one event."""
        self.apply_all((event,), tx)

    def truncate(self, tx: Connection) -> None:
        """Forget every row."""
        for table in self.tables:
            tx.execute(delete(table))


checkpoints = Table(
    "projection_checkpoint",
    MetaData(),
    Column("name", String(64), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False, comment="seq of the last event applied; -1: none"),
    Column("halted_reason", PlainText, comment="why it stopped after that position; null while it goes on"),
)


class ProjectionStatus(msgspec.Struct, frozen=True):
    """How far a projection is in one partition. `halted` says why it stands still, empty while it does not."""

    name: str
    version: int
    position: int
    halted: str
    partition: int = 0


Row = dict[str, Any]
"""A row of a table by column name, on its way through memory."""
