"""Backups and drills on SQLite and PostgreSQL: taken while others write, proven, restored, and timed."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import inspect, make_url, text

from engine.chain import Position
from engine.runtime.drill import NAME, run_drill
from engine.runtime.judge import Judge
from engine.store import Keyring, Store, verify_log
from engine.store.backup import back_up, find_backup, prove, restore
from engine.store.database import database_url
from schemas import records as r
from schemas.errors import ConfigError, StoreUnavailable
from sources import PARSERS
from tests.batches import entries, tamper
from tests.scenario import NOON
from tests.servers.postgres import Postgres

MINUTE_MS = 60_000


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """A store with five events."""
    opened = Store.open(url)
    opened.append(entries(Position(), 2, 0, 3)[0])
    yield opened
    opened.close()


@pytest.fixture
def elsewhere(url: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """The address of a second empty database of the same kind."""
    if url.startswith("sqlite"):
        return f"sqlite:///{tmp_path}/another place/tocsin.db"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database()


def restored(place: Path, to: str) -> Store:
    """The store after a restore, proven."""
    backup = restore(place, database_url(to))
    store = Store.open(to)
    prove(store, backup)
    return store


def test_a_backup_gives_back_what_was_there(store: Store, tmp_path: Path, elsewhere: str) -> None:
    """Journal, log, position and accounts' tables are the same after a restore, and the restored store goes on."""
    with store.writing(durable=True) as connection:
        connection.execute(text("CREATE TABLE accounts (name TEXT)"))
        connection.execute(text("INSERT INTO accounts VALUES ('li')"))
    made = back_up(store, tmp_path / "backups", NOON)
    assert (made.next_offset, made.next_seq, made.head) == (3, 5, store.position().head.hex())
    again = restored(tmp_path / "backups", elsewhere)
    assert list(again.journal()) == list(store.journal())
    assert again.log() == store.log()
    with again.engine.connect() as connection:
        assert connection.execute(text("SELECT name FROM accounts")).scalar_one() == "li"
    again.append(entries(again.position(), 1)[0])
    assert verify_log(again).events == 6
    with pytest.raises(Exception, match="append-only"), again.writing() as connection:
        connection.execute(text("DELETE FROM events"))
    again.close()


def test_backups_while_others_write_are_of_one_moment(store: Store, tmp_path: Path) -> None:
    """Every backup that is taken in the middle of appends holds in itself, and the appends go on."""
    stop = threading.Event()

    def write() -> None:
        at = store.position()
        while not stop.is_set():
            made, at = entries(at, 1, 1)
            store.append(made)

    writing = threading.Thread(target=write)
    writing.start()
    try:
        made = [back_up(store, tmp_path, NOON + number) for number in range(4)]
    finally:
        stop.set()
        writing.join()
    assert [one.next_seq for one in made] == sorted(one.next_seq for one in made)
    assert made[-1].next_seq < store.position().next_seq
    assert find_backup(tmp_path)[1] == made[-1]


def test_nothing_is_overwritten(store: Store, tmp_path: Path, url: str, elsewhere: str) -> None:
    """A restore onto a database with something in it is refused, and changes nothing there."""
    back_up(store, tmp_path / "backups", NOON)
    with pytest.raises(ConfigError, match="nothing is overwritten"):
        restore(tmp_path / "backups", database_url(url))
    restored(tmp_path / "backups", elsewhere).close()
    with pytest.raises(ConfigError, match="nothing is overwritten"):
        restore(tmp_path / "backups", database_url(elsewhere))
    assert len(store.log()) == 5


def test_only_an_unaltered_backup_is_restored(store: Store, tmp_path: Path, elsewhere: str) -> None:
    """A backup with a changed byte, without its description, or of another kind is refused, and nothing is made."""
    made = back_up(store, tmp_path, NOON)
    file = tmp_path / made.file
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(StoreUnavailable, match="checksum differs"):
        restore(file, database_url(elsewhere))
    other = "postgresql://127.0.0.1/x" if made.kind == "sqlite" else f"sqlite:///{tmp_path}/x.db"
    with pytest.raises(ConfigError, match=f"is a backup of {made.kind}"):
        restore(file, database_url(other))
    file.with_suffix(".json").unlink()
    with pytest.raises(ConfigError, match="no backup"):
        restore(file, database_url(elsewhere))
    with pytest.raises(ConfigError, match="no backup in this folder"):
        restore(tmp_path, database_url(elsewhere))
    assert not list(tmp_path.glob("*.unfinished"))


def test_a_forged_log_is_found_at_the_latest_by_the_proof(store: Store, tmp_path: Path, elsewhere: str) -> None:
    """A database whose log does not hold is not backed up as good (SQLite) or not restored as good (PostgreSQL)."""
    tamper(store, "events", "update", "UPDATE events SET actor = 'user:other' WHERE seq = 2")
    told = r"log does not hold: event 2 .* was altered"
    if store.engine.dialect.name == "sqlite":
        with pytest.raises(StoreUnavailable, match=told):
            back_up(store, tmp_path, NOON)
        assert not list(tmp_path.glob("tocsin-*"))
        return
    back_up(store, tmp_path, NOON)
    with pytest.raises(StoreUnavailable, match=told):
        restored(tmp_path, elsewhere)


def test_other_users_of_the_machine_cannot_read_a_backup(store: Store, tmp_path: Path) -> None:
    """The copy holds accounts: only its owner reads it."""
    made = back_up(store, tmp_path, NOON)
    assert (tmp_path / made.file).stat().st_mode & 0o077 == 0
    assert json.loads((tmp_path / made.file).with_suffix(".json").read_text())["file"] == made.file


def test_without_the_servers_programs_the_error_says_so(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine without pg_dump, PostgreSQL's backup names what to install; SQLite needs nothing."""
    monkeypatch.setattr(shutil, "which", lambda _: None)
    if store.engine.dialect.name == "sqlite":
        assert back_up(store, tmp_path, NOON).next_seq == 5
        return
    with pytest.raises(StoreUnavailable, match="pg_dump is not installed here"):
        back_up(store, tmp_path, NOON)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def judged(url: str) -> Iterator[Store]:
    """A store with three judged reports, a minute apart, and an HMAC-SM3 chain."""
    opened = Store.open(url, keys=Keyring("hmac-sm3", b"a key of the auditor"))
    judge = Judge(opened, PARSERS)
    report = b'{"type":"report_incident","title":"slow"}'
    records = [r.Commanded(NOON + n * MINUTE_MS, f"c{n}", "user:li", report) for n in range(3)]
    opened.append([judge.judge(record)[0] for record in records])
    judge.committed()
    yield opened
    opened.close()


def test_a_drill_measures_and_leaves_nothing_behind(judged: Store, tmp_path: Path) -> None:
    """The newest backup is restored, proven, decided again and takes an alert; the live database is as before."""
    back_up(judged, tmp_path, NOON)
    newest = back_up(judged, tmp_path, NOON + 3 * MINUTE_MS)
    before = judged.position()
    drill = run_drill(tmp_path, judged, PARSERS, now_ms=NOON + 9 * MINUTE_MS, decide_again=True)
    assert drill.problem == ""
    assert (drill.backup, drill.events, drill.decided_again) == (newest.file, newest.next_seq, True)
    assert 0 < drill.rto_ms < 120_000
    assert drill.rpo_ms == 0
    assert judged.position() == before
    if judged.engine.dialect.name == "postgresql":
        with judged.engine.connect() as connection:
            names = connection.execute(text("SELECT datname FROM pg_database")).scalars().all()
        assert not [name for name in names if name.startswith(NAME)]
        assert not [table for table in inspect(judged.engine).get_table_names() if "drill" in table]


def test_the_rpo_is_the_age_of_the_oldest_record_that_would_be_lost(judged: Store, tmp_path: Path) -> None:
    """A record that came after the backup counts from its arrival, however many came after it."""
    back_up(judged, tmp_path, NOON + 3 * MINUTE_MS)
    judge = Judge(judged, PARSERS)
    judged.append([judge.judge(r.Tick(NOON + minute * MINUTE_MS))[0] for minute in (4, 5)])
    drill = run_drill(tmp_path, judged, PARSERS, now_ms=NOON + 10 * MINUTE_MS)
    assert drill.rpo_ms == 6 * MINUTE_MS
    assert not drill.decided_again


def test_a_drill_that_fails_says_why(judged: Store, tmp_path: Path) -> None:
    """A backup that cannot be restored gives a result with the problem, and leaves nothing behind."""
    made = back_up(judged, tmp_path, NOON)
    (tmp_path / made.file).write_bytes(b"rust")
    drill = run_drill(tmp_path, judged, PARSERS, now_ms=NOON)
    assert "checksum differs" in drill.problem
    assert not drill.decided_again
    assert make_url(str(judged.engine.url)).database is not None
