"""SQLite's write-ahead log beside a writer: folded in aside, begun anew when long, and bounded whatever readers do."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from engine.store import Position, Store, checkpointer, verify_log
from schemas.errors import StoreUnavailable
from tests.batches import entries
from tests.servers.process import PATIENCE_S

MIB = 1024 * 1024


@pytest.fixture
def folded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The length of the log after each attempt to fold it."""
    sizes: list[int] = []
    real = checkpointer._folded

    def noted(connection: sqlite3.Connection, how: str) -> int:
        sizes.append(real(connection, how))
        return sizes[-1]

    monkeypatch.setattr(checkpointer, "_folded", noted)
    return sizes


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folded: list[int]) -> Iterator[Store]:
    """A store that is written to; its log is begun anew at 1 MiB and may have 4 MiB, and nobody waits for readers."""
    monkeypatch.setattr(checkpointer, "EVERY_S", 0.01)
    monkeypatch.setattr(checkpointer, "BEGIN_ANEW_BYTES", MIB)
    monkeypatch.setattr(checkpointer, "LIMIT_BYTES", 4 * MIB)
    monkeypatch.setattr(checkpointer, "READERS_WAIT_MS", 50)
    opened = Store.open(f"sqlite:///{tmp_path}/t.db")
    opened.lock_writer()
    yield opened
    opened.close()


def soon(look: Callable[[], bool], what: str) -> None:
    """Wait until it holds."""
    until = time.monotonic() + PATIENCE_S
    while not look():
        assert time.monotonic() < until, f"waited for {what}"
        time.sleep(0.01)


def wal(folder: Path) -> Path:
    """The write-ahead log."""
    return folder / "t.db-wal"


def test_what_is_committed_comes_into_the_database_file(store: Store, tmp_path: Path) -> None:
    """Without another commit, and without one that folds: the file itself soon holds the records."""
    made, _ = entries(Position(), *[3] * 200)
    store.append(made)

    def there() -> bool:
        copy = tmp_path / "copy.db"
        copy.write_bytes((tmp_path / "t.db").read_bytes())  # without its log
        with closing(sqlite3.connect(copy)) as connection:
            return bool(connection.execute("SELECT count(*) FROM journal").fetchone()[0] == 200)

    soon(there, "the records to come into the file")


def append(store: Store, position: Position, folded: list[int], events: int) -> Position:
    """Commit one batch, and wait until the log was folded after it; the position behind it."""
    made, end = entries(position, *[5] * (events // 5))
    store.append(made)
    before = len(folded)
    soon(lambda: len(folded) > before, "the log to be folded")
    return end


def test_a_log_that_has_become_long_is_begun_anew(store: Store, tmp_path: Path, folded: list[int]) -> None:
    """Under one commit after the other it stays within a few lengths, and nothing is lost."""
    position, largest = Position(), 0
    for _ in range(40):
        position = append(store, position, folded, 1000)
        largest = max(largest, wal(tmp_path).stat().st_size)
    assert largest < 3 * MIB
    assert (tmp_path / "t.db").stat().st_size > 4 * MIB
    assert store.position() == position
    assert verify_log(store).fault is None


def test_a_reader_that_stays_bounds_the_log_and_not_the_disk(store: Store, tmp_path: Path, folded: list[int]) -> None:
    """While somebody keeps an old state open, commits end at the limit with a reason; when he goes, they go on."""
    position = append(store, Position(), folded, 5)
    reader = sqlite3.connect(tmp_path / "t.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM journal").fetchone()
    with pytest.raises(StoreUnavailable, match="write-ahead log"):  # noqa: PT012 - the last of them is refused
        for _ in range(100):
            position = append(store, position, folded, 1000)
    assert wal(tmp_path).stat().st_size < 8 * MIB
    with pytest.raises(StoreUnavailable), store.writing():
        pass
    reader.execute("COMMIT")
    reader.close()

    def taken() -> bool:
        nonlocal position
        with suppress(StoreUnavailable):
            position = append(store, position, folded, 5)
            return True
        return False

    soon(taken, "commits to be taken again")
    assert store.position() == position
    assert verify_log(store).fault is None


DIES = """
import os, sys
from engine.store import Position, Store, checkpointer
from tests.batches import entries
checkpointer.EVERY_S, checkpointer.BEGIN_ANEW_BYTES = 0.001, 200_000
store = Store.open(sys.argv[1])
store.lock_writer()
position = store.position()
for number in range(int(sys.argv[2])):
    made, position = entries(position, *[3] * 20)
    store.append(made)
    print(position.next_offset, flush=True)
os.kill(os.getpid(), 9)
"""


def test_a_kill_beside_foldings_loses_nothing(tmp_path: Path) -> None:
    """Killed in the midst of commits, foldings and new beginnings, again and again: all that was committed is there."""
    url = f"sqlite:///{tmp_path}/t.db"
    for round_ in range(3):
        command = [sys.executable, "-c", DIES, url, str(40 + 7 * round_)]
        died = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": os.getcwd()})
        assert died.returncode == -9, died.stderr
        store = Store.open(url)
        assert store.position().next_offset == int(died.stdout.split()[-1])
        assert verify_log(store).fault is None
        store.close()
