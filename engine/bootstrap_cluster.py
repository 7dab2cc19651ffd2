"""The bootstrap of a cluster: puts a web process, or a worker, together. What both kinds share is made here, too."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import version
from typing import Literal

import structlog
import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from sqlalchemy import Connection, Engine, event, func, select, text

from engine.bootstrap import anchor_mail, open_accounts, open_store, serve_web, set_up_logging, tune_interpreter
from engine.core import CORE_VERSION
from engine.core.state import Books
from engine.runtime.anchoring import keep_anchoring
from engine.runtime.cluster.board import Board
from engine.runtime.cluster.claims import Claim, lock_out_single_servers
from engine.runtime.cluster.crew import Crew
from engine.runtime.cluster.faust_source import FaustSource
from engine.runtime.cluster.members import BEAT_S, RuleSet, beat, leave, newest_rules, register_rules
from engine.runtime.cluster.plain_source import PlainSource
from engine.runtime.cluster.routing import Cutter
from engine.runtime.cluster.runtime import ClusterRuntime
from engine.runtime.cluster.tables import create_cluster_tables
from engine.runtime.cluster.topic import TopicState, client_settings, read_topic
from engine.store import Store
from engine.store.cores import refuse_older_core
from engine.store.database import outages_named
from notifiers.outbox import Outbox
from notifiers.registry import build_all
from projections import ALL, Projector, create_tables
from projections.ledger import balance
from projections.projection import checkpoints
from schemas import records as r
from schemas.clusters import Cluster
from schemas.config import Settings
from schemas.errors import ConfigError, StoreUnavailable, TocsinError
from schemas.links import Signer
from sources import PARSERS

STOP_S = 5.0
"""How long messages under way may take to finish when a worker stops."""
WATCH_S = 5.0
STUCK_S = 45.0
"""A partition with records to read that has not moved for so long: the process ends, for its supervisor to restart."""
RULES_SENT_S = 30.0
"""Rules that were sent to a partition are sent again if it has not taken them within so long."""
IDLE_TRANSACTION_MS = 4_000
"""A worker that stands still in the middle of a transaction (SIGSTOP) must not keep others from its partition."""


log = structlog.get_logger(__name__)


def cluster_of(settings: Settings) -> Cluster:
    """The cluster section. Raises ConfigError where there is none."""
    if settings.cluster is None:
        raise ConfigError("there is no cluster section: `tocsin serve` alone does everything", key="cluster")
    return settings.cluster


def prepare(settings: Settings) -> Store:
    """The store of a cluster with every table that it needs, however many processes start at once."""
    store = open_store(settings)
    try:
        with outages_named("prepare the database"), store.engine.connect() as connection:
            with connection.begin():
                connection.execute(text("SELECT pg_advisory_lock(hashtext('tocsin preparation'))"))
            create_cluster_tables(store.engine)
            create_tables(store.engine, ALL(settings.rules.timezone))
            open_accounts(settings, store, lambda: 0)
            with connection.begin():
                connection.execute(text("SELECT pg_advisory_unlock(hashtext('tocsin preparation'))"))
    except BaseException:
        store.close()
        raise
    return store


def topic_of(cluster: Cluster) -> TopicState:
    """The topic; raises ConfigError where its partitions are not those of the settings."""
    topic = read_topic(cluster)
    if topic.partitions != tuple(range(cluster.partitions)):
        raise ConfigError(
            f"topic {cluster.topic} has {len(topic.partitions)} partitions, the settings say {cluster.partitions}:"
            " with another number scopes would be decided in two places (docs/cluster.md)",
            key="cluster.partitions",
        )
    return topic


def member_name(cluster: Cluster) -> str:
    """How this process is called in the cluster."""
    return cluster.worker or f"{socket.gethostname()}-{os.getpid()}"


def run_web(settings: Settings) -> None:
    """One of the web processes, until SIGTERM or SIGINT."""
    tune_interpreter()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings))


def run_worker(settings: Settings, *, source: Literal["faust", "aiokafka"] = "faust") -> None:
    """One of the workers, until SIGTERM or SIGINT. Raises TocsinError where it cannot go on."""
    tune_interpreter()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_Worker(settings, source).run())


def _runtime(settings: Settings, cluster: Cluster, store: Store) -> tuple[ClusterRuntime, Board]:
    board = Board(store.engine, lambda: shown_in(store.engine))
    cutter = Cutter(PARSERS, settings.rules.grouping)
    return ClusterRuntime(store, cluster, cutter, board, lambda: _books(store.engine)), board


def shown_in(engine: Engine) -> Mapping[int, int]:
    """The last event of each partition that every read model shows."""
    column = checkpoints.c
    with engine.connect() as connection:
        query = select(column.partition, func.min(column.position)).where(column.halted_reason.is_(None))
        return {row.partition: row[1] for row in connection.execute(query.group_by(column.partition))}


def _books(engine: Engine) -> Books:
    with engine.connect() as connection:
        return balance(connection).by_source  # type: ignore[return-value]


# --- web ----------------------------------------------------------------------------------------------------------


async def _serve(settings: Settings) -> None:
    set_up_logging(settings.log_level)
    cluster = cluster_of(settings)
    store = prepare(settings)
    try:
        register_rules(store.engine, settings.rules)
        topic = await asyncio.to_thread(topic_of, cluster)
        runtime, _ = _runtime(settings, cluster, store)
        await runtime.start(topic.id)
        beating = asyncio.create_task(_keep_beating(store.engine, cluster, "web", settings.rules.digest))
        try:
            await serve_web(settings, store, runtime)
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
            await runtime.stop()
    finally:
        store.close()


async def _keep_beating(engine: Engine, cluster: Cluster, kind: str, digest: str) -> None:
    name = member_name(cluster)
    try:
        while True:
            with suppress(StoreUnavailable):
                await asyncio.to_thread(beat, engine, name, kind, version("tocsin"), digest)
            await asyncio.sleep(BEAT_S)
    finally:
        with suppress(StoreUnavailable):
            leave(engine, name)


# --- worker -------------------------------------------------------------------------------------------------------


class _Worker:
    """One worker process, put together."""

    def __init__(self, settings: Settings, source: Literal["faust", "aiokafka"]) -> None:
        set_up_logging(settings.log_level)
        self._settings, self._cluster = settings, cluster_of(settings)
        self._notifiers = build_all(settings.channels, settings.templates, settings.directory)
        self._store = prepare(settings)
        _end_idle_transactions(self._store.engine)
        self._runtime, board = _runtime(settings, self._cluster, self._store)
        self._crew = Crew(
            self._store, self._runtime, board, PARSERS, _follower(settings, self._store), self._put_rules_in_force
        )
        self._crew.worker = member_name(self._cluster)
        self._crew.snapshot_every = settings.store.snapshot_every
        self._source = (FaustSource if source == "faust" else PlainSource)(self._cluster, self._crew)
        self._rules: RuleSet | None = None
        self._rules_sent: dict[tuple[int, str], float] = {}

    async def run(self) -> None:
        """Work until a signal comes; raises TocsinError where it cannot go on."""
        try:
            with outages_named("join the cluster"), self._store.engine.connect() as guard:
                lock_out_single_servers(guard)
                guard.commit()
                refuse_older_core(self._store, CORE_VERSION)
                self._rules = register_rules(self._store.engine, self._settings.rules)
                topic = await asyncio.to_thread(topic_of, self._cluster)
                await self._runtime.start(topic.id)
                await self._work()
        finally:
            self._store.close()

    async def _work(self) -> None:
        stopping = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        signer = Signer(self._settings.links, self._settings.rules.external_url)
        outbox = Outbox(self._runtime, self._notifiers, signer=signer)
        delivering = asyncio.create_task(outbox.run(), name="outbox")
        kind, digest = "worker", self._settings.rules.digest
        tasks = [
            asyncio.create_task(self._crew.run(), name="crew"),
            asyncio.create_task(_keep_beating(self._store.engine, self._cluster, kind, digest), name="members"),
            asyncio.create_task(self._watch(), name="watch"),
            asyncio.create_task(self._runtime.failed(), name="board"),
        ]
        anchors = self._settings.anchors
        if anchors.file is not None or anchors.syslog or anchors.email:
            placing = keep_anchoring(
                self._store, anchors, self._runtime.now_ms, anchor_mail(self._settings), partitions=self._crew.held
            )
            tasks.append(asyncio.create_task(placing, name="anchors"))
        try:
            await self._source.start()
            print(f"Tocsin worker {self._crew.worker} has joined group {self._cluster.group}", flush=True)
            tasks.append(asyncio.create_task(self._source.ended(), name="source"))
            stop = asyncio.create_task(stopping.wait())
            done, _ = await asyncio.wait([stop, delivering, *tasks], return_when=asyncio.FIRST_COMPLETED)
            if stop not in done:
                for task in done:
                    task.result()
                raise TocsinError("the source of records has ended: this worker stops, to be started again")
        finally:
            outbox.stop()
            self._runtime.feed.end()
            await asyncio.wait([delivering], timeout=STOP_S)
            await self._crew.close()
            await self._source.close()
            for task in (delivering, *tasks):
                task.cancel()
            await asyncio.gather(delivering, *tasks, return_exceptions=True)
            await self._runtime.stop()

    async def _put_rules_in_force(self, partition: int, digest: str) -> None:
        """Send the cluster's rules to a partition that decides by others."""
        newest = await asyncio.to_thread(newest_rules, self._store.engine)
        now_s = asyncio.get_running_loop().time()
        if newest is None or newest.digest == digest:
            return
        if now_s - self._rules_sent.get((partition, newest.digest), -RULES_SENT_S) < RULES_SENT_S:
            return
        self._rules_sent[partition, newest.digest] = now_s
        record = r.Configured(self._runtime.now_ms(), "system", newest.body)
        await self._runtime.sender.send("", record, partition=partition)

    async def _watch(self) -> None:
        """See that every partition of ours moves while it has something to read, and decides by the newest rules."""
        topic = self._cluster.topic
        meter = AIOKafkaConsumer(**client_settings(self._cluster))
        with suppress(KafkaError):
            await meter.start()
        try:
            while True:
                await asyncio.sleep(WATCH_S)
                for shift in list(self._crew.shifts.values()):
                    if shift.judge is not None and not shift.fenced:
                        with suppress(TocsinError):
                            await self._put_rules_in_force(shift.partition, shift.judge.core.rules_digest)
                try:
                    async with asyncio.timeout(WATCH_S):
                        places = [TopicPartition(topic, number) for number in self._crew.shifts]
                        ends = await meter.end_offsets(places) if places else {}
                except (KafkaError, TimeoutError, AssertionError):
                    continue
                stuck = self._crew.stuck({place.partition: end for place, end in ends.items()}, STUCK_S)
                if stuck:
                    raise TocsinError(f"partitions {stuck} do not move although there is something to read")
        finally:
            with suppress(KafkaError):
                await meter.stop()


def _end_idle_transactions(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _limit(connection: object, _: object) -> None:
        cursor = connection.cursor()  # type: ignore[attr-defined]
        cursor.execute(f"SET idle_in_transaction_session_timeout = {IDLE_TRANSACTION_MS}")
        cursor.close()
        connection.commit()  # type: ignore[attr-defined]

    engine.dispose()  # those that are open have no such limit yet


def _follower(settings: Settings, store: Store) -> Callable[[Claim], object]:
    """Brings the read models up to one partition's log, while its claim holds.

    Read models add up over partitions (the ledger, the trends), so one transaction at a time writes them.
    """
    models = ALL(settings.rules.timezone)

    def follow(claim: Claim) -> int:
        @contextmanager
        def writing() -> Iterator[Connection]:
            with store.writing() as tx:
                tx.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext('tocsin read models'))")
                claim.check(tx)
                yield tx

        def read(partition: int, after: int, limit: int) -> list[object]:
            return store.log(partition=partition, after=after, limit=limit)  # type: ignore[return-value]

        return Projector(writing, read, models, partitions=(claim.partition,)).catch_up()  # type: ignore[arg-type]

    return follow
