"""The simulated store keeps the contract of the real one; otherwise the simulator would prove nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engine.chain import GENESIS, verify
from engine.store import Position, Snapshot
from schemas.errors import ConcurrencyConflict, StoreUnavailable
from tests.batches import entries
from tests.contract import test_store as contract
from tests.simulation.memory_store import Disk, MemoryStore

CASES = [
    contract.test_reads_take_a_part,
    contract.test_events_of_a_subject,
    contract.test_partitions_are_separate,
    contract.test_an_empty_batch_changes_nothing,
    contract.test_only_the_stored_position_can_be_continued,
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_the_contract_of_the_store(case: Callable[[Any], None]) -> None:
    """What is demanded of SQLite and PostgreSQL holds in memory, too."""
    case(MemoryStore(Disk()))


def test_what_is_appended_is_read_back() -> None:
    """Records and events come back equal, in order, chained, and by another process as well."""
    disk = Disk()
    made, end = entries(Position(), 2, 0, 1)
    MemoryStore(disk).append(made)
    other = MemoryStore(disk)
    assert list(other.journal()) == [(entry.offset, entry.record) for entry in made]
    assert other.log(limit=10) == [logged for entry in made for logged in entry.events]
    assert other.position() == end
    assert verify(GENESIS, 0, other.log()) is None


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_struck_append_leaves_nothing_or_everything(when: str) -> None:
    """A fault before the commit leaves nothing; one after it (an ambiguous commit) leaves the whole batch."""

    def strike(operation: str, moment: str) -> None:
        if (operation, moment) == ("append", when):
            raise StoreUnavailable("struck")

    made, end = entries(Position(), 1, 2)
    disk = Disk()
    with pytest.raises(StoreUnavailable):
        MemoryStore(disk, strike).append(made)
    assert MemoryStore(disk).position() == (end if when == "after" else Position())


def test_there_is_one_writer() -> None:
    """A second writer is refused until the first has closed."""
    disk = Disk()
    first, second = MemoryStore(disk), MemoryStore(disk)
    first.lock_writer()
    first.lock_writer()
    with pytest.raises(ConcurrencyConflict, match="already writes"):
        second.lock_writer()
    first.close()
    second.lock_writer()


def test_snapshots() -> None:
    """The newest state of the asked core version is found; only the newest two are kept."""
    store, disk = MemoryStore(disk := Disk()), disk
    assert store.snapshot(core_version=1) is None
    states = [Snapshot(Position(at, at, bytes([at]) * 32), 1, bytes([at])) for at in (1, 2, 3)]
    for state in states:
        store.save_snapshot(state)
    again = Snapshot(states[2].position, 1, b"")
    store.save_snapshot(again)
    assert store.snapshot(core_version=1) == again
    assert store.snapshot(core_version=2) is None
    assert [kept.position.next_offset for kept in disk.partition().snapshots] == [2, 3]
