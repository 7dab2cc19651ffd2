"""The store's tables. Journal and log are append-only, and the database itself refuses to change or delete a row."""

from __future__ import annotations

from sqlalchemy import (
    DDL,
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    event,
)  # fmt: skip

METADATA = MetaData()

JOURNAL = Table(
    "journal",
    METADATA,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("offset", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
"""What arrived, one row a record; `body` is a packed record (see `engine.store.rows`)."""

EVENTS = Table(
    "events",
    METADATA,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("offset", BigInteger, nullable=False),
    Column("idx", Integer, nullable=False),
    Column("version", SmallInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    UniqueConstraint("partition", "offset", "idx", name="events_identity"),
    Index("events_by_subject", "subject", "partition", "seq"),
)
"""What was decided, one row an event; `data` is its canonical JSON, byte for byte what was hashed."""

CHECKPOINTS = Table(
    "checkpoints",
    METADATA,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("next_offset", BigInteger, nullable=False),
    Column("next_seq", BigInteger, nullable=False),
    Column("head", LargeBinary, nullable=False),
)
"""Where each partition goes on; moved in the same transaction as the rows before it."""

SNAPSHOTS = Table(
    "snapshots",
    METADATA,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("next_offset", BigInteger, primary_key=True, autoincrement=False),
    Column("core_version", Integer, primary_key=True, autoincrement=False),
    Column("next_seq", BigInteger, nullable=False),
    Column("head", LargeBinary, nullable=False),
    Column("state", LargeBinary, nullable=False),
)
"""The core's state after a position; only a shortcut, replay gives the same."""


_SQLITE_REFUSAL = """
CREATE TRIGGER {table}_refuses_{change} BEFORE {change} ON {table}
BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END
"""
_POSTGRESQL_FUNCTION = """
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ' is append-only'; END $$
"""
_POSTGRESQL_REFUSAL = """
CREATE TRIGGER {table}_refuses_{change} BEFORE {change} ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
"""


def _append_only(table: Table) -> None:
    statements = [("sqlite", _SQLITE_REFUSAL, change) for change in ("update", "delete")]
    statements.append(("postgresql", _POSTGRESQL_FUNCTION, ""))
    statements += [("postgresql", _POSTGRESQL_REFUSAL, change) for change in ("update", "delete", "truncate")]
    for dialect, text, change in statements:
        ddl = DDL(text.format(table=table.name, change=change))  # type: ignore[no-untyped-call]
        event.listen(table, "after_create", ddl.execute_if(dialect=dialect))


_append_only(JOURNAL)
_append_only(EVENTS)
