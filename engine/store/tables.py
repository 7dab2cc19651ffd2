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

CHAINS = Table(
    "chains",
    METADATA,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("from_seq", BigInteger, nullable=False),
    Column("head", LargeBinary, nullable=False),
    Column("algorithm", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("seal", LargeBinary, nullable=False),
)
"""With which algorithm links are made from `from_seq` on; without a row, with SHA-256 (see `engine.store.chains`)."""

SEGMENTS = Table(
    "segments",
    METADATA,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("first_offset", BigInteger, primary_key=True, autoincrement=False),
    Column("next_offset", BigInteger, nullable=False),
    Column("records", BigInteger, nullable=False),
    Column("first_ms", BigInteger, nullable=False),
    Column("last_ms", BigInteger, nullable=False),
    Column("file", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("head", LargeBinary, nullable=False),
)
"""The stretches of the journal that stand in the archive and no longer in `journal` (see `engine.store.archive`)."""

PRUNING = Table("pruning", METADATA, Column("partition", Integer, primary_key=True, autoincrement=False))
"""A row of it opens `journal` for removing what `segments` names. It lives within one transaction only."""

SCHEMA_VERSIONS = Table(
    "schema_versions",
    METADATA,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
)
"""The versions that these tables have had, and since when (see `engine.store.migrations`)."""


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


_ARCHIVED = """EXISTS (SELECT 1 FROM pruning JOIN segments ON segments.partition = pruning.partition
WHERE pruning.partition = OLD.partition AND segments.first_offset <= OLD."offset" AND OLD."offset" < next_offset)"""

KEEP_UNARCHIVED = {
    "sqlite": [
        f"CREATE TRIGGER journal_refuses_delete BEFORE delete ON journal WHEN NOT {_ARCHIVED}\n"
        "BEGIN SELECT RAISE(ABORT, 'journal is append-only'); END"
    ],
    "postgresql": [
        "CREATE OR REPLACE FUNCTION refuse_unarchived() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN\n"
        f"IF {_ARCHIVED} THEN RETURN OLD; END IF;\n"
        "RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ' is append-only'; END $$",
        "CREATE TRIGGER journal_refuses_delete BEFORE delete ON journal\n"
        "FOR EACH ROW EXECUTE FUNCTION refuse_unarchived()",
    ],
}
"""The trigger that lets rows of `journal` go only when they are archived, and only while they are being pruned."""


def refusals(table: str, dialect: str) -> list[str]:
    """The statements that let the database refuse to change rows of an append-only table."""
    if dialect == "sqlite":
        return [_SQLITE_REFUSAL.format(table=table, change=change) for change in ("update", "delete")]
    triggers = [_POSTGRESQL_REFUSAL.format(table=table, change=change) for change in ("update", "delete", "truncate")]
    return [_POSTGRESQL_FUNCTION, *triggers]


def _append_only(table: Table) -> None:
    for dialect in ("sqlite", "postgresql"):
        statements = refusals(table.name, dialect)
        if table is JOURNAL:
            statements = [each for each in statements if "_refuses_delete" not in each] + KEEP_UNARCHIVED[dialect]
        for statement in statements:
            ddl = DDL(statement)  # type: ignore[no-untyped-call]
            event.listen(table, "after_create", ddl.execute_if(dialect=dialect))


for _table in (JOURNAL, EVENTS, CHAINS, SEGMENTS):
    _append_only(_table)
