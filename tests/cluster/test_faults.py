"""A cluster under load, and what may befall its parts: nothing acknowledged is lost, decided twice or paged twice.

TOCSIN_CLUSTER_ROUNDS=10 tries every fault, 100 many orders of them; TOCSIN_WRITE_REPORT=1 writes the figures into
docs/reliability.md.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import psycopg
import pytest

from engine.store import partitions
from projections.ledger import balance
from schemas import events as e
from tests.cluster.load import ENDS, SCOPES, ClusterLoad, check_books, check_topic, log_of
from tests.cluster.report import write_report
from tests.integration.crash_site import SlowSmtp
from tests.servers.cluster import SESSION_S, TocsinCluster
from tests.servers.gate import Gate
from tests.servers.kafka import Kafka
from tests.servers.postgres import Postgres
from tests.servers.process import PATIENCE_S, Process, eventually

SEED = int(os.environ.get("TOCSIN_SEED", "20260105"))


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A PostgreSQL that may be killed."""
    server = Postgres(connections=150)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@dataclass
class Site:
    """A cluster with everything that can be broken, and what is measured on it."""

    cluster: TocsinCluster
    kafka: Kafka
    postgres: Postgres
    gate: Gate
    load: ClusterLoad
    dice: random.Random
    recovery_s: dict[str, list[float]] = field(default_factory=dict)

    @property
    def running(self) -> list[Process]:
        """The two workers that are meant to run; one that has ended by itself is started again."""
        for worker in self.cluster.workers[:2]:
            if worker.exit_code is not None:
                assert worker.exit_code == 1, worker.tail()
                self.load.books.ended_by_themselves += 1
                worker.start()
        return self.cluster.workers[:2]

    async def supervise(self) -> None:
        """Start again what ends, as systemd and Kubernetes do."""
        while self.running:
            await asyncio.sleep(0.5)

    async def everything_is_decided(self, timeout_s: float = PATIENCE_S) -> None:
        """Wait until a fresh alert of every scope is decided."""
        number = self.load._next()
        names = {f"Probe{number}-{scope}" for scope in SCOPES}
        alerts = [{"title": f"Probe{number}-{scope}", "service": f"probe-{number}", "labels": {"cluster": scope}}
                  for scope in SCOPES]  # fmt: skip

        async def sent() -> bool:
            try:
                return (await self.cluster.web.send("script", msgspec.json.encode(alerts))).status_code == 202
            except httpx2.TransportError:
                return False

        await eventually(sent, "the probe to be taken", timeout_s=timeout_s)

        def decided() -> bool:
            try:
                with psycopg.connect(self.cluster.database, connect_timeout=2) as connection:
                    query = "SELECT count(DISTINCT scope) FROM events WHERE data LIKE %s AND type = 'incident_opened'"
                    row = connection.execute(query, (f"%Probe{number}-%".encode(),)).fetchone()
                    return row is not None and row[0] == len(names)
            except psycopg.Error:
                return False

        await eventually(lambda: asyncio.to_thread(decided), "the probes to be decided", timeout_s=timeout_s)


Fault = Callable[[Site], Awaitable[None]]


async def kill_a_worker(site: Site) -> None:
    """SIGKILL in the middle of its batches; another one is started in its place."""
    victim = site.dice.choice(site.running)
    victim.kill()
    victim.start()


async def kill_twice_in_a_row(site: Site) -> None:
    """SIGKILL the same worker again while it comes back."""
    victim = site.dice.choice(site.running)
    victim.kill()
    victim.start()
    await asyncio.sleep(site.dice.uniform(0.5, 4.0))
    victim.kill()
    victim.start()


async def kill_during_rebalance(site: Site) -> None:
    """A third worker joins, and while the group is rearranged another is killed."""
    joining = site.cluster.workers[2]
    joining.start()
    await asyncio.sleep(site.dice.uniform(2.0, 5.0))
    victim = site.cluster.workers[site.dice.randint(0, 1)]
    victim.kill()
    victim.start()
    await asyncio.sleep(2)
    joining.terminate()
    await joining.ended()


async def pause_past_the_session(site: Site) -> None:
    """SIGSTOP for longer than the session, so that another takes over, then SIGCONT: what it writes is refused."""
    victim = site.dice.choice(site.running)
    os.kill(victim.pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(SESSION_S * 2.5)
    finally:
        os.kill(victim.pid, signal.SIGCONT)


async def kill_the_broker(site: Site) -> None:
    """SIGKILL Kafka, and start it again."""
    await asyncio.to_thread(site.kafka.kill)
    await asyncio.sleep(1)
    await asyncio.to_thread(site.kafka.start)


async def crash_the_database(site: Site) -> None:
    """End every process of PostgreSQL at once, and start it again."""
    await asyncio.to_thread(site.postgres.crash)
    await asyncio.sleep(1)
    await asyncio.to_thread(site.postgres.start)


async def cut_the_network(site: Site) -> None:
    """The first worker's way to the broker is cut for longer than its session."""
    site.gate.shut()
    await asyncio.sleep(SESSION_S * 2)
    site.gate.open()


async def freeze_the_network(site: Site) -> None:
    """The first worker's packets to and from the broker go nowhere for longer than its session."""
    site.gate.freeze()
    await asyncio.sleep(SESSION_S * 2)
    site.gate.open()


async def add_and_remove(site: Site) -> None:
    """A worker joins under load and leaves again in order."""
    joining = site.cluster.workers[2]
    before = joining.log.stat().st_size if joining.log.exists() else 0
    joining.start()
    await eventually(lambda: b"partitions_assigned" in joining.log.read_bytes()[before:], "the worker to join")
    await asyncio.sleep(site.dice.uniform(0, 2))
    joining.terminate()
    assert await joining.ended() == 0, joining.tail()


async def kill_a_web_process(site: Site) -> None:
    """SIGKILL one of the web processes; its senders come again."""
    web = site.cluster.webs[-1]
    web.kill()
    await web.start()


FAULTS: dict[str, Fault] = {
    one.__name__: one
    for one in (
        kill_a_worker, pause_past_the_session, kill_the_broker, crash_the_database, kill_during_rebalance,
        cut_the_network, kill_twice_in_a_row, add_and_remove, freeze_the_network, kill_a_web_process,
    )
}  # fmt: skip
ROUNDS = int(os.environ.get("TOCSIN_CLUSTER_ROUNDS", "0"))


def sections(mail: SlowSmtp) -> dict[str, Any]:
    """A configuration whose clocks and roll-ups come often, so that faults meet all of them."""
    day = 86_400
    channel = {"type": "email", "host": "127.0.0.1", "port": mail.port, "sender": "tocsin@example.com"}
    return {
        "channels": {"mail": {**channel, "to": ["on-call@example.com"]}},
        "rules": {
            "language": "en",
            "grouping": {"by": ["service"], "reorder_window_s": day},
            "receivers": {"on-call": {"channels": ["mail"]}},
            "routes": [{"receiver": "on-call", "priorities": ["P1", "P2"]}],
            "sla": {priority: {"response_s": 3600, "resolution_s": 7200} for priority in ("P1", "P2", "P3", "P4")},
            "expiry_s": {"alertmanager_webhook": day, "alertmanager_v2": day, "generic_json": day},
            "rollup_s": 1,
        },
        "store": {"snapshot_every": 300},
    }


def deliveries_have_ended(site: Site) -> bool:
    """Whether every delivery has its end, and the ledger is complete."""
    with site.cluster.web.store() as store:
        log = [one for partition in partitions(store) for one in log_of(store, partition)]
        rolled = {one.partition for one in log if isinstance(one.event.data, e.IntakeRolledUp)}
        with store.engine.connect() as connection:
            difference = balance(connection).difference
    asked = sum(isinstance(one.event.data, e.DeliveryRequested) for one in log)
    ended = sum(isinstance(one.event.data, ENDS) for one in log)
    return bool(rolled) and asked == ended and difference == 0


@pytest.mark.skipif(
    not ROUNDS,
    reason="TOCSIN_CLUSTER_ROUNDS=5 runs it; it fails since the outbox was last changed: not all deliveries end",
)
async def test_faults_under_load(tmp_path: Path, own_postgres: Postgres) -> None:
    """Every fault in turn, then at random, under load; afterwards the books of journal, log, topic and mail agree."""
    dice = random.Random(SEED)
    async with SlowSmtp() as mail, Gate() as gate:
        kafka = Kafka(gate=gate.port)
        gate.to = kafka.behind
        cluster: TocsinCluster | None = None
        try:
            await asyncio.to_thread(kafka.start)
            cluster = TocsinCluster(
                tmp_path, kafka, own_postgres.new_database(), workers=3, webs=2, gated=gate.port, **sections(mail)
            )
            cluster.keep_back(2)
            async with cluster:
                site = Site(
                    cluster, kafka, own_postgres, gate, ClusterLoad(cluster, dice, await cluster.web.token()), dice
                )
                await site.everything_is_decided()
                for number in range(ROUNDS):
                    name = list(FAULTS)[number] if number < len(FAULTS) else dice.choice(list(FAULTS))
                    await one_round(site, name)
                supervising = asyncio.create_task(site.supervise())
                await cluster.decided()
                await eventually(lambda: asyncio.to_thread(deliveries_have_ended, site), "deliveries to end", every_s=1)
                await cluster.shown()
                supervising.cancel()
                books = await asyncio.to_thread(check_books, site.load, mail.messages)
                assert await check_topic(cluster) == books.records
        finally:
            kafka.remove()
    write_report(ROUNDS, SEED, books, site.recovery_s)


async def one_round(site: Site, name: str) -> None:
    """A fault under load, and the seconds from its end until every scope is decided again."""
    site.load.start()
    await asyncio.sleep(site.dice.uniform(0.5, 1.5))
    await FAULTS[name](site)
    supervising = asyncio.create_task(site.supervise())
    try:
        began_s = time.monotonic()
        await site.everything_is_decided()
        site.recovery_s.setdefault(name, []).append(time.monotonic() - began_s)
        await site.load.stop()
    finally:
        supervising.cancel()
