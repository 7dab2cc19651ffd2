"""Who may write a partition: whoever raised its epoch last. A commit with an older epoch changes nothing."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, Engine

from engine.store.database import LOCK_KEY, outages_named
from schemas.errors import ConcurrencyConflict, ConfigError

_CLAIM = """
INSERT INTO cluster_claims AS held (partition, epoch, worker, since_ms) VALUES (%s, 1, %s, %s)
ON CONFLICT (partition) DO UPDATE SET epoch = held.epoch + 1, worker = excluded.worker, since_ms = excluded.since_ms
RETURNING epoch
"""
_BEGIN_CURSOR = """
INSERT INTO cluster_cursors (partition, topic_id, next_topic_offset) VALUES (%s, %s, 0) ON CONFLICT DO NOTHING
"""
_CURSOR = "SELECT topic_id, next_topic_offset FROM cluster_cursors WHERE partition = %s"
# FOR SHARE: waits for a takeover under way, and then sees its epoch; two writers of the same epoch do not wait.
_MOVE = """
WITH mine AS (SELECT partition FROM cluster_claims WHERE partition = %s AND epoch = %s FOR SHARE)
UPDATE cluster_cursors SET next_topic_offset = %s FROM mine
WHERE cluster_cursors.partition = mine.partition AND next_topic_offset = %s AND topic_id = %s
"""
_STILL_MINE = "SELECT 1 FROM cluster_claims WHERE partition = %s AND epoch = %s FOR SHARE"
_SPAN = """
INSERT INTO cluster_spans (partition, first_offset, topic_id, first_topic_offset) VALUES (%s, %s, %s, %s)
"""
_REFUSE = 'INSERT INTO cluster_refused (partition, "offset", at_ms, code, reason) VALUES (%s, %s, %s, %s, %s)'


class Fenced(ConcurrencyConflict):
    """Another worker has taken the partition over: stop, and write nothing more."""


class Move(msgspec.Struct, frozen=True):
    """A step of a cursor: what a batch does beside journal and log.

    `spans` are the offsets of the journal at which records did not follow each other in the topic, each with the
    record's place there; `refused` the rejected commands: offset, time, code, reason.
    """

    before: int
    after: int
    spans: Sequence[tuple[int, int]] = ()
    refused: Sequence[tuple[int, int, str, str]] = ()


class Claim(msgspec.Struct, frozen=True):
    """The right to write one partition while nobody else claims it, and where its records go on in the topic."""

    partition: int
    epoch: int
    topic_id: str
    next_topic_offset: int

    def move(self, connection: Connection, step: Move) -> None:
        """Move the cursor within the caller's transaction; raises Fenced where another worker holds the partition."""
        moved = connection.exec_driver_sql(
            _MOVE, (self.partition, self.epoch, step.after, step.before, self.topic_id)
        ).rowcount
        if moved != 1:
            raise Fenced(f"another worker has taken over partition {self.partition} (epoch {self.epoch} is over)")
        for offset, topic_offset in step.spans:
            connection.exec_driver_sql(_SPAN, (self.partition, offset, self.topic_id, topic_offset))
        for offset, at_ms, code, reason in step.refused:
            connection.exec_driver_sql(_REFUSE, (self.partition, offset, at_ms, code, reason))

    def check(self, connection: Connection) -> None:
        """Hold the partition against a takeover until the caller's transaction ends; raises Fenced."""
        if connection.exec_driver_sql(_STILL_MINE, (self.partition, self.epoch)).scalar() is None:
            raise Fenced(f"another worker has taken over partition {self.partition} (epoch {self.epoch} is over)")


def take_claim(engine: Engine, partition: int, worker: str, topic_id: str, at_ms: int) -> Claim:
    """Take a partition over. Waits for a commit that is under way there, and lets no later one through.

    Raises ConfigError where the journal has come from another topic of the same name.
    """
    with outages_named(f"take over partition {partition}"), engine.connect() as connection, connection.begin():
        epoch: int = connection.exec_driver_sql(_CLAIM, (partition, worker, at_ms)).scalar_one()
        connection.exec_driver_sql(_BEGIN_CURSOR, (partition, topic_id))
        known_id, place = connection.exec_driver_sql(_CURSOR, (partition,)).one()
        if known_id != topic_id:
            raise ConfigError(
                f"the database has read another topic of this name (id {known_id}, now {topic_id}): it was made"
                " anew, or this is another cluster. If the old one's records are gone: `tocsin cluster init --adopt`",
                key="cluster.topic",
            )
        return Claim(partition, epoch, topic_id, place)


def begin_cursor(engine: Engine, partition: int, topic_id: str) -> None:
    """Let a partition be read from the beginning of the topic with this id."""
    with outages_named("set the place in the topic"), engine.connect() as connection, connection.begin():
        connection.exec_driver_sql(_BEGIN_CURSOR, (partition, topic_id))


def adopt_topic(engine: Engine, topic_id: str) -> None:
    """Read on from the beginning of another topic; the workers must be stopped."""
    with outages_named("adopt the topic"), engine.connect() as connection, connection.begin():
        connection.exec_driver_sql("UPDATE cluster_claims SET epoch = epoch + 1")
        connection.exec_driver_sql("UPDATE cluster_cursors SET topic_id = %s, next_topic_offset = 0", (topic_id,))


def lock_out_single_servers(connection: Connection) -> None:
    """For the life of this session, let no embedded `tocsin serve` write here; raises ConcurrencyConflict."""
    if not connection.exec_driver_sql("SELECT pg_try_advisory_lock_shared(%s)", (LOCK_KEY,)).scalar_one():
        raise ConcurrencyConflict("a `tocsin serve` without a cluster section writes to this database; stop it first")
