"""A shift: one worker's time at one partition. The same judge as everywhere, one transaction for a batch of the topic.

Journal rows, events, checkpoint and the place in the topic are committed together, and only while no other worker has
claimed the partition. What the transaction refuses is judged again from what the database has.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from time import perf_counter
from typing import NamedTuple, TypeVar

import msgspec
import structlog

from engine.core import Decision
from engine.runtime.clock import Clock
from engine.runtime.cluster.claims import Claim, Fenced, Move, take_claim
from engine.runtime.cluster.sender import from_message
from engine.runtime.inbox import MAX_BATCH, MAX_BATCH_BYTES
from engine.runtime.judge import Judge
from engine.runtime.metrics import RuntimeMetrics
from engine.store import Entry, Store, sibling
from engine.store.database import outages_named
from schemas import records as r
from schemas.errors import ConcurrencyConflict, StoreUnavailable
from schemas.events import LoggedEvent
from schemas.ports import Parser

QUEUED = 4096
"""Records of one partition that wait in memory; beyond it the source waits."""
RETRY_S = 0.3
LONGEST_RETRY_S = 3.0
TICK_WAIT_S = 5.0
"""A tick that was sent and did not come back within so long is sent again."""
SETTLE_S = 0.3
"""After a hole in the topic: so long nothing is taken, so that what was under way to us has arrived."""

_T = TypeVar("_T")
log = structlog.get_logger(__name__)


class Arrival(NamedTuple):
    """One message of the topic; `done` tells its source that it is committed."""

    partition: int
    offset: int
    at_ms: int
    value: bytes | None
    done: Callable[[], None]


class Duty(msgspec.Struct, frozen=True):
    """What a worker gives each of its shifts."""

    store: Store
    parsers: Mapping[str, Parser]
    clock: Clock
    metrics: RuntimeMetrics
    worker: str
    topic_id: str
    snapshot_every: int
    tick: Callable[[int, r.Tick], Awaitable[object]]
    """Puts a tick into the topic."""
    rewind: Callable[[int, int], Awaitable[object]]
    """Has the topic read again from a place."""
    committed: Callable[[Shift, Sequence[LoggedEvent]], None]
    """Told after each commit."""
    loaded: Callable[[Shift], None]
    """Told when the state is there, also after it was restored."""


class _Judged(NamedTuple):
    arrival: Arrival
    entry: Entry
    decision: Decision


class Shift:
    """Call `run` in a task of its own; `put` what arrives."""

    def __init__(self, partition: int, duty: Duty) -> None:
        self.partition = partition
        self._duty = duty
        self._store = sibling(duty.store)
        self._queue: deque[Arrival] = deque()
        self._filled, self._room = asyncio.Event(), asyncio.Event()
        self._room.set()
        self.claimed = asyncio.Event()
        self.claim: Claim | None = None
        self.judge: Judge | None = None
        self.expected = 0
        """The next place of the topic to be judged."""
        self.fenced = False
        self._spanned = False
        self._closing = False
        self._committing = asyncio.Lock()
        self._hole: tuple[int, int] | None = None
        self._tick_sent_s = -TICK_WAIT_S
        self._ticking: set[asyncio.Task[object]] = set()
        self._since_snapshot = 0
        self.refusal = ""
        """Why the database takes no commit at present; empty while it does."""
        self.moved_s = perf_counter()
        """When the partition last moved on."""

    # --- what the crew does -----------------------------------------------------------------------------------------

    async def put(self, arrival: Arrival) -> None:
        """Let it wait its turn; returns when there is room."""
        while len(self._queue) >= QUEUED and not self._closing:
            self._room.clear()
            await self._room.wait()
        self._queue.append(arrival)
        self._filled.set()

    def drop(self) -> None:
        """Forget what waits: it will come again."""
        self._queue.clear()
        self._room.set()

    async def place(self) -> int:
        """Where the topic is to be read on, once nothing is under way."""
        async with self._committing:
            self.drop()
            return self.expected

    async def close(self) -> None:
        """Finish the batch under way and take no other; keep a snapshot if the partition is still ours."""
        self._closing = True
        self._filled.set()
        self._room.set()
        async with self._committing:
            self.drop()
        judge = self.judge
        if judge is not None and judge.is_committed and not self.fenced and self._since_snapshot:
            with suppress(StoreUnavailable):
                await asyncio.to_thread(self._store.save_snapshot, judge.snapshot(), partition=self.partition)
        await asyncio.to_thread(self._store.close)

    async def run(self) -> None:
        """Claim the partition, restore its state, and decide until closed or fenced."""
        try:
            await self._begin()
            while not self._closing:
                batch = await self._gather()
                if batch:
                    async with self._committing:
                        await self._take(batch)
        except Fenced as lost:
            self.fenced = True
            log.warning("partition_lost", partition=self.partition, problem=str(lost))
        finally:
            self.claimed.set()

    # --- the state --------------------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        claim = await self._persist(self._take_claim)
        self.claim, self.expected = claim, claim.next_topic_offset
        self.claimed.set()
        started = perf_counter()
        await self._persist(self._load)
        log.info(
            "partition_taken", partition=self.partition, epoch=claim.epoch, topic_offset=self.expected,
            load_s=round(perf_counter() - started, 3),
        )  # fmt: skip
        self.moved_s = perf_counter()
        self._duty.loaded(self)

    def _take_claim(self) -> Claim:
        duty = self._duty
        return take_claim(duty.store.engine, self.partition, duty.worker, duty.topic_id, duty.clock.now_ms())

    def _load(self) -> None:
        if self.judge is None:
            self.judge = Judge(self._store, self._duty.parsers, partition=self.partition)
        else:
            self.judge.roll_back()
        assert self.claim is not None
        self.expected, self._spanned = _read_cursor(self._store, self.claim)
        self._duty.clock.not_before(self.judge.core.now_ms)

    async def _persist(self, ask: Callable[[], _T]) -> _T:
        wait_s = RETRY_S
        while True:
            try:
                found = await asyncio.to_thread(ask)
                self.refusal = ""
                return found
            except StoreUnavailable as refused:
                self.refusal = str(refused)
                log.warning("store_unavailable", partition=self.partition, problem=self.refusal)
                if self._closing:
                    raise Fenced("the worker stops") from refused
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, LONGEST_RETRY_S)

    # --- deciding ---------------------------------------------------------------------------------------------------

    async def _gather(self) -> list[Arrival]:
        """What waits, a batch at most; sees to ticks while nothing does."""
        assert self.judge is not None
        while not self._queue and not self._closing:
            self._filled.clear()
            due_ms = self.judge.core.next_due_ms()
            wait_s = 5.0 if due_ms is None else min((due_ms - self._duty.clock.now_ms()) / 1000, 5.0)
            if wait_s <= 0:
                self._send_tick()
                wait_s = 0.05
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._filled.wait()
        due_ms = self.judge.core.next_due_ms()
        if due_ms is not None and due_ms <= self._duty.clock.now_ms():
            self._send_tick()
        batch: list[Arrival] = []
        size = 0
        while self._queue and len(batch) < MAX_BATCH and size < MAX_BATCH_BYTES:
            batch.append(self._queue.popleft())
            size += len(batch[-1].value or b"")
        self._room.set()
        return batch

    def _send_tick(self) -> None:
        """A timer is due: have the topic say so, once. Ticks of an earlier holder do no harm: nothing is due then."""
        if perf_counter() - self._tick_sent_s < TICK_WAIT_S:
            return
        self._tick_sent_s = perf_counter()
        sending = asyncio.create_task(_quietly(self._duty.tick(self.partition, r.Tick(self._duty.clock.now_ms()))))
        self._ticking.add(sending)
        sending.add_done_callback(self._ticking.discard)

    async def _take(self, batch: Sequence[Arrival]) -> None:
        """Judge and commit what is next; what was committed before is only acknowledged again."""
        wait_s = RETRY_S
        while True:
            judged, hole = self._judge_all(batch)
            try:
                if judged:
                    await self._commit(judged)
                self.refusal = ""
                break
            except StoreUnavailable as refused:
                self.refusal = str(refused)
                self._duty.metrics.refused.labels("store").inc(len(judged))
                log.error("commit_refused", partition=self.partition, problem=self.refusal, records=len(judged))
            except Fenced:
                raise
            except ConcurrencyConflict as lost:
                raise Fenced(str(lost)) from lost
            await self._persist(self._load)
            self._duty.loaded(self)
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, LONGEST_RETRY_S)
        for arrival in batch:
            if arrival.offset < self.expected:
                arrival.done()
        if hole is not None:
            await self._reread(hole)

    def _judge_all(self, batch: Sequence[Arrival]) -> tuple[list[_Judged], int | None]:
        """The records that are next, judged; and the place behind a hole, where there is one."""
        assert self.judge is not None
        judged: list[_Judged] = []
        expected = self.expected
        for arrival in batch:
            if arrival.offset < expected:
                continue
            if arrival.offset > expected and self._hole != (expected, arrival.offset):
                return judged, arrival.offset
            record = from_message(arrival.value, arrival.at_ms)
            judged.append(_Judged(arrival, *self.judge.judge(record)))
            expected = arrival.offset + 1
        return judged, None

    async def _commit(self, judged: Sequence[_Judged]) -> None:
        assert self.judge is not None
        assert self.claim is not None
        claim, entries = self.claim, [one.entry for one in judged]
        step = Move(self.expected, judged[-1].arrival.offset + 1, self._spans(judged), _refused(judged))
        started = perf_counter()
        await asyncio.to_thread(
            self._store.append, entries, partition=self.partition, also=lambda connection: claim.move(connection, step)
        )
        self.judge.committed()
        self.expected, self._spanned = step.after, True
        self.moved_s = perf_counter()
        self._duty.metrics.commit_s.observe(self.moved_s - started)
        self._duty.metrics.batch_records.observe(len(entries))
        self._duty.metrics.count(entries)
        if any(isinstance(one.entry.record, r.Tick) for one in judged):
            self._tick_sent_s = -TICK_WAIT_S
        self._duty.committed(self, [logged for entry in entries for logged in entry.events])
        await self._keep_snapshot(len(entries))

    def _spans(self, judged: Sequence[_Judged]) -> list[tuple[int, int]]:
        """Where the records of the batch do not follow each other in the topic, or begin to."""
        spans = []
        before = self.expected if self._spanned else -1
        for one in judged:
            if one.arrival.offset != before:
                spans.append((one.entry.offset, one.arrival.offset))
            before = one.arrival.offset + 1
        return spans

    async def _reread(self, found: int) -> None:
        """A record is missing before `found`: read again from there once; if it is not there, the hole is real."""
        expected = self.expected
        log.warning("hole_in_topic", partition=self.partition, expected=expected, found=found)
        self.drop()
        await asyncio.sleep(SETTLE_S)
        self.drop()
        self._hole = (expected, found)
        await self._duty.rewind(self.partition, expected)

    async def _keep_snapshot(self, records: int) -> None:
        self._since_snapshot += records
        if self._since_snapshot < self._duty.snapshot_every:
            return
        assert self.judge is not None
        try:
            await asyncio.to_thread(self._store.save_snapshot, self.judge.snapshot(), partition=self.partition)
            self._since_snapshot = 0
        except StoreUnavailable as refused:
            log.warning("snapshot_not_saved", partition=self.partition, problem=str(refused))


def _refused(judged: Sequence[_Judged]) -> list[tuple[int, int, str, str]]:
    return [
        (one.entry.offset, one.entry.record.at_ms, one.decision.rejected.code, one.decision.rejected.reason[:2000])
        for one in judged
        if one.decision.rejected is not None
    ]


def _read_cursor(store: Store, claim: Claim) -> tuple[int, bool]:
    """Where the topic is to be read on, and whether it is on record where its first record stands in the journal."""
    with outages_named("read the place in the topic"), store.engine.connect() as connection, connection.begin():
        claim.check(connection)
        place: int = connection.exec_driver_sql(
            "SELECT next_topic_offset FROM cluster_cursors WHERE partition = %s", (claim.partition,)
        ).scalar_one()
        spanned = connection.exec_driver_sql(
            "SELECT 1 FROM cluster_spans WHERE partition = %s AND topic_id = %s LIMIT 1",
            (claim.partition, claim.topic_id),
        ).scalar()
        return place, spanned is not None


async def _quietly(sending: Awaitable[object]) -> None:
    with suppress(Exception):  # the brokers are away: it is sent again
        await sending
