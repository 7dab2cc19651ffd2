"""The store: journal, log, checkpoints and snapshots of an engine in one SQLite or PostgreSQL database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import structlog
import zstandard
from sqlalchemy import Connection, Engine, delete, insert, select
from sqlalchemy.exc import SQLAlchemyError

from engine.chain import Chains, Position
from engine.store.answering import patient
from engine.store.appender import Appender, Entry, read_position
from engine.store.archive import records_of, segment_at
from engine.store.chains import Keyring, read_chains
from engine.store.checkpointer import Checkpointer
from engine.store.database import (
    WRITES,
    database_url,
    is_outage,
    make_durable,
    open_engine,
    outages_named,
    read_only_place,
)  # fmt: skip
from engine.store.migrations import check_schema, migrate
from engine.store.rows import column_text, damage_named, event_of, packed, record_of, unpacked
from engine.store.tables import CHECKPOINTS, EVENTS, JOURNAL, SNAPSHOTS
from engine.store.turns import Turns
from engine.store.writer_lock import LockFile
from schemas.errors import ConfigError, StoreUnavailable
from schemas.events import LoggedEvent
from schemas.records import Record

JOURNAL_CHUNK = 128
"""Records read at a time: bodies may be megabytes, and no read lasts longer than one chunk."""
Also = Callable[[Connection], None]
SNAPSHOTS_KEPT = 2
"""The newest, and one more should the newest be unreadable."""

log = structlog.get_logger(__name__)


class Snapshot(msgspec.Struct, frozen=True):
    """The core's state at a position, as the core of `core_version` wrote it."""

    position: Position
    core_version: int
    state: bytes


class Store:
    """One database with its single writer and any number of readers.

    `append` is called from one thread; everything else from any. `engine` is for reads; writes beside the log go
    through `writing()`. `chain` makes the next links; `archive` is the folder of the records that were pruned.
    Every method raises StoreUnavailable when the database or its disk fails.
    """

    engine: Engine

    def __init__(
        self,
        engine: Engine,
        lock_file: LockFile | None = None,
        *,
        read_only: bool = False,
        keys: Keyring | None = None,
        archive: Path | None = None,
    ) -> None:
        self.engine = engine
        self.archive = archive
        self._read_only = read_only
        self.keys = keys or Keyring()
        self.chain = self.keys.wanted
        self._appender = Appender(engine, lock_file, self.keys)
        self._append_turns = Turns()
        # SQLite has one write lock for all; PostgreSQL lets read models write beside the append.
        self._writing_turns = self._append_turns if engine.dialect.name == "sqlite" else Turns()
        self._shares_engine = False
        self._file = lock_file.database if lock_file else None
        self._checkpointer: Checkpointer | None = None

    @classmethod
    def open(
        cls,
        url: str,
        *,
        password: str | None = None,
        read_only: bool = False,
        keys: Keyring | None = None,
        archive: Path | None = None,
    ) -> Store:
        """The store at an SQLAlchemy URL, its tables and folder made when missing, or brought up to date.

        `read_only` makes nothing and refuses every write. `keys` says how the log is chained, by default with SHA-256.
        `archive` is the folder of the records that were pruned from the journal.
        Raises ConfigError for a URL it cannot serve or a database of a newer Tocsin, and StoreUnavailable where the
        database does not answer.
        """
        parsed = database_url(url, password)
        lock_file = LockFile(Path(parsed.database or "").resolve()) if parsed.drivername.startswith("sqlite") else None
        with outages_named(f"open {parsed!r}{read_only_place(parsed)}"):
            engine = open_engine(parsed, read_only=read_only)
            try:
                (check_schema if read_only else migrate)(engine)
            except BaseException:
                engine.dispose()
                raise
        return cls(engine, lock_file, read_only=read_only, keys=keys, archive=archive)

    def position(self, partition: int = 0) -> Position:
        """Where the next record and the next event of the partition go, as last committed."""
        with self._reading("read the position") as connection:
            return read_position(connection, partition)

    def chains(self, partition: int = 0) -> Chains:
        """Which chain made which links so far. Raises ConfigError where that cannot be trusted or lacks its key."""
        with self._reading("read the chain's algorithms") as connection:
            return read_chains(connection, partition, self.keys)

    def append(self, entries: Sequence[Entry], *, partition: int = 0, also: Also | None = None) -> None:
        """Commit records, their events and the new position at once; durable when it returns, or nothing happened.

        `also` adds statements to the same transaction, or refuses it by raising (PostgreSQL only).

        Raises ConcurrencyConflict when the entries do not begin at the stored position or are not chained to its
        head (stop being a writer, or read again), StoreUnavailable when nothing was taken (retry), ValueError for a
        batch that has gaps in itself.
        """
        self._refuse_when_read_only()
        if entries:
            with self._append_turns.first():
                self._refuse_when_full()
                self._appender.append(partition, entries, also)
            self._wrote()

    def journal(self, *, partition: int = 0, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, Record]]:
        """The records from offset `start` to before `stop`, in order; read in chunks, each a short read of its own.

        What was archived is read from the archive; raises ConfigError where the settings do not say where that is, and
        StoreUnavailable for a segment that is not the one that was archived, or a record that is missing or damaged.
        """
        committed = self.position(partition).next_offset
        columns = select(JOURNAL.c.offset, JOURNAL.c.body).where(JOURNAL.c.partition == partition)
        if stop is not None:
            columns = columns.where(JOURNAL.c.offset < stop)
        columns = columns.order_by(JOURNAL.c.offset).limit(JOURNAL_CHUNK)
        while stop is None or start < stop:
            with self._reading("read the journal") as connection:
                rows = connection.execute(columns.where(JOURNAL.c.offset >= start)).all()
                segment = None if rows and rows[0].offset == start else segment_at(connection, partition, start)
            if segment is not None:
                yield from records_of(self.archive, segment, start, stop)
                start = segment.next_offset
                continue
            for expected, row in enumerate(rows, start):
                if row.offset != expected:
                    raise StoreUnavailable(f"record {expected} of the journal is missing")
                with damage_named(f"record {expected} of the journal"):
                    record = record_of(row.body)
                yield expected, record
            start += len(rows)
            if len(rows) < JOURNAL_CHUNK:
                if start < (committed if stop is None else min(stop, committed)):
                    raise StoreUnavailable(f"record {start} of the journal is missing: {committed} were committed")
                return

    def log(self, *, partition: int = 0, after: int = -1, limit: int = 1000) -> list[LoggedEvent]:
        """At most `limit` events behind seq `after`, in order."""
        query = select(EVENTS).where(EVENTS.c.partition == partition, EVENTS.c.seq > after)
        with self._reading("read the log") as connection, damage_named(f"an event behind {after}"):
            return [event_of(row) for row in connection.execute(query.order_by(EVENTS.c.seq).limit(limit))]

    def log_of(self, subject: str, *, limit: int = 1000) -> list[LoggedEvent]:
        """The first `limit` events about one subject (``incident/INC-7``), in order."""
        query = select(EVENTS).where(EVENTS.c.subject == column_text(subject))
        query = query.order_by(EVENTS.c.partition, EVENTS.c.seq).limit(limit)
        with self._reading(f"read the log of {subject}") as connection, damage_named(f"an event about {subject}"):
            return [event_of(row) for row in connection.execute(query)]

    def save_snapshot(self, snapshot: Snapshot, *, partition: int = 0) -> None:
        """Keep a state to start from, and drop all but the newest two of the partition."""
        at, table = snapshot.position, SNAPSHOTS.c
        own = table.partition == partition
        row = {
            "partition": partition, "next_offset": at.next_offset, "core_version": snapshot.core_version,
            "next_seq": at.next_seq, "head": at.head, "state": packed(snapshot.state),
        }  # fmt: skip
        with outages_named("save a snapshot"), self.writing() as connection:
            same = (table.next_offset == at.next_offset) & (table.core_version == snapshot.core_version)
            connection.execute(delete(SNAPSHOTS).where(own & same))
            connection.execute(insert(SNAPSHOTS), row)
            newest = select(table.next_offset, table.core_version).where(own)
            newest = newest.order_by(table.next_offset.desc(), table.core_version.desc())
            for old in connection.execute(newest.offset(SNAPSHOTS_KEPT)).all():
                stale = (table.next_offset == old.next_offset) & (table.core_version == old.core_version)
                connection.execute(delete(SNAPSHOTS).where(own & stale))

    def snapshot(self, *, partition: int = 0, core_version: int) -> Snapshot | None:
        """The newest state that a core of this version wrote and that still reads so, None where there is none."""
        query = select(SNAPSHOTS).where(SNAPSHOTS.c.partition == partition, SNAPSHOTS.c.core_version == core_version)
        with self._reading("read a snapshot") as connection:
            rows = connection.execute(query.order_by(SNAPSHOTS.c.next_offset.desc())).all()
        for row in rows:
            try:
                state = unpacked(row.state)
            except (zstandard.ZstdError, TypeError) as noise:
                log.error("snapshot_unreadable", next_offset=row.next_offset, problem=str(noise))
                continue
            return Snapshot(Position(row.next_offset, row.next_seq, bytes(row.head)), core_version, state)
        return None

    @contextmanager
    def writing(self, *, durable: bool = False) -> Iterator[Connection]:
        """A write transaction for what stands beside the log: read models, accounts. Commits at the end of the block.

        One at a time in this process, behind any waiting append. It does not wait for the disk unless `durable`
        (accounts); what is lost in a power cut is always the newest. Errors of a statement itself
        pass unchanged; an outage is StoreUnavailable. Not re-entrant; do not call `append` inside.
        """
        self._refuse_when_read_only()
        with self._writing_turns.after(), _outages_only():
            self._refuse_when_full()
            connection = self.engine.connect().execution_options(**{WRITES: True})
            with connection, patient(connection):
                make_durable(connection, durable)
                with connection.begin():
                    if connection.dialect.name == "postgresql" and not durable:
                        connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
                    yield connection
        self._wrote()

    def lock_writer(self) -> None:
        """Be this database's only writer until `close` or the end of the process.

        Raises ConcurrencyConflict that names the present writer, and ConfigError where the log can be continued only
        with another key: better now than at the first alert.
        """
        self._refuse_when_read_only()
        with self._append_turns.first():
            self._appender.lock()
        self.chains()
        if self._file is not None and self._checkpointer is None:
            self._checkpointer = Checkpointer(self.engine, self._file, self._append_turns)

    def close(self) -> None:
        """Let go of the database and of the writer's lock; calling it twice is harmless."""
        if self._checkpointer is not None:
            self._checkpointer.close()
        with self._append_turns.first():
            self._appender.close()
        if not self._shares_engine:
            self.engine.dispose()

    @contextmanager
    def _reading(self, doing: str) -> Iterator[Connection]:
        with outages_named(doing), self.engine.connect() as connection:
            yield connection

    def _refuse_when_full(self) -> None:
        if self._checkpointer is not None:
            self._checkpointer.refuse_when_full()

    def _wrote(self) -> None:
        if self._checkpointer is not None:
            self._checkpointer.wrote()

    def _refuse_when_read_only(self) -> None:
        if self._read_only:
            raise ConfigError("this store was opened read-only")


def sibling(store: Store) -> Store:
    """The same database with a writer's connection of its own, for another partition; close it before `store`."""
    other = Store(store.engine, keys=store.keys, archive=store.archive)
    other._shares_engine = True
    return other


def partitions(store: Store) -> list[int]:
    """The partitions that have records, in order. Raises StoreUnavailable."""
    with outages_named("read the partitions"), store.engine.connect() as connection:
        return list(connection.scalars(select(CHECKPOINTS.c.partition).order_by(CHECKPOINTS.c.partition)))


@contextmanager
def _outages_only() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        if not is_outage(error):
            raise
        raise StoreUnavailable(f"write beside the log: {getattr(error, 'orig', None) or error}") from error
