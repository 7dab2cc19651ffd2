"""The same alerts through one process and through a cluster of this machine, all on PostgreSQL.

Bodies of 64 alerts of four scopes, so that each becomes four records of the topic. `alerts_per_s` counts until the last
alert is decided; CPU is that of each part until then, per 1,000 alerts. `faust` and `aiokafka` are the two sources of
records for the same workers: what Faust costs is the difference. Two cores carry client, web, workers, Kafka and
PostgreSQL together, so that rates say little about a cluster of machines: trust the CPU figures.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

import httpx2
import psycopg
from msgspec.structs import replace

from bench.client import Job
from bench.meters import percentile, tree_cpu_s
from bench.servers import load
from bench.session import Session
from engine.config import load as settings_in
from engine.runtime.cluster.topic import ends_of
from tests.servers.cluster import TocsinCluster
from tests.servers.kafka import Kafka
from tests.servers.postgres import Postgres
from tests.servers.process import Process, eventually
from tests.servers.tocsin import Tocsin

BODY = 64
WARM = 1_280
FAR = 10_000_000
COMMANDS = 200
FAILOVERS = 3
_LOADED = re.compile(rb"event=partition_taken .*load_s=([0-9.]+)")
_SECTIONS = {"sources": {"prometheus": {"format": "alertmanager_v2"}}}


class Arrangement(NamedTuple):
    """What runs: a number of workers (0: one process does everything) and their source of records."""

    name: str
    workers: int
    source: str = "faust"


ARRANGEMENTS = (
    Arrangement("embedded", 0),
    Arrangement("1 worker, faust", 1),
    Arrangement("2 workers, faust", 2),
    Arrangement("1 worker, aiokafka", 1, "aiokafka"),
    Arrangement("2 workers, aiokafka", 2, "aiokafka"),
)


def run(session: Session) -> None:
    """Every arrangement in turn, on one Kafka and one PostgreSQL."""
    kafka, postgres = Kafka(), Postgres(connections=150)
    try:
        kafka.start()
        postgres.start()
        for turn in range(session.options.runs):
            for one in ARRANGEMENTS:
                asyncio.run(_measure(session, turn, one, kafka, postgres))
    finally:
        kafka.remove()
        postgres.remove()


async def _measure(session: Session, turn: int, one: Arrangement, kafka: Kafka, postgres: Postgres) -> None:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tocsin-bench-")))
        site = _Site(session, one, kafka, postgres)
        if one.workers:
            cluster = TocsinCluster(folder, kafka, postgres.new_database(), workers=one.workers, **_SECTIONS)
            for worker in cluster.workers:
                worker.command += ["--source", one.source]
            site.cluster = await stack.enter_async_context(cluster)
            site.web = cluster.web
        else:
            site.web = await stack.enter_async_context(Tocsin(folder, postgres.new_database(), **_SECTIONS))
        await site.measure(turn)


class _Site:
    """One arrangement while it runs."""

    web: Tocsin

    def __init__(self, session: Session, one: Arrangement, kafka: Kafka, postgres: Postgres) -> None:
        self._session, self._one, self._kafka, self._postgres = session, one, kafka, postgres
        self.cluster: TocsinCluster | None = None

    async def measure(self, turn: int) -> None:
        """All cases."""
        options = self._session.options
        job = Job(port=self.web.port, pid=self.web.process.pid, fleet=self._session.fleet(turn), first=FAR,
                  alerts=WARM, per_body=BODY, connections=4, at_most_s=60)  # fmt: skip
        await asyncio.to_thread(load, job)
        await self._drained()
        rate = await self._case("new, 64 a request", replace(job, first=0, alerts=options.new_alerts))
        resend = replace(job, first=0, alerts=options.resent_alerts, resend=True, at_most_s=options.seconds)
        await self._case("re-sent, 64 a request", resend)
        await self._commands(replace(resend, at_most_s=8, rate=rate / BODY / 2))
        if self.cluster is not None:
            await self._failovers()

    async def _case(self, case: str, job: Job) -> float:
        before, began = self._cpu(), time.perf_counter()
        measured = await asyncio.to_thread(load, job)
        await self._drained()
        elapsed = time.perf_counter() - began
        used = {part: 1e6 * (after - before[part]) / measured.alerts for part, after in self._cpu().items()}
        figures = {f"{part}_cpu_ms_per_1000": value for part, value in used.items()}
        figures["tocsin_cpu_ms_per_1000"] = used["web"] + used.get("workers", 0.0)
        rate = measured.alerts / elapsed
        self._session.sample(
            "cluster", case, self._one.name, alerts_per_s=rate, p99_answer_ms=measured.p99_ms, **figures
        )
        return rate

    def _cpu(self) -> dict[str, float]:
        parts = {"web": tree_cpu_s(self.web.process.pid), "database": tree_cpu_s(self._postgres.pid)}
        if self.cluster is not None:
            parts["workers"] = sum(tree_cpu_s(worker.pid) for worker in self.cluster.workers)
            parts["broker"] = tree_cpu_s(self._kafka.pid)
        return parts

    async def _drained(self) -> None:
        """Everything that was answered is decided."""
        if self.cluster is None:
            return
        settings = settings_in(self.web.config).cluster
        assert settings is not None
        ends = {number: end for number, (_, end) in (await asyncio.to_thread(ends_of, settings)).items() if end}

        def look() -> bool:
            with psycopg.connect(self.web.database) as connection:
                rows = connection.execute("SELECT partition, next_topic_offset FROM cluster_cursors").fetchall()
            at: dict[int, int] = {row[0]: row[1] for row in rows}
            return all(at.get(number, 0) >= end for number, end in ends.items())

        await eventually(lambda: asyncio.to_thread(look), "the topic to be decided", timeout_s=300, every_s=0.02)

    async def _commands(self, behind: Job) -> None:
        """Commands one after the other, with alerts behind them at half the rate."""
        opened = await self.web.api("/commands", {"type": "report_incident", "title": "x"}, key="first")
        incident = opened["events"][0]["data"]["incident"]
        headers = {"Authorization": f"Bearer {await self.web.token()}"}
        took: list[float] = []
        loading = asyncio.create_task(asyncio.to_thread(load, behind))
        async with httpx2.AsyncClient(base_url=self.web.url, headers=headers, timeout=30) as client:
            for number in range(COMMANDS):
                body = {"type": "add_note", "incident": incident, "text": f"note {number}"}
                began = time.perf_counter()
                answer = await client.post("/api/v1/commands", json=body)
                took.append(1000 * (time.perf_counter() - began))
                assert answer.status_code == 200, answer.text
        await loading
        await self._drained()
        p50, p99 = percentile(took, 0.50), percentile(took, 0.99)
        self._session.sample("cluster", "command at half load", self._one.name, p50_ms=p50, p99_ms=p99)

    async def _failovers(self) -> None:
        """SIGKILL the workers, start one anew: the first decision in every partition, and what loading took."""
        assert self.cluster is not None
        worker = self.cluster.workers[0]
        for _ in range(FAILOVERS):
            for each in self.cluster.workers:
                if each.exit_code is None:
                    each.kill()
            before = worker.log.stat().st_size
            worker.start()
            began = time.perf_counter()
            loads = await _loads_of(worker, before, self.cluster.partitions)
            self._session.sample(
                "cluster", "all workers killed, one started", self._one.name,
                ready_s=time.perf_counter() - began, load_s=max(loads),
            )  # fmt: skip


async def _loads_of(worker: Process, since: int, partitions: int) -> list[float]:
    """How long the worker took to restore each partition, once it has all of them."""

    def look() -> list[float]:
        found = [float(each) for each in _LOADED.findall(worker.log.read_bytes()[since:])]
        return found if len(found) >= partitions else []

    return await eventually(look, "the partitions to be taken", timeout_s=120, every_s=0.02)
