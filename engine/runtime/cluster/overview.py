"""The cluster at a glance: its processes, its partitions with holders and lag, and the scopes that make most work."""

from __future__ import annotations

import msgspec
from sqlalchemy import Engine, func, select

from engine.runtime.cluster.board import Shown
from engine.runtime.cluster.members import GONE_MS, members
from engine.runtime.cluster.tables import CLAIMS, CURSORS
from engine.runtime.cluster.topic import ends_of, read_topic
from engine.store.database import outages_named
from engine.store.tables import CHECKPOINTS, EVENTS
from schemas.clusters import Cluster

HOT_MS = 3_600_000
HOT_SCOPES = 10


class MemberState(msgspec.Struct, frozen=True):
    """One process. `gone` where it was not seen lately; `clock_ahead_ms` is against the database's clock."""

    name: str
    kind: str
    version: str
    core_version: int
    rules_digest: str
    clock_ahead_ms: int
    seen_ago_ms: int
    gone: bool


class PartitionState(msgspec.Struct, frozen=True):
    """One partition. `end` and `first` are the topic's; `lag` counts records that are not decided."""

    partition: int
    worker: str
    epoch: int
    next_topic_offset: int
    first: int
    end: int
    lag: int
    events_not_shown: int


class HotScope(msgspec.Struct, frozen=True):
    """A scope with the events that it made in the last hour, and their share of all."""

    scope: str
    partition: int
    events: int
    share: float


class ClusterState(msgspec.Struct, frozen=True):
    """All of it."""

    topic: str
    topic_id: str
    lag: int
    members: tuple[MemberState, ...]
    partitions: tuple[PartitionState, ...]
    hot_scopes: tuple[HotScope, ...]


def overview(engine: Engine, cluster: Cluster, shown: Shown) -> ClusterState:
    """The cluster now. Raises StoreUnavailable and ConfigError."""
    topic = read_topic(cluster)
    ends = ends_of(cluster)
    found, now_ms = members(engine)
    with outages_named("read the partitions"), engine.connect() as connection:
        claims = {row.partition: row for row in connection.execute(select(CLAIMS))}
        cursors = {row.partition: row.next_topic_offset for row in connection.execute(select(CURSORS))}
        heads = {row.partition: row.next_seq for row in connection.execute(select(CHECKPOINTS))}
        read = shown()
        by_scope = select(EVENTS.c.scope, EVENTS.c.partition, func.count().label("events"))
        by_scope = by_scope.where(EVENTS.c.at_ms > now_ms - HOT_MS).group_by(EVENTS.c.scope, EVENTS.c.partition)
        hot = connection.execute(by_scope.order_by(func.count().desc())).all()
    total = sum(row.events for row in hot)
    partitions = []
    for number, (first, end) in sorted(ends.items()):
        claim, place = claims.get(number), cursors.get(number, 0)
        partitions.append(
            PartitionState(
                number, claim.worker if claim else "nobody", claim.epoch if claim else 0, place, first, end,
                max(end - place, 0), max(heads.get(number, 0) - 1 - read.get(number, -1), 0),
            )
        )  # fmt: skip
    return ClusterState(
        cluster.topic,
        topic.id,
        sum(one.lag for one in partitions),
        tuple(
            MemberState(
                one.name, one.kind, one.version, one.core_version, one.rules_digest, one.clock_ahead_ms,
                now_ms - one.seen_ms, now_ms - one.seen_ms > GONE_MS,
            )
            for one in found
        ),
        tuple(partitions),
        tuple(HotScope(row.scope, row.partition, row.events, row.events / total) for row in hot[:HOT_SCOPES]),
    )  # fmt: skip
