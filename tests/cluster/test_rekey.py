"""The past moves to other partitions: the same events in every scope, in logs that hold."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from engine.core import Core
from engine.runtime.cluster.rekey import Rekeying
from engine.runtime.cluster.routing import Cutter, partition_of
from engine.runtime.cluster.tables import create_cluster_tables
from engine.runtime.judge import Judge, replay
from engine.store import Store, partitions, verify_log
from schemas import records as r
from schemas.commands import COMMAND, Acknowledge, ReportIncident
from schemas.config import Receiver, Route, Rules
from schemas.errors import ConfigError
from sources import PARSERS
from tests.servers.postgres import Postgres

T0 = 1_767_585_600_000
RULES = Rules(receivers={"all": Receiver(channels=("mail",))}, routes=(Route(receiver="all"),))
CUTTER = Cutter(PARSERS, RULES.grouping)
SCOPES = ("c1", "c2", "c3", "c4", "")


def history(core: Core) -> Iterator[r.Record]:
    """Alerts of several scopes, commands, ticks, and a channel that answers what it is given."""
    dice = random.Random(7)
    yield r.Configured(T0, "system", RULES.canonical())
    for number in range(60):
        at_ms = T0 + 20_000 * number
        due_ms = core.next_due_ms()
        if due_ms is not None and due_ms <= at_ms:
            yield r.Tick(at_ms)
        items = [
            {"labels": {"alertname": f"a{dice.randint(0, 9)}", "service": dice.choice("xyz"), "severity": "critical"}
             | ({"cluster": scope} if (scope := dice.choice(SCOPES)) else {}),
             "startsAt": "2026-01-05T04:00:00Z"} | ({"endsAt": "2026-01-05T04:00:00Z"} if dice.random() < 0.3 else {})
            for _ in range(dice.randint(1, 5))
        ]  # fmt: skip
        yield r.Received(at_ms, "prometheus", "alertmanager_v2", msgspec.json.encode(items))
        for pending in core.pending_deliveries()[:2]:
            yield r.Attempting(at_ms, pending.delivery, pending.attempt)
            yield r.Delivered(at_ms, pending.delivery, pending.attempt, "ok")
        scope = dice.choice(SCOPES) or "default"
        report = ReportIncident(title=f"t{number}", scope=scope)
        yield r.Commanded(at_ms, f"k{number}", "user:li", COMMAND.dump_json(report))
        command = Acknowledge(incident=f"INC-{scope}-1" if scope != "default" else "INC-1")
        yield r.Commanded(at_ms, f"a{number}", "user:li", COMMAND.dump_json(command))


@pytest.fixture
def past(tmp_path: Path) -> Iterator[Store]:
    """One process's journal and log."""
    store = Store.open(f"sqlite:///{tmp_path / 'past.db'}")
    judge = Judge(store, PARSERS)
    for record in history(judge.core):
        entry, _ = judge.judge(record)
        store.append([entry])
        judge.committed()
    yield store
    store.close()


def rekeyed(source: Store, postgres: Postgres, into: int) -> Store:
    """The same past over so many partitions; fails where a scope has other events."""
    target = Store.open(postgres.new_database())
    create_cluster_tables(target.engine)
    done = Rekeying(source, target, PARSERS, CUTTER, into).run("topic")
    assert done.differing == ()
    assert done.scopes >= len(SCOPES)
    for number in partitions(target):
        assert verify_log(target, number).fault is None
        replay(target, PARSERS, partition=number)
    return target


def test_one_process_becomes_a_cluster_and_the_cluster_grows(past: Store, postgres: Postgres) -> None:
    """One partition to 3, 3 to 8: each scope keeps its events, incident ids and deliveries, and lives in one place."""
    with closing(rekeyed(past, postgres, 3)) as three:
        assert len(partitions(three)) == 3
        with closing(rekeyed(three, postgres, 8)) as eight:
            for scope in filter(None, SCOPES):
                found = eight.log_of(f"incident/INC-{scope}-1")
                assert {one.partition for one in found} == {partition_of(scope, 8)}
            assert {one.partition for one in eight.log_of("incident/INC-1")} == {0}


def test_what_is_there_is_not_mixed_with_another_past(past: Store, postgres: Postgres) -> None:
    """A database that has records is refused."""
    with closing(rekeyed(past, postgres, 2)) as taken, pytest.raises(ConfigError, match="records already"):
        Rekeying(past, taken, PARSERS, CUTTER, 2)
