"""Who may write a partition, and which rules are in force: the rows that a cluster's processes agree on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine.core import Core
from engine.runtime.cluster.claims import Claim, Fenced, Move, adopt_topic, lock_out_single_servers, take_claim
from engine.runtime.cluster.members import beat, leave, members, newest_rules, register_rules
from engine.runtime.cluster.outcomes import journal_offset, read_outcome
from engine.runtime.cluster.sender import Place, from_message, to_message
from engine.runtime.cluster.tables import create_cluster_tables
from engine.runtime.judge import Judge
from engine.store import Store
from schemas import records as r
from schemas.config import Grouping, Rules
from schemas.errors import CommandRejected, ConcurrencyConflict, ConfigError
from sources import PARSERS
from tests.servers.postgres import Postgres

T0 = 1_767_585_600_000
BODY = b'{"title": "bad", "service": "shop"}'


@pytest.fixture
def store(postgres: Postgres) -> Iterator[Store]:
    """An empty database with the cluster's tables."""
    store = Store.open(postgres.new_database())
    create_cluster_tables(store.engine)
    create_cluster_tables(store.engine)
    yield store
    store.close()


def commit(store: Store, claim: Claim, judge: Judge, record: r.Record, step: Move) -> None:
    """Judge one record and commit it under the claim."""
    entry, _ = judge.judge(record)
    store.append([entry], partition=claim.partition, also=lambda connection: claim.move(connection, step))
    judge.committed()


def test_an_older_epoch_writes_nothing(store: Store) -> None:
    """Whoever takes a partition over ends the right of whoever held it, in the very next transaction."""
    judge = Judge(store, PARSERS, partition=2)
    first = take_claim(store.engine, 2, "one", "topic", T0)
    commit(store, first, judge, r.Received(T0, "s", "generic_json", BODY), Move(0, 1, [(0, 0)]))
    second = take_claim(store.engine, 2, "two", "topic", T0)
    assert (second.epoch, second.next_topic_offset) == (2, 1)
    position = store.position(2)
    with pytest.raises(Fenced):
        commit(store, first, judge, r.Tick(T0), Move(1, 2))
    assert store.position(2) == position
    with pytest.raises(Fenced), store.writing() as tx:
        first.check(tx)
    judge.roll_back()
    commit(store, second, judge, r.Tick(T0), Move(1, 2))
    with pytest.raises(Fenced):
        commit(store, second, judge, r.Tick(T0), Move(1, 2))


def test_another_topic_of_the_same_name_is_refused_until_it_is_adopted(store: Store) -> None:
    """A topic that was made anew begins at 0 again: its records are other records."""
    judge = Judge(store, PARSERS, partition=0)
    claim = take_claim(store.engine, 0, "one", "old", T0)
    commit(store, claim, judge, r.Tick(T0), Move(0, 1, [(0, 0)]))
    with pytest.raises(ConfigError, match="another topic"):
        take_claim(store.engine, 0, "one", "new", T0)
    adopt_topic(store.engine, "new")
    claim = take_claim(store.engine, 0, "one", "new", T0)
    assert claim.next_topic_offset == 0
    commit(store, claim, judge, r.Tick(T0), Move(0, 6, [(1, 5)]))
    with store.engine.connect() as connection:
        assert journal_offset(connection, "old", Place(0, 0)) == 0
        assert journal_offset(connection, "new", Place(0, 5)) == 1


def test_an_outcome_is_found_behind_holes(store: Store) -> None:
    """A record's place in the topic leads to its events, or to why its command was refused."""
    judge = Judge(store, PARSERS, partition=0)
    claim = take_claim(store.engine, 0, "one", "topic", T0)
    commit(store, claim, judge, r.Received(T0, "s", "generic_json", BODY), Move(0, 8, [(0, 7)]))
    found = read_outcome(store.engine, "topic", Place(0, 7))
    assert found.outcome.events[0].type == "incident_opened"
    nobody = r.Commanded(T0, "k", "user:li", b'{"type": "acknowledge", "incident": "INC-9"}')
    entry, decision = judge.judge(nobody)
    assert isinstance(decision.rejected, CommandRejected)
    refused = [(entry.offset, T0, decision.rejected.code, decision.rejected.reason)]
    step = Move(8, 12, [(1, 11)], refused)
    store.append([entry], partition=0, also=lambda connection: claim.move(connection, step))
    told = read_outcome(store.engine, "topic", Place(0, 11)).rejected
    assert told is not None
    assert told.code == "not_found"


def test_a_message_that_is_no_record_is_kept_as_a_body_that_nobody_reads() -> None:
    """What somebody else wrote to the topic neither stops a partition nor is lost."""
    record = r.Received(T0, "s", "generic_json", BODY * 50)
    assert from_message(to_message(record), 1) == record
    for strange in (b"hello", b"", None, b"\x01not zstd", to_message(record)[:-3]):
        kept = from_message(strange, T0)
        assert kept == r.Received(T0, "journal", "unreadable", strange or b"")
        assert Core(PARSERS).handle(kept).dispositions == {"invalid": 1}


def test_the_newest_rules_win_and_old_ones_only_on_demand(store: Store) -> None:
    """A process that starts with an older file changes nothing; other labels of the scope are refused."""
    old, new = Rules(), Rules(rollup_s=7)
    assert register_rules(store.engine, old).number == 1
    assert register_rules(store.engine, new).number == 2
    assert register_rules(store.engine, old).digest == new.digest
    assert register_rules(store.engine, old, insist=True).number == 3
    newest = newest_rules(store.engine)
    assert newest is not None
    assert newest.digest == old.digest
    with pytest.raises(ConfigError, match="scope"):
        register_rules(store.engine, Rules(grouping=Grouping(scope=("region",))))


def test_members_come_and_go(store: Store) -> None:
    """Each process has a row with its version and its clock; one that leaves takes it along."""
    beat(store.engine, "a", "worker", "1", "x")
    beat(store.engine, "a", "worker", "2", "x")
    beat(store.engine, "b", "web", "1", "x")
    found, _ = members(store.engine)
    assert [(one.name, one.kind, one.version) for one in found] == [("b", "web", "1"), ("a", "worker", "2")]
    assert all(abs(one.clock_ahead_ms) < 60_000 for one in found)
    leave(store.engine, "b")
    assert [one.name for one in members(store.engine)[0]] == ["a"]


def test_a_single_server_and_workers_exclude_each_other(store: Store, postgres: Postgres) -> None:
    """An embedded server on the cluster's database would decide partition 0 a second time."""
    with store.engine.connect() as one, store.engine.connect() as two:
        lock_out_single_servers(one)
        lock_out_single_servers(two)
        with pytest.raises(ConcurrencyConflict):
            store.lock_writer()
    store.engine.dispose()
    store.lock_writer()
    with store.engine.connect() as one, pytest.raises(ConcurrencyConflict, match="without a cluster"):
        lock_out_single_servers(one)
