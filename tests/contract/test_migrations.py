"""Databases of other versions, on SQLite and PostgreSQL: an old one is brought up to date, a newer one is refused."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine, inspect, text

from engine.store import Store, verify_log
from engine.store.database import database_url
from engine.store.migrations import CURRENT, STEPS, schema_version
from engine.store.rows import event_row, journal_row
from engine.store.store import Position
from schemas.errors import ConfigError, StoreUnavailable
from tests.batches import entries

SCHEMAS = Path(__file__).resolve().parents[1] / "samples" / "schemas"


def made_by_version_1(url: str) -> None:
    """A database as the first Tocsin made and filled it, by its own statements and not by today's program."""
    made, end = entries(Position(), 2, 1)
    journal = [journal_row(0, entry.offset, entry.record) for entry in made]
    events = [event_row(logged) for entry in made for logged in entry.events]
    checkpoint = [(0, end.next_offset, end.next_seq, end.head)]
    if url.startswith("postgresql"):
        with psycopg.connect(url) as server:
            server.execute((SCHEMAS / "v1.postgresql.sql").read_text("utf-8").encode())
            for table, rows in (("journal", journal), ("events", events), ("checkpoints", checkpoint)):
                for row in rows:
                    server.execute(f"INSERT INTO {table} VALUES ({', '.join(['%s'] * len(row))})".encode(), row)
    else:
        file = Path(database_url(url).database or "")
        file.parent.mkdir(parents=True)
        with sqlite3.connect(file) as database:
            database.executescript((SCHEMAS / "v1.sqlite.sql").read_text("utf-8"))
            for table, rows in (("journal", journal), ("events", events), ("checkpoints", checkpoint)):
                for row in rows:
                    database.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
        database.close()


def shape(url: str) -> dict[str, Any]:
    """Every table's columns and keys, and every trigger, as the database itself tells them."""
    engine = create_engine(database_url(url))
    seen = inspect(engine)
    found: dict[str, Any] = {
        table: (
            [(c["name"], str(c["type"]), c["nullable"]) for c in seen.get_columns(table)],
            seen.get_pk_constraint(table)["constrained_columns"],
            sorted(tuple(unique["column_names"]) for unique in seen.get_unique_constraints(table)),
            sorted(str(index["name"]) for index in seen.get_indexes(table)),
        )
        for table in seen.get_table_names()
    }
    names = "SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger'"
    if engine.dialect.name == "postgresql":
        names = "SELECT tgname, tgrelid::regclass::text || tgtype::text FROM pg_trigger WHERE NOT tgisinternal"
    with engine.connect() as connection:
        found["triggers"] = sorted(tuple(row) for row in connection.execute(text(names)))
    engine.dispose()
    return found


def test_a_database_of_version_1_opens(url: str) -> None:
    """What the first Tocsin wrote is read, proven and continued by this one."""
    made_by_version_1(url)
    with pytest.raises(StoreUnavailable, match="schema version 1"):
        Store.open(url, read_only=True)
    store = Store.open(url)
    assert schema_version(store.engine) == CURRENT
    assert verify_log(store).events == 3
    store.append(entries(store.position(), 1)[0])
    store.close()
    again = Store.open(url, read_only=True)
    assert (verify_log(again).events, len(list(again.journal()))) == (4, 3)
    again.close()


def test_a_migrated_database_is_like_a_new_one(url: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """All steps from version 1 on give the same tables and triggers as a fresh start."""
    made_by_version_1(url)
    Store.open(url).close()
    fresh = f"sqlite:///{tmp_path}/fresh.db"
    if url.startswith("postgresql"):
        fresh = request.getfixturevalue("postgres").new_database()
    Store.open(fresh).close()
    assert shape(url) == shape(fresh)


def test_a_newer_database_is_refused(url: str) -> None:
    """A database that a later Tocsin has changed is opened neither for writing nor for reading, with a clear reason."""
    store = Store.open(url)
    with store.writing() as connection:
        connection.execute(text(f"INSERT INTO schema_versions VALUES ({CURRENT + 1}, 0)"))
    store.close()
    for read_only in (False, True):
        with pytest.raises(ConfigError, match=f"schema version {CURRENT + 1}, this program knows up to {CURRENT}"):
            Store.open(url, read_only=read_only)


def test_a_step_that_fails_leaves_the_old_version(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All steps happen or none: after a failure the database is the old one, and the next start tries again."""

    def fails(_: object) -> None:
        raise StoreUnavailable("no room")

    made_by_version_1(url)
    before = shape(url)
    monkeypatch.setattr("engine.store.migrations.STEPS", (*STEPS[:1], fails))
    with pytest.raises(StoreUnavailable, match="no room"):
        Store.open(url)
    assert shape(url) == before
    monkeypatch.undo()
    Store.open(url).close()
