"""A store in memory with the contract of `engine.store.Store`, which can be struck at every step.

`Disk` is what survives a crash; a `MemoryStore` is one process's hand on it. Rows are kept as bytes, as in a database,
so that whatever is read back has been decoded anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from engine.chain import PLAIN, Chain, Chains, Envelope, Position
from engine.store import Entry, Snapshot
from schemas.errors import ConcurrencyConflict
from schemas.events import Event, LoggedEvent, decode_data
from schemas.records import Record, decode_record, encode_record

SNAPSHOTS_KEPT = 2

Strike = Callable[[str, str], None]
"""`strike(operation, moment)` may raise StoreUnavailable, or end the process; moments are before and after."""


class Partition(msgspec.Struct):
    """One partition's rows."""

    journal: list[bytes] = []
    events: list[Envelope] = []
    snapshots: list[Snapshot] = []
    position: Position = Position()


class Disk:
    """What is left when the process is gone."""

    def __init__(self, committed: Callable[[Sequence[Entry]], None] = lambda _: None) -> None:
        """`committed` is told of every batch at the moment in which it becomes durable."""
        self.partitions: dict[int, Partition] = {}
        self.committed = committed
        self.writer: object | None = None

    def partition(self, number: int = 0) -> Partition:
        """The rows of a partition."""
        return self.partitions.setdefault(number, Partition())


class MemoryStore:
    """One process's hand on a disk."""

    chain: Chain = PLAIN

    def __init__(self, disk: Disk, strike: Strike = lambda _operation, _moment: None) -> None:
        self._disk, self._strike = disk, strike

    def chains(self, partition: int = 0) -> Chains:
        """All links are plain SHA-256."""
        return Chains()

    def position(self, partition: int = 0) -> Position:
        """Where the next record and event go."""
        self._strike("read", "before")
        return self._disk.partition(partition).position

    def append(self, entries: Sequence[Entry], *, partition: int = 0) -> None:
        """Commit all of it or nothing; raises as `Store.append` does."""
        if not entries:
            return
        self._strike("append", "before")
        rows = self._disk.partition(partition)
        end = _end(rows.position, entries)
        rows.journal.extend(encode_record(entry.record) for entry in entries)
        rows.events.extend(Envelope.of(logged) for entry in entries for logged in entry.events)
        rows.position = end
        self._disk.committed(entries)
        self._strike("append", "after")

    def journal(self, *, partition: int = 0, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, Record]]:
        """The records from `start` to before `stop`."""
        for chunk in range(start, len(self._disk.partition(partition).journal) + 1, 128):
            self._strike("read", "before")
            rows = self._disk.partition(partition).journal[chunk : chunk + 128]
            for offset, body in enumerate(rows, chunk):
                if stop is not None and offset >= stop:
                    return
                yield offset, decode_record(body)

    def log(self, *, partition: int = 0, after: int = -1, limit: int = 1000) -> list[LoggedEvent]:
        """At most `limit` events behind seq `after`."""
        self._strike("read", "before")
        rows = self._disk.partition(partition).events[after + 1 : after + 1 + limit]
        return [_logged(row) for row in rows]

    def log_of(self, subject: str, *, limit: int = 1000) -> list[LoggedEvent]:
        """The first events about one subject."""
        self._strike("read", "before")
        every = (row for _, rows in sorted(self._disk.partitions.items()) for row in rows.events)
        return [_logged(row) for row in every if row.subject == subject][:limit]

    def save_snapshot(self, snapshot: Snapshot, *, partition: int = 0) -> None:
        """Keep a state, and of all the newest two."""
        self._strike("snapshot", "before")
        rows = self._disk.partition(partition)
        place = (snapshot.position.next_offset, snapshot.core_version)
        others = [old for old in rows.snapshots if (old.position.next_offset, old.core_version) != place]
        ranked = sorted([*others, snapshot], key=lambda kept: (kept.position.next_offset, kept.core_version))
        rows.snapshots = ranked[-SNAPSHOTS_KEPT:]
        self._strike("snapshot", "after")

    def snapshot(self, *, partition: int = 0, core_version: int) -> Snapshot | None:
        """The newest state that a core of this version wrote."""
        self._strike("read", "before")
        own = [kept for kept in self._disk.partition(partition).snapshots if kept.core_version == core_version]
        return own[-1] if own else None

    def lock_writer(self) -> None:
        """Be the only writer; raises ConcurrencyConflict."""
        if self._disk.writer not in (None, self):
            raise ConcurrencyConflict("another process already writes to this database")
        self._disk.writer = self

    def close(self) -> None:
        """Let the next writer in."""
        if self._disk.writer is self:
            self._disk.writer = None


def _end(start: Position, entries: Sequence[Entry]) -> Position:
    """The position behind the entries; refuses what the contract refuses."""
    if entries[0].offset != start.next_offset:
        raise ConcurrencyConflict(f"the journal goes on at offset {start.next_offset}, not at {entries[0].offset}")
    position = start
    for entry in entries:
        if entry.offset != position.next_offset:
            raise ValueError(f"offset {entry.offset} follows {position.next_offset - 1} in one batch")
        for index, logged in enumerate(entry.events):
            previous = position.head if index == 0 else entry.events[index - 1].hash
            chained = PLAIN.link(previous, Envelope.of(logged)) == logged.hash
            if logged.seq != position.next_seq + index or logged.index != index or not chained:
                raise ConcurrencyConflict(f"event {logged.id} (seq {logged.seq}) is not chained to the stored head")
        position = position.after(entry.events)
    return position


def _logged(row: Envelope) -> LoggedEvent:
    event = Event(row.at_ms, row.actor, row.scope, row.subject, decode_data(row.data))
    return LoggedEvent(row.partition, row.seq, row.offset, row.index, event, row.hash, row.version)
