"""The versions of the store's own tables: an older database is brought up to date, a newer one is refused.

A step is plain SQL that is never changed once it was released, whatever becomes of `engine.store.tables` later. All
steps that are due run in one transaction, under a lock, so that two programs that start at once run them once.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from sqlalchemy import Connection, Engine, func, insert, inspect, select, text

from engine.store.answering import patient
from engine.store.database import SCHEMA_LOCK_KEY, WRITES
from engine.store.tables import JOURNAL, KEEP_UNARCHIVED, METADATA, SCHEMA_VERSIONS, refusals
from schemas.errors import ConfigError, StoreUnavailable

Step = Callable[[Connection], None]

_BYTES = {"sqlite": "BLOB", "postgresql": "BYTEA"}


def _run(connection: Connection, *statements: str) -> None:
    for statement in statements:
        connection.exec_driver_sql(statement.replace("BYTES", _BYTES[connection.dialect.name]))


def _record_chains_and_versions(connection: Connection) -> None:
    _run(
        connection,
        "CREATE TABLE schema_versions (version INTEGER NOT NULL, at_ms BIGINT NOT NULL, PRIMARY KEY (version))",
        "CREATE TABLE chains (partition INTEGER NOT NULL, number INTEGER NOT NULL, from_seq BIGINT NOT NULL,"
        " head BYTES NOT NULL, algorithm TEXT NOT NULL, key_id TEXT NOT NULL, seal BYTES NOT NULL,"
        " PRIMARY KEY (partition, number))",
        *refusals("chains", connection.dialect.name),
    )


def _archive_the_journal(connection: Connection) -> None:
    on_journal = " ON journal" if connection.dialect.name == "postgresql" else ""
    _run(
        connection,
        "CREATE TABLE segments (partition INTEGER NOT NULL, first_offset BIGINT NOT NULL, next_offset BIGINT NOT NULL,"
        " records BIGINT NOT NULL, first_ms BIGINT NOT NULL, last_ms BIGINT NOT NULL, file TEXT NOT NULL,"
        " size BIGINT NOT NULL, sha256 TEXT NOT NULL, head BYTES NOT NULL, PRIMARY KEY (partition, first_offset))",
        *refusals("segments", connection.dialect.name),
        "CREATE TABLE pruning (partition INTEGER NOT NULL, PRIMARY KEY (partition))",
        f"DROP TRIGGER journal_refuses_delete{on_journal}",
        *KEEP_UNARCHIVED[connection.dialect.name],
    )


STEPS: tuple[Step, ...] = (_record_chains_and_versions, _archive_the_journal)
"""`STEPS[n]` makes version n + 2 out of version n + 1. Version 1 is what there was before versions were recorded."""

CURRENT = len(STEPS) + 1
"""The schema version that this program works with."""


def schema_version(engine: Engine) -> int | None:
    """The version of a database's tables, None where there are none yet."""
    with engine.connect() as connection:
        return _version(connection)


def migrate(engine: Engine) -> None:
    """Make the tables, or bring them up to date. Raises ConfigError where a newer program has made them."""
    found = schema_version(engine)
    if found == CURRENT:
        return  # without taking the write lock from a running writer
    with engine.connect().execution_options(**{WRITES: True}) as connection, patient(connection), connection.begin():
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": SCHEMA_LOCK_KEY})
        found = _version(connection)
        if found is None:
            METADATA.create_all(connection)
        else:
            _refuse_newer(found)
            for step in STEPS[found - 1 :]:
                step(connection)
        if found != CURRENT:
            row = {"version": CURRENT, "at_ms": time.time_ns() // 1_000_000}
            connection.execute(insert(SCHEMA_VERSIONS), row)


def check_schema(engine: Engine) -> None:
    """Raises StoreUnavailable where tables are missing or too old for reading, ConfigError where they are too new."""
    found = schema_version(engine)
    if found is None:
        raise StoreUnavailable(f"no journal and log here yet: {engine.url!r} has none of their tables")
    _refuse_newer(found)
    if found < CURRENT:
        raise StoreUnavailable(
            f"the database has schema version {found}, this program reads {CURRENT}:"
            " `tocsin serve` brings it up to date"
        )


def _refuse_newer(found: int) -> None:
    if found > CURRENT:
        raise ConfigError(
            f"the database has schema version {found}, this program knows up to {CURRENT}: a newer Tocsin has written"
            " it; update this one",
            key="store.url",
        )


def _version(connection: Connection) -> int | None:
    tables = set(inspect(connection).get_table_names())
    if SCHEMA_VERSIONS.name not in tables:
        return 1 if JOURNAL.name in tables else None
    newest: int | None = connection.execute(select(func.max(SCHEMA_VERSIONS.c.version))).scalar_one()
    return newest
