"""Noise anywhere in the SQLite file: what is read is what was written, or it is refused; never anything else."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from engine.chain import Position
from engine.store import Entry, Snapshot, Store, verify_log
from schemas.errors import StoreUnavailable, TocsinError
from schemas.records import Received, Record
from tests.batches import entries
from tests.servers.sqlite_pages import fold_in, leaves, overwrite, page_size, spoil

BODY = b'{"alertname": "Fault", "instance": "a.example:9100"}'
DAMAGES = 150


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A database of 200 records, each compressed, with 600 events and two snapshots, all in the file itself."""
    file = tmp_path / "written.db"
    store = Store.open(f"sqlite:///{file}")
    made, end = entries(Position(), *[3] * 200)
    store.append([Entry(one.offset, body(one.offset), one.events) for one in made])
    for next_offset in (100, end.next_offset):
        at = Position(next_offset, 3 * next_offset, end.head)
        store.save_snapshot(Snapshot(at, 1, random.Random(next_offset).randbytes(500) * 2))
    store.close()
    fold_in(file)
    return file


def body(offset: int) -> Record:
    """A record that is long enough to be compressed, and unlike every other."""
    return Received(offset, "am", "alertmanager_v2", BODY * 3 + b"%d" % offset + random.Random(offset).randbytes(40))


def read_all(file: Path) -> list[Record]:
    """The whole journal, in a process that never saw it before."""
    store = Store.open(f"sqlite:///{file}", read_only=True)
    try:
        return [record for _, record in store.journal()]
    finally:
        store.close()


@pytest.mark.parametrize("length", [4, 24, 512, None])
def test_noise_is_refused_or_reads_as_it_was(written: Path, tmp_path: Path, length: int | None) -> None:
    """At many places and in many sizes: the journal is complete and equal or refused, and `verify` never breaks."""
    whole = read_all(written)
    dice = random.Random(length or 0)
    size, refused = page_size(written), 0
    for seed in range(DAMAGES):
        file = tmp_path / "damaged.db"
        shutil.copy(written, file)
        page = dice.randint(1, file.stat().st_size // size)
        at = 0 if length is None else dice.randrange(size - length)
        overwrite(file, page, at=at, length=length, seed=seed)
        try:
            assert read_all(file) == whole, f"page {page}, byte {at}"
        except TocsinError:
            refused += 1
        store = None
        try:
            store = Store.open(f"sqlite:///{file}", read_only=True)
            verify_log(store)
        except TocsinError:
            refused += 1
        finally:
            if store is not None:
                store.close()
    assert refused > DAMAGES // 20


def test_an_unreadable_snapshot_gives_way_to_the_one_before(written: Path) -> None:
    """Noise in the newest: the older one; noise in both: none, and the journal has to be replayed."""
    store = Store.open(f"sqlite:///{written}", read_only=True)
    for next_offset, left in ((200, 100), (100, None)):
        spoil(written, random.Random(next_offset).randbytes(500)[100:140])
        store.engine.dispose()
        found = store.snapshot(core_version=1)
        assert (found and found.position.next_offset) == left
    store.close()


def test_a_damaged_file_is_named(written: Path) -> None:
    """Where SQLite finds its pages damaged, the outage names the file."""
    for page in leaves(written, "events"):
        overwrite(written, page, seed=page)
    store = Store.open(f"sqlite:///{written}", read_only=True)
    with pytest.raises(StoreUnavailable, match=str(written)):
        verify_log(store)
    store.close()
