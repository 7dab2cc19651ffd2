"""What every database under the store must do: one contract, run on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import threading
from collections.abc import Iterator
from multiprocessing.synchronize import Event as Ready

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from engine.chain import GENESIS
from engine.store import Position, Snapshot, Store, VerifyReport, verify_log
from schemas.errors import ConcurrencyConflict, ConfigError
from tests.batches import entries, tamper


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """An open store on the empty database."""
    opened = Store.open(url)
    yield opened
    opened.close()


SWAP = "UPDATE events SET seq = {1} WHERE seq = {0}"


@pytest.mark.parametrize("size", [1, 10, 300])
def test_what_is_appended_is_read_back(store: Store, size: int) -> None:
    """Records and events come back exactly equal and in order, in small batches and in bulk ones."""
    first, middle = entries(Position(), *[2] * size)
    second, end = entries(middle, 0, 1)
    store.append(first)
    store.append(second)
    both = first + second
    assert list(store.journal()) == [(entry.offset, entry.record) for entry in both]
    assert store.log(limit=10_000) == [logged for entry in both for logged in entry.events]
    assert store.position() == end
    assert verify_log(store) == VerifyReport(2 * size + 1, end.head.hex())


def test_reads_take_a_part(store: Store) -> None:
    """Journal and log can be read from and to any place, across the size of a chunk."""
    made, _ = entries(Position(), *[1] * 300)
    store.append(made)
    assert [offset for offset, _ in store.journal(start=100, stop=250)] == list(range(100, 250))
    assert [logged.seq for logged in store.log(after=41, limit=3)] == [42, 43, 44]
    assert list(store.journal(start=300)) == []


def test_events_of_a_subject(store: Store) -> None:
    """The log can be read for one subject alone."""
    made, _ = entries(Position(), 3, 0, 2)
    store.append(made)
    assert [logged.id for logged in store.log_of("incident/INC-1")] == ["0-0-1", "0-2-1"]
    assert [logged.id for logged in store.log_of("incident/INC-1", limit=1)] == ["0-0-1"]
    assert store.log_of("incident/INC-9") == []


def test_partitions_are_separate(store: Store) -> None:
    """Each partition has offsets, numbers and a chain of its own."""
    zero, end_zero = entries(Position(), 1)
    five, end_five = entries(Position(), 2, partition=5)
    store.append(zero)
    store.append(five, partition=5)
    assert (store.position(), store.position(5)) == (end_zero, end_five)
    assert [logged.partition for logged in store.log(partition=5)] == [5, 5]


def test_an_empty_batch_changes_nothing(store: Store) -> None:
    """Appending nothing is allowed and leaves the beginning as it is."""
    store.append([])
    assert store.position() == Position(0, 0, GENESIS)


@pytest.mark.parametrize("size", [3, 60])
def test_append_is_atomic(store: Store, size: int) -> None:
    """When one row of a batch cannot be written, nothing of the batch is there, and the next append works."""
    made, _ = entries(Position(), *[1] * size)
    columns = 'seq, "offset", idx, partition, version, at_ms, type, actor, scope, subject, data, hash'
    with store.writing() as connection:
        foreign = f"INSERT INTO events ({columns}) VALUES (2, 2, 0, 0, 1, 0, '', '', '', '', :none, :none)"
        connection.execute(text(foreign), {"none": b""})
    with pytest.raises(ConcurrencyConflict, match="in the way"):
        store.append(made)
    assert list(store.journal()) == []
    assert store.position() == Position()
    tamper(store, "events", "delete", "DELETE FROM events")
    store.append(made)
    assert len(list(store.journal())) == size


def test_only_the_stored_position_can_be_continued(store: Store) -> None:
    """Entries from before, from beyond, or chained to another head are a conflict and leave nothing."""
    made, end = entries(Position(), 1, 1)
    store.append(made)
    beyond = entries(Position(end.next_offset + 1, end.next_seq, end.head), 1)[0]
    elsewhere = entries(Position(end.next_offset, end.next_seq, b"x" * 32), 1)[0]
    for wrong in (made, beyond, elsewhere):
        with pytest.raises(ConcurrencyConflict):
            store.append(wrong)
    with pytest.raises(ValueError, match="follows"):
        store.append([entries(end, 0)[0][0], entries(end, 0)[0][0]])
    assert store.position() == end
    store.append(entries(end, 2)[0])
    assert len(store.log()) == 4


def test_a_stale_writer_is_found_out(store: Store, url: str) -> None:
    """A writer that does not know of another's append is refused, although nobody took the lock."""
    first, middle = entries(Position(), 1)
    store.append(first)
    other = Store.open(url)
    theirs, end = entries(middle, 0)
    other.append(theirs)
    other.close()
    with pytest.raises(ConcurrencyConflict, match="another writer"):
        store.append(entries(middle, 2)[0])
    assert store.position() == end
    store.append(entries(end, 2)[0])


def test_there_is_one_writer(store: Store, url: str) -> None:
    """A second writer is refused with a reason, readers are not, and it takes over when the first closes."""
    store.lock_writer()
    store.lock_writer()
    second = Store.open(url)
    with pytest.raises(ConcurrencyConflict, match="already writes to this database"):
        second.lock_writer()
    store.append(entries(Position(), 1)[0])
    assert len(second.log()) == 1
    store.close()
    second.lock_writer()
    second.append(entries(second.position(), 1)[0])
    second.close()


def _write_until_killed(url: str, ready: Ready) -> None:
    store = Store.open(url)
    store.lock_writer()
    store.append(entries(Position(), 1)[0])
    ready.set()
    signal.pause()


def test_a_killed_writer_leaves_its_rows_and_no_lock(store: Store, url: str) -> None:
    """After kill -9 of the writer its committed rows are there and another writer can take over."""
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    writer = context.Process(target=_write_until_killed, args=(url, ready))
    writer.start()
    assert ready.wait(30)
    with pytest.raises(ConcurrencyConflict):
        store.lock_writer()
    assert writer.pid is not None
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    for _ in range(200):  # the server notices the closed socket a moment later
        try:
            store.lock_writer()
            break
        except ConcurrencyConflict:
            threading.Event().wait(0.05)
    store.append(entries(store.position(), 1)[0])
    assert [logged.seq for logged in store.log()] == [0, 1]


@pytest.mark.parametrize("table", ["events", "journal"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET at_ms = 1", "DELETE FROM {}"])
def test_the_database_refuses_change(store: Store, table: str, statement: str) -> None:
    """No row of journal or log can be altered or removed, not even with plain SQL."""
    made, _ = entries(Position(), 1)
    store.append(made)
    with pytest.raises(DBAPIError, match=f"{table} is append-only"), store.writing() as connection:
        connection.execute(text(statement.format(table)))
    assert store.log() == list(made[0].events)


def test_snapshots(store: Store) -> None:
    """The newest state of the asked core version is found; only the newest two of a partition are kept."""
    assert store.snapshot(core_version=1) is None
    states = [Snapshot(Position(at, at, bytes([at]) * 32), 1, b"state" * 100 + bytes([at])) for at in (1, 2, 3)]
    for state in states:
        store.save_snapshot(state)
    assert store.snapshot(core_version=1) == states[2]
    assert store.snapshot(core_version=2) is None
    again = Snapshot(states[2].position, 1, b"")
    store.save_snapshot(again)
    store.save_snapshot(Snapshot(Position(9), 1, b"x"), partition=4)
    assert store.snapshot(core_version=1) == again
    with store.engine.connect() as connection:
        kept = connection.execute(text("SELECT next_offset FROM snapshots WHERE partition = 0 ORDER BY 1")).scalars()
        assert list(kept) == [2, 3]


@pytest.mark.parametrize(
    ("change", "statement", "good", "told"),
    [
        ("update", "UPDATE events SET actor = 'user:other' WHERE seq = 4", 4, "event 4 .* was altered"),
        ("update", "UPDATE events SET type = 'incident_closed' WHERE seq = 4", 4, "event 4: its type column"),
        ("delete", "DELETE FROM events WHERE seq = 4", 4, "event 4 is missing"),
        ("delete", "DELETE FROM events WHERE seq > 4", 5, "event 5 is missing"),
        ("update", f"{SWAP.format(3, -9)}; {SWAP.format(4, 3)}; {SWAP.format(-9, 4)}", 3, "event 3 .* was altered"),
        ("update", "UPDATE events SET seq = 19 WHERE seq = 9", 9, "9 is missing"),
        ("update", "UPDATE events SET seq = -1 WHERE seq = 7", 0, "event -1 is out of order"),
    ],
)
def test_tampering_is_found(store: Store, change: str, statement: str, good: int, told: str) -> None:
    """An event that was altered, removed, cut off or moved is named, with how many before it hold."""
    made, _ = entries(Position(), *[2] * 5)
    store.append(made)
    assert verify_log(store).fault is None
    tamper(store, "events", change, statement)
    report = verify_log(store)
    assert report.events == good
    assert report.fault is not None
    assert re.search(told, report.fault)


def test_readers_see_only_what_is_committed(store: Store) -> None:
    """While a write transaction is open, readers see the state before it, and do not wait."""
    store.append(entries(Position(), 1)[0])
    with store.writing() as connection:
        connection.execute(text("UPDATE checkpoints SET next_seq = 77"))
        assert store.position().next_seq == 1
        assert len(store.log()) == 1
    assert store.position().next_seq == 77


def test_a_failed_writing_leaves_nothing(store: Store) -> None:
    """An error inside a writing block undoes it and reaches the caller unchanged."""
    twice = "INSERT INTO checkpoints SELECT 3, 1, 1, hash FROM events UNION ALL SELECT 3, 2, 2, hash FROM events"
    store.append(entries(Position(), 1)[0])
    with pytest.raises(IntegrityError), store.writing() as connection:
        connection.execute(text(twice))
    assert store.position(3) == Position()


def test_append_and_read_models_write_side_by_side(store: Store) -> None:
    """Appends and other writers in other threads all get their turn, and nothing is lost."""
    with store.writing(durable=True) as connection:
        connection.execute(text("CREATE TABLE counter (n INTEGER)"))
        connection.execute(text("INSERT INTO counter VALUES (0)"))

    def count() -> None:
        for _ in range(40):
            with store.writing() as connection:
                connection.execute(text("UPDATE counter SET n = n + 1"))

    threads = [threading.Thread(target=count) for _ in range(3)]
    for thread in threads:
        thread.start()
    at = Position()
    batches = []
    for _ in range(40):
        made, at = entries(at, 1)
        batches.append(made)
    appending = threading.Thread(target=lambda: [store.append(batch) for batch in batches])
    appending.start()
    for thread in (*threads, appending):
        thread.join()
    with store.engine.connect() as connection:
        assert connection.execute(text("SELECT n FROM counter")).scalar_one() == 120
    assert store.position() == at


def test_processes_may_start_at_once(url: str) -> None:
    """Several processes that open a new database at the same moment all get a working store."""
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        assert pool.map(_open_and_read, [url] * 8, chunksize=1) == [0] * 8


def _open_and_read(url: str) -> int:
    store = Store.open(url)
    offset = store.position().next_offset
    store.close()
    return offset


def test_reopening_goes_on_where_it_was(url: str) -> None:
    """A store that is closed and opened again has the same position, records and events."""
    made, end = entries(Position(), 1, 2)
    with_rows = Store.open(url)
    with_rows.append(made)
    with_rows.close()
    with_rows.close()
    again = Store.open(url)
    assert again.position() == end
    assert len(again.log()) == 3
    again.append(entries(end, 1)[0])
    again.close()


def test_read_only_writes_nothing(store: Store, url: str) -> None:
    """A store opened for reading reads, and neither it nor its database connection writes."""
    store.append(entries(Position(), 1)[0])
    reader = Store.open(url, read_only=True)
    assert len(reader.log()) == 1
    with pytest.raises(ConfigError, match="read-only"):
        reader.append(entries(reader.position(), 1)[0])
    with reader.engine.connect() as connection, pytest.raises(DBAPIError):
        connection.execute(text("UPDATE checkpoints SET next_seq = 5"))
    reader.close()


def test_durability_is_asked_for(store: Store) -> None:
    """The append's connection waits for the disk; read models do not."""
    store.append(entries(Position(), 1)[0])
    appending = store._appender._writer()
    sqlite = store.engine.dialect.name == "sqlite"
    question = "PRAGMA synchronous" if sqlite else "SHOW synchronous_commit"
    with appending.begin():
        assert str(appending.execute(text(question)).scalar_one()) == ("2" if sqlite else "on")
    with store.writing() as connection:
        assert str(connection.execute(text(question)).scalar_one()) == ("1" if sqlite else "off")
    with store.writing(durable=True) as connection:
        assert str(connection.execute(text(question)).scalar_one()) == ("2" if sqlite else "on")
