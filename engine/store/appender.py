"""The append: journal rows, events and checkpoint of a batch in one transaction, on one connection kept for it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, select

from engine.chain import GENESIS, Chain, Envelope, Position
from engine.store.chains import Keyring, settle_chain
from engine.store.database import WRITES, make_durable, outages_named
from engine.store.loader import Loader
from engine.store.rows import event_row, journal_row
from engine.store.tables import CHECKPOINTS, EVENTS, JOURNAL
from engine.store.writer_lock import LockFile, take_advisory_lock
from schemas.errors import ConcurrencyConflict, StoreUnavailable
from schemas.events import LoggedEvent
from schemas.records import Record


class Entry(msgspec.Struct, frozen=True):
    """One record at its offset, with the events it caused."""

    offset: int
    record: Record
    events: Sequence[LoggedEvent]


class _Move(msgspec.Struct, frozen=True):
    """A checkpoint's step from where it was last seen."""

    partition: int
    before: Position
    after: Position

    @property
    def parameters(self) -> tuple[int | bytes, ...]:
        """For the UPDATE that finds no row if the checkpoint is somewhere else by now."""
        before, after = self.before, self.after
        to = (after.next_offset, after.next_seq, after.head)
        return (*to, self.partition, before.next_offset, before.next_seq, before.head)

    @property
    def conflict(self) -> ConcurrencyConflict:
        """What it means when the UPDATE finds no row."""
        place = f"from offset {self.before.next_offset}, seq {self.before.next_seq}"
        return ConcurrencyConflict(f"another writer moved partition {self.partition} on {place}")


class Appender:
    """Writes batches behind the stored position, and moves that position only from where it last saw it.

    Its connection lives as long as the store: checking one out for every batch costs as much as the statements. It
    also holds PostgreSQL's writer lock. Not thread-safe: the store lets one caller in at a time.
    """

    def __init__(self, engine: Engine, lock_file: LockFile | None, keys: Keyring) -> None:
        self._engine, self._lock_file, self._keys = engine, lock_file, keys
        self._connection: Connection | None = None
        self._locked = False
        self._positions: dict[int, Position] = {}
        self._in_doubt: dict[int, Position] = {}
        """Where the latest batch would have ended of which nobody knows whether it was taken."""
        mark = "?" if engine.dialect.paramstyle == "qmark" else "%s"
        self._into_journal, self._into_events = Loader(engine, JOURNAL), Loader(engine, EVENTS)
        self._create_checkpoint = (
            f"INSERT INTO checkpoints (partition, next_offset, next_seq, head) VALUES ({mark}, 0, 0, {mark})"
            " ON CONFLICT DO NOTHING"
        )
        self._move_checkpoint = (
            f"UPDATE checkpoints SET next_offset = {mark}, next_seq = {mark}, head = {mark} WHERE partition = {mark}"
            f" AND next_offset = {mark} AND next_seq = {mark} AND head = {mark}"
        )

    def lock(self) -> None:
        """Be the only writer from now on; raises ConcurrencyConflict where another one is."""
        with outages_named("lock the writer out"):
            if self._locked:
                return
            if self._lock_file is not None:
                self._lock_file.take()
            else:
                connection = self._writer()
                try:
                    with connection.begin():
                        take_advisory_lock(connection)
                except BaseException:
                    if not _reusable(connection):
                        self._drop_connection()
                    raise
            self._locked = True

    def append(
        self, partition: int, entries: Sequence[Entry], also: Callable[[Connection], None] | None = None
    ) -> None:
        """Commit the entries; see `Store.append`."""
        journal_rows = [journal_row(partition, entry.offset, entry.record) for entry in entries]
        event_rows = [event_row(logged) for entry in entries for logged in entry.events]
        with outages_named(f"append {len(entries)} records from offset {entries[0].offset}"):
            connection = self._writer()
            after: Position | None = None
            try:
                known = self._positions.get(partition)
                raw = connection.connection.driver_connection
                if known is not None and isinstance(raw, sqlite3.Connection):
                    after = _end(known, partition, entries, self._keys.wanted)
                    self._append_raw(raw, _Move(partition, known, after), journal_rows, event_rows)
                    self._positions[partition] = after
                    return
                with connection.begin():
                    if also is not None:
                        also(connection)
                    before = known or self._stored_position(connection, partition)
                    if before.next_offset != entries[0].offset and before == self._in_doubt.get(partition):
                        raise StoreUnavailable("the batch before was taken after all, long after its connection broke")
                    after = _end(before, partition, entries, self._keys.wanted)
                    move = _Move(partition, before, after)
                    if connection.exec_driver_sql(self._move_checkpoint, move.parameters).rowcount != 1:
                        raise move.conflict
                    self._into_journal.insert(connection, journal_rows)
                    self._into_events.insert(connection, event_rows)
                self._positions[partition] = after
            except BaseException:
                self._positions.pop(partition, None)
                if after is not None:
                    self._in_doubt[partition] = after
                if not _reusable(connection):
                    self._drop_connection()
                raise

    def _append_raw(
        self,
        raw: sqlite3.Connection,
        move: _Move,
        journal_rows: list[tuple[Any, ...]],
        event_rows: list[tuple[Any, ...]],
    ) -> None:
        """The same statements on SQLite's own connection: a lone record costs half as much as through SQLAlchemy."""
        raw.execute("BEGIN IMMEDIATE")
        try:
            if raw.execute(self._move_checkpoint, move.parameters).rowcount != 1:
                raise move.conflict
            raw.executemany(self._into_journal.statement, journal_rows)
            if event_rows:
                raw.executemany(self._into_events.statement, event_rows)
            raw.execute("COMMIT")
        except BaseException:
            if raw.in_transaction:
                raw.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Close the connection and let the next writer in."""
        self._drop_connection()
        if self._lock_file is not None:
            self._lock_file.release()
        self._locked = False

    def _writer(self) -> Connection:
        if self._connection is None:
            connection = self._engine.connect().execution_options(**{WRITES: True})
            try:
                make_durable(connection)
                if self._locked and self._lock_file is None:
                    self._lock_again(connection)
            except BaseException:
                connection.invalidate()
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _lock_again(self, connection: Connection) -> None:
        # The server may not have noticed yet that the lost session is gone, so this is an outage and not a conflict.
        # Should it be another writer, the checkpoint that it moves turns the next append into the conflict.
        try:
            with connection.begin():
                take_advisory_lock(connection)
        except ConcurrencyConflict as held:
            raise StoreUnavailable(f"reconnected, but the writer's lock is not free again yet: {held}") from held

    def _drop_connection(self) -> None:
        if self._connection is not None:
            # Not back into the pool: the session carries the lock and a durability of its own.
            self._connection.invalidate()
            self._connection.close()
            self._connection = None

    def _stored_position(self, connection: Connection, partition: int) -> Position:
        # Once for each connection, and after every refusal: with it, a change of algorithm is recorded.
        connection.exec_driver_sql(self._create_checkpoint, (partition, GENESIS))
        position = read_position(connection, partition)
        settle_chain(connection, partition, self._keys, position)
        return position


def read_position(connection: Connection, partition: int) -> Position:
    """Where the partition goes on; its beginning when nothing was ever appended to it."""
    columns = CHECKPOINTS.c.next_offset, CHECKPOINTS.c.next_seq, CHECKPOINTS.c.head
    row = connection.execute(select(*columns).where(CHECKPOINTS.c.partition == partition)).one_or_none()
    return Position() if row is None else Position(row.next_offset, row.next_seq, bytes(row.head))


def _reusable(connection: Connection) -> bool:
    if connection.invalidated or connection.in_transaction():
        return False
    return not getattr(connection.connection.driver_connection, "closed", False)


def _end(start: Position, partition: int, entries: Sequence[Entry], chain: Chain) -> Position:
    """The position behind the entries; raises ConcurrencyConflict where they do not begin at `start`."""
    first = entries[0]
    if first.offset != start.next_offset:
        raise ConcurrencyConflict(f"the journal goes on at offset {start.next_offset}, not at {first.offset}")
    checked = False
    position = start
    for entry in entries:
        if entry.offset != position.next_offset:
            raise ValueError(f"offset {entry.offset} follows {position.next_offset - 1} in one batch")
        for index, logged in enumerate(entry.events):
            if not checked:
                _check_link(start, logged, chain)
                checked = True
            expected = (partition, position.next_seq + index, entry.offset, index)
            if (logged.partition, logged.seq, logged.offset, logged.index) != expected:
                raise ValueError(f"event {logged.id} (seq {logged.seq}) stands where {expected} belongs")
        position = position.after(entry.events)
    return position


def _check_link(start: Position, first: LoggedEvent, chain: Chain) -> None:
    if first.seq != start.next_seq or chain.link(start.head, Envelope.of(first)) != first.hash:
        raise ConcurrencyConflict(
            f"event {first.id} (seq {first.seq}) is not chained to the stored head (seq {start.next_seq - 1})"
        )
