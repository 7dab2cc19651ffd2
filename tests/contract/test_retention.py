"""Retention on SQLite and PostgreSQL: old records leave for the archive, verified, and are read as before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from engine.core import CORE_VERSION
from engine.runtime.judge import Judge, replay
from engine.store import Store, retention, verify_log
from engine.store.archive import MANIFEST, all_segments, check_segment
from engine.store.retention import DAY_MS, archive_journal
from schemas import records as r
from schemas.errors import ConfigError, StoreUnavailable
from tests.scenario import NOON, PARSERS

DAYS = 400
"""The journal of these tests has one record a day."""


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """The folder of the archive; it does not exist yet."""
    return tmp_path / "archive"


@pytest.fixture
def store(url: str, archive: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store with a report a day for 400 days, each an incident of its own; segments have 100 records."""
    monkeypatch.setattr(retention, "SEGMENT_RECORDS", 100)
    opened = Store.open(url, archive=archive)
    judge = Judge(opened, PARSERS)
    report = b'{"type":"report_incident","title":"slow"}'
    records = [r.Commanded(NOON + day * DAY_MS, f"c{day}", "user:li", report) for day in range(DAYS)]
    opened.append([judge.judge(record)[0] for record in records])
    judge.committed()
    opened.save_snapshot(judge.snapshot())
    yield opened
    opened.close()


def archived(store: Store, folder: Path, *, days: int = 180, now_ms: int = NOON + DAYS * DAY_MS) -> list[str]:
    """Archive, and the names of the files that were made."""
    made = archive_journal(store, folder, older_than_days=days, now_ms=now_ms, core_version=CORE_VERSION)
    return [segment.file for segment in made]


def in_table(store: Store) -> list[int]:
    """The offsets that are in the database itself."""
    with store.engine.connect() as connection:
        return list(connection.execute(text('SELECT "offset" FROM journal ORDER BY 1')).scalars())


def test_old_records_move_and_are_read_as_before(store: Store, archive: Path) -> None:
    """What is older than the age leaves the table; the journal reads the same, from any place on."""
    before, log = list(store.journal()), store.log(limit=10_000)
    books = replay(store, PARSERS).books()
    assert archived(store, archive) == [
        "journal-0-000000000000-000000000100.zst",
        "journal-0-000000000100-000000000200.zst",
        "journal-0-000000000200-000000000219.zst",
    ]
    assert in_table(store) == list(range(219, DAYS))
    assert list(store.journal()) == before
    for start, stop in ((0, 50), (99, 101), (150, 300), (218, 220), (219, None), (300, 300), (399, 1000)):
        assert list(store.journal(start=start, stop=stop)) == before[start:stop]
    assert replay(store, PARSERS).books() == books
    assert store.log(limit=10_000) == log
    assert verify_log(store).fault is None


def test_the_age_has_a_floor(store: Store, archive: Path) -> None:
    """Fewer than 180 days are refused, and a clock that runs years ahead archives nothing early."""
    with pytest.raises(ConfigError, match="180 at least"):
        archived(store, archive, days=179)
    archived(store, archive, now_ms=NOON + 9_000 * DAY_MS)
    assert in_table(store)[0] == 219
    assert NOON + in_table(store)[0] * DAY_MS >= NOON + 399 * DAY_MS - 180 * DAY_MS


def test_the_manifest_describes_each_segment(store: Store, archive: Path) -> None:
    """Offsets, times, checksum and the head of the log stand beside the files, as they stand in the database."""
    names = archived(store, archive)
    lines = [json.loads(line) for line in (archive / MANIFEST).read_text().splitlines()]
    assert [line["file"] for line in lines] == names
    first = lines[0]
    assert (first["first_ms"], first["last_ms"], first["records"]) == (NOON, NOON + 99 * DAY_MS, 100)
    assert first["sha256"] == hashlib.sha256((archive / names[0]).read_bytes()).hexdigest()
    last = [event for event in store.log(limit=10_000) if event.offset < 100][-1]
    assert first["head"] == last.hash.hex()
    with store.engine.connect() as connection:
        assert [segment.sha256 for segment in all_segments(connection)] == [line["sha256"] for line in lines]


def test_a_start_needs_no_archive_but_a_replay_does(store: Store, archive: Path, url: str) -> None:
    """Without store.archive the server starts from its snapshot, and reading back the old records says what to set."""
    archived(store, archive)
    bare = Store.open(url)
    assert Judge(bare, PARSERS).core.snapshot() == Judge(store, PARSERS).core.snapshot()
    with pytest.raises(ConfigError, match=r"store\.archive: records 0 to 99 were archived"):
        list(bare.journal())
    bare.close()


def test_nothing_goes_that_no_snapshot_stands_behind(url: str, archive: Path) -> None:
    """Without a snapshot nothing is archived; with an early one, only what is before it."""
    store = Store.open(url, archive=archive)
    judge = Judge(store, PARSERS)
    ticks = [r.Tick(NOON + day * DAY_MS) for day in range(DAYS)]
    store.append([judge.judge(tick)[0] for tick in ticks[:30]])
    judge.committed()
    early = judge.snapshot()
    store.append([judge.judge(tick)[0] for tick in ticks[30:]])
    judge.committed()
    with pytest.raises(StoreUnavailable, match="no snapshot stands behind record 0"):
        archived(store, archive)
    store.save_snapshot(early)
    archived(store, archive)
    assert in_table(store)[0] == 30
    store.close()


@pytest.mark.parametrize("damage", ["alter", "remove"])
def test_a_damaged_segment_is_never_read_as_if_it_were_right(store: Store, archive: Path, damage: str) -> None:
    """A file that was altered or removed is named, by reading and by checking."""
    names = archived(store, archive)
    file = archive / names[1]
    if damage == "alter":
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    else:
        file.unlink()
    with pytest.raises(StoreUnavailable, match=names[1]):
        list(store.journal())
    with store.engine.connect() as connection, pytest.raises(StoreUnavailable, match=names[1]):
        check_segment(archive, all_segments(connection)[1])
    assert len(list(store.journal(stop=100))) == 100


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM journal",
        'DELETE FROM journal WHERE "offset" = 219',
        "INSERT INTO pruning VALUES (0); DELETE FROM journal",
        "UPDATE segments SET next_offset = 400; INSERT INTO pruning VALUES (0); DELETE FROM journal",
        "DELETE FROM segments",
    ],
)
def test_the_database_lets_go_of_archived_records_only(store: Store, archive: Path, statement: str) -> None:
    """After archiving as before, plain SQL removes no record that is not in a segment, and changes no segment."""
    archived(store, archive)
    *first, last = statement.split(";")
    # Both in one transaction, as an attacker would.
    with pytest.raises(DBAPIError, match="is append-only"), store.writing() as connection:  # noqa: PT012
        for each in first:
            connection.execute(text(each))
        connection.execute(text(last))
    assert in_table(store) == list(range(219, DAYS))


def test_what_cannot_be_read_back_is_not_pruned(store: Store, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk gives back something else than was written, every record stays in the database."""
    frames = [(0, b"\x82\xa4type\xa4tick\xa5at_ms\x01")]
    monkeypatch.setattr("engine.store.archive._frames", lambda _: iter(frames))
    with pytest.raises(StoreUnavailable, match="does not read back"):
        archived(store, archive)
    assert in_table(store) == list(range(DAYS))


def test_a_crash_between_file_and_prune_is_made_good(
    store: Store, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that was written but not recorded is written again; a segment is recorded together with the prune."""
    before = list(store.journal())

    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as crashing:
        crashing.setattr(store, "writing", crash)
        with pytest.raises(KeyboardInterrupt):
            archived(store, archive)
    assert len(list(archive.glob("*.zst"))) == 1
    assert in_table(store) == list(range(DAYS))
    assert len(archived(store, archive)) == 3
    assert list(store.journal()) == before


def test_a_running_writer_goes_on(store: Store, archive: Path, url: str) -> None:
    """Another process archives, this one appends on, and the next archiving finds what is left."""
    judge = Judge(store, PARSERS)
    other = Store.open(url, archive=archive)
    archived(other, archive)
    store.append([judge.judge(r.Tick(NOON + (DAYS + 1) * DAY_MS))[0]])
    assert archived(other, archive, now_ms=NOON + 401 * DAY_MS) == ["journal-0-000000000219-000000000221.zst"]
    assert len(list(store.journal())) == DAYS + 1
    other.close()
