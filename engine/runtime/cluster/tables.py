"""The cluster's own tables beside journal and log, in PostgreSQL."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Engine, Index, Integer, LargeBinary, MetaData, Table, Text, text

METADATA = MetaData()

CLAIMS = Table(
    "cluster_claims",
    METADATA,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
    Column("worker", Text, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
)
"""Who may write a partition. Whoever takes one over raises its epoch; a commit with an older epoch is refused."""

CURSORS = Table(
    "cluster_cursors",
    METADATA,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("topic_id", Text, nullable=False),
    Column("next_topic_offset", BigInteger, nullable=False),
)
"""Where each partition goes on in the topic; moved in the same transaction as journal, log and checkpoint."""

SPANS = Table(
    "cluster_spans",
    METADATA,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("first_offset", BigInteger, primary_key=True, autoincrement=False),
    Column("topic_id", Text, nullable=False),
    Column("first_topic_offset", BigInteger, nullable=False),
)
"""From which place of the topic the records from `first_offset` on came, one after the other, up to the next span.

The journal has no gaps; a topic may have some (retention, another topic after a restore). One row for each."""

REFUSED = Table(
    "cluster_refused",
    METADATA,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("offset", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("code", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Index("cluster_refused_by_time", "at_ms"),
)
"""Commands that were rejected: they cause no event, and whoever asked may wait in another process. Kept an hour."""

MEMBERS = Table(
    "cluster_members",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("core_version", Integer, nullable=False),
    Column("rules_digest", Text, nullable=False),
    Column("clock_ahead_ms", BigInteger, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
)
"""The processes of the cluster; each renews its row. Times are the database's; `clock_ahead_ms` is the member's less
the database's."""

RULES = Table(
    "cluster_rules",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)
"""The rules that the cluster decides by, the newest last, so that an older process cannot put older ones back."""


def create_cluster_tables(engine: Engine) -> None:
    """Make the tables that are not there yet. Several processes may do so at once."""
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('tocsin cluster tables'))"))
        METADATA.create_all(connection)
