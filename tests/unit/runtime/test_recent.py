"""The newest events in memory, in front of the store."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.chain import extend
from engine.runtime.recent import RecentLog
from engine.store import Entry, Store
from schemas import events as e
from schemas.records import Tick
from tests.scenario import NOON


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with ten events."""
    opened = Store.open(f"sqlite:///{tmp_path}/tocsin.db")
    append(opened, 10)
    return opened


def append(store: Store, count: int) -> list[e.LoggedEvent]:
    """Commit one record with `count` events."""
    position = store.position()
    news = [e.Event(NOON, "system", "default", "rules", e.Configured(n, "d")) for n in range(count)]
    logged = extend(position, 0, position.next_offset, news)
    store.append([Entry(position.next_offset, Tick(NOON), logged)])
    return logged


def test_memory_and_store_give_one_log(store: Store) -> None:
    """Wherever a reader stands, it meets every event once and in order."""
    recent = RecentLog(store)
    recent.add(append(store, 5))
    recent.add(append(store, 5))
    read: list[int] = []
    while chunk := recent.read(0, read[-1] if read else -1, 3):
        read.extend(logged.seq for logged in chunk)
    assert read == list(range(20))


def test_what_is_no_longer_kept_is_read_from_the_store(store: Store) -> None:
    """Memory is bounded; a reader that is far behind misses nothing."""
    recent = RecentLog(store, kept=4)
    for _ in range(5):
        recent.add(append(store, 3))
    assert len(recent._tail) <= 4 + 3
    assert [logged.seq for logged in recent.read(0, 9, 100)] == list(range(10, 25))
    assert [logged.seq for logged in recent.read(0, 23, 100)] == [24]
    assert recent.read(0, 24, 100) == []


def test_a_gap_starts_anew(store: Store) -> None:
    """After events that it was not shown, it keeps only what follows them."""
    recent = RecentLog(store)
    recent.add(append(store, 2))
    append(store, 2)
    recent.add(append(store, 2))
    assert [logged.seq for logged in recent.read(0, 9, 100)] == list(range(10, 16))
