"""The administration of a cluster: its topic and tables, its rules, its state, and another number of partitions."""

from __future__ import annotations

from sqlalchemy import select

from engine.bootstrap import open_store
from engine.bootstrap_cluster import cluster_of, prepare, shown_in, topic_of
from engine.runtime.cluster.claims import adopt_topic
from engine.runtime.cluster.members import register_rules
from engine.runtime.cluster.overview import ClusterState, PartitionState, overview
from engine.runtime.cluster.rekey import Rekeyed, Rekeying
from engine.runtime.cluster.routing import Cutter
from engine.runtime.cluster.topic import correct_settings, faults_of, make_topic, read_topic
from engine.store import Store
from schemas.config import Settings
from schemas.errors import ConfigError
from sources import PARSERS
from web.account_tables import metadata as ACCOUNT_TABLES

__all__ = ["ClusterState", "PartitionState", "initialise", "insist_on_rules", "rekey", "state_of", "topic_faults"]


def initialise(settings: Settings, *, correct: bool = False, adopt: bool = False) -> tuple[bool, list[str]]:
    """Make topic and tables; whether the topic was made, and what is wrong with it. See `tocsin cluster init`."""
    cluster = cluster_of(settings)
    made = make_topic(cluster)
    if correct and not made:
        correct_settings(cluster)
    topic = read_topic(cluster)
    store = prepare(settings)
    try:
        if adopt:
            adopt_topic(store.engine, topic.id)
        register_rules(store.engine, settings.rules)
    finally:
        store.close()
    return made, faults_of(topic, cluster)


def insist_on_rules(settings: Settings) -> tuple[int, str]:
    """Put these rules in force; their number in the cluster, and their digest."""
    cluster_of(settings)
    store = prepare(settings)
    try:
        rules = register_rules(store.engine, settings.rules, insist=True)
    finally:
        store.close()
    return rules.number, rules.digest


def state_of(settings: Settings) -> ClusterState:
    """The cluster at a glance. Raises StoreUnavailable and ConfigError."""
    cluster = cluster_of(settings)
    store = open_store(settings, read_only=True)
    try:
        return overview(store.engine, cluster, lambda: shown_in(store.engine))
    finally:
        store.close()


def topic_faults(settings: Settings) -> list[str]:
    """What is wrong with the topic. Raises ConfigError where there is none, StoreUnavailable where nobody answers."""
    cluster = cluster_of(settings)
    return faults_of(read_topic(cluster), cluster)


def rekey(settings: Settings, old: Settings) -> Rekeyed:
    """Decide the past of another installation again over this cluster's partitions; see `tocsin cluster rekey`.

    Raises ConcurrencyConflict where something still writes the old one, ConfigError where this one is not empty.
    """
    cluster = cluster_of(settings)
    make_topic(cluster)
    topic = topic_of(cluster)
    source = open_store(old)
    target = prepare(settings)
    try:
        source.lock_writer()
        if old.cluster is not None and (lag := state_of(old).lag):
            raise ConfigError(f"{lag} records of the old topic are not decided yet: let its workers finish first")
        register_rules(target.engine, settings.rules)
        cutter = Cutter(PARSERS, settings.rules.grouping)
        done = Rekeying(source, target, PARSERS, cutter, cluster.partitions).run(topic.id)
        _copy_accounts(source, target)
    finally:
        target.close()
        source.close()
    return done


def _copy_accounts(source: Store, target: Store) -> None:
    """Users, their tokens and sessions."""
    with source.engine.connect() as reading, target.engine.connect() as writing, writing.begin():
        for table in ACCOUNT_TABLES.sorted_tables:
            rows = [dict(row) for row in reading.execute(select(table)).mappings()]
            if rows:
                writing.execute(table.insert(), rows)
