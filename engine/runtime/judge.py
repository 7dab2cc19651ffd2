"""The judge: one partition's core at its place in the journal, which can always be restored from the store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import structlog

from engine.chain import Position
from engine.core import CORE_VERSION, Core, Decision
from engine.store import Entry, Snapshot, Store
from schemas.errors import StoreUnavailable, TocsinError
from schemas.events import LoggedEvent, RecordPoisoned
from schemas.ports import Parser
from schemas.records import Record

log = structlog.get_logger(__name__)

POISONED_READ = 100_000
"""Poison marks read at a restart; a log with more of them has other troubles."""


class Judge:
    """Turns records into journal entries. What it has judged is provisional until `committed` is called."""

    def __init__(self, store: Store, parsers: Mapping[str, Parser], *, partition: int = 0) -> None:
        self._store, self._parsers, self._partition = store, parsers, partition
        self._uncommitted: list[Entry] = []
        self._astray = False
        """The core may hold what is neither committed nor judged, until it is restored."""
        self.core, self.position = self._restored(())

    def judge(self, record: Record) -> tuple[Entry, Decision]:
        """Decide the next record. A record on which the core fails is marked, kept and skipped.

        Raises StoreUnavailable where the state before such a record cannot be read: roll back.
        """
        offset = self.position.next_offset
        try:
            decision = self.core.handle(record)
        except Exception as bug:
            log.error("record_poisoned", offset=offset, error=repr(bug), exc_info=True)
            self._astray = True
            self.core, _ = self._restored(self._uncommitted)
            self._astray = False
            decision = self.core.poison(record, repr(bug)[:500])
        logged = self._store.chain.extend(self.position, self._partition, offset, decision.events)
        entry = Entry(offset, record, logged)
        self.position = self.position.after(logged)
        self._uncommitted.append(entry)
        return entry, decision

    def committed(self) -> None:
        """All that was judged so far is in the store."""
        self._uncommitted.clear()

    @property
    def is_committed(self) -> bool:
        """Whether the state holds nothing that the store does not have."""
        return not self._uncommitted and not self._astray

    def roll_back(self) -> None:
        """Forget what was judged but not committed. Raises StoreUnavailable while the store cannot be read."""
        self._astray = True
        self.core, self.position = self._restored(())
        self._uncommitted.clear()
        self._astray = False

    def logged_from(self, seq: int) -> list[LoggedEvent]:
        """The events of the log from `seq` to the position. Raises StoreUnavailable."""
        found: list[LoggedEvent] = []
        while (following := seq + len(found)) < self.position.next_seq:
            more = self._store.log(partition=self._partition, after=following - 1)
            if not more:
                raise StoreUnavailable(f"event {following} of the log is missing")
            found += more
        return found

    def snapshot(self) -> Snapshot:
        """The state and position as they are now; save it only when all is committed."""
        return Snapshot(self.position, CORE_VERSION, self.core.snapshot())

    def _restored(self, uncommitted: Sequence[Entry]) -> tuple[Core, Position]:
        """The core from the newest snapshot, the journal behind it and what is judged but not committed."""
        snapshot = self._store.snapshot(partition=self._partition, core_version=CORE_VERSION)
        core = (
            Core.from_snapshot(snapshot.state, self._parsers, partition=self._partition)
            if snapshot
            else Core(self._parsers, partition=self._partition)
        )
        start = snapshot.position.next_offset if snapshot else 0
        poisoned = poison_marks(self._store, self._partition)
        for offset, record in self._store.journal(partition=self._partition, start=start):
            _redo(core, record, poisoned.get(offset))
        position = self._store.position(self._partition)
        for entry in uncommitted:
            marks = [logged.event.data for logged in entry.events]
            error = next((mark.error for mark in marks if isinstance(mark, RecordPoisoned)), None)
            _redo(core, entry.record, error)
            position = position.after(entry.events)
        return core, position


def poison_marks(store: Store, partition: int) -> dict[int, str]:
    """The offsets of poisoned records, each with the error that the core failed with."""
    return {
        logged.offset: logged.event.data.error
        for logged in store.log_of("poison", limit=POISONED_READ)
        if logged.partition == partition and isinstance(logged.event.data, RecordPoisoned)
    }


def _redo(core: Core, record: Record, poisoned: str | None) -> Decision:
    return core.handle(record) if poisoned is None else core.poison(record, poisoned)


class ReplayDiffers(TocsinError):
    """The journal, decided again, does not give the log. `offset` is the first record that is decided otherwise."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(f"record {offset}: {reason}")
        self.offset = offset


def replay(store: Store, parsers: Mapping[str, Parser], *, partition: int = 0) -> Core:
    """Decide the whole journal again from nothing, and compare every event with the log, hash by hash.

    Raises ReplayDiffers at the first difference. Returns the core at the end, for its books.
    """
    core, position, chains = Core(parsers, partition=partition), Position(), store.chains(partition)
    poisoned = poison_marks(store, partition)
    head = store.position(partition)
    logged = _stream(store, partition)
    for offset, record in store.journal(partition=partition, stop=head.next_offset):
        decided = _redo(core, record, poisoned.get(offset)).events
        events = chains.at(position.next_seq).extend(position, partition, offset, decided)
        position = position.after(events)
        for event in events:
            stored = next(logged, None)
            if stored is None or stored.hash != event.hash:
                found = "nothing" if stored is None else f"{stored.type} ({stored.id})"
                raise ReplayDiffers(offset, f"decided {event.type} ({event.id}) now, the log has {found}")
    if position != head:
        raise ReplayDiffers(position.next_offset, f"the log goes on to event {head.next_seq - 1}, the replay does not")
    return core


def _stream(store: Store, partition: int) -> Iterator[LoggedEvent]:
    after = -1
    while events := store.log(partition=partition, after=after, limit=2000):
        yield from events
        after = events[-1].seq
