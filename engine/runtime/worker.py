"""The worker: judges what arrived and commits it, batch by batch. The only one that touches the core.

Inputs that arrive while a commit is under way are judged together and committed by the next one (group commit):
one fsync a batch, and every caller is answered only after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

import msgspec
import structlog

from engine.core import Decision
from engine.runtime.clock import Clock
from engine.runtime.inbox import MAX_BATCH, Inbox, Waiting
from engine.runtime.judge import Judge
from engine.runtime.metrics import RuntimeMetrics
from engine.store import Entry, Store
from schemas import records as r
from schemas.errors import ConcurrencyConflict, Overloaded, StoreUnavailable
from schemas.events import LoggedEvent
from schemas.ports import Outcome

ROLL_BACK_WAIT_S = 0.5
"""Between attempts to read the store again after it refused a commit."""
REFUSED_WAIT_S = 5.0
"""The longest wait between two commits while the store refuses all of them."""

log = structlog.get_logger(__name__)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much may wait, and how often the state is kept."""

    max_pending: int = 10_000
    max_pending_bytes: int = 64 * 1024 * 1024
    snapshot_every: int = 20_000
    look_at_clock_s: float = 10.0
    """A machine's clock that is set forward, or a machine that slept, is noticed within so long."""
    catch_up_wait_s: float = 5.0
    """How long whoever has sent a command waits at most for the read models to show what it did."""


_Judged = tuple[Waiting, Entry, Decision]


class Worker:
    """One queue, one judge, one writer thread. `publish` gets the events of each batch once they are durable."""

    def __init__(
        self, store: Store, judge: Judge, clock: Clock, limits: Limits, publish: Callable[[list[LoggedEvent]], None]
    ) -> None:
        self._store, self._judge, self._clock, self._limits, self._publish = store, judge, clock, limits, publish
        self._inbox = Inbox(limits.max_pending, limits.max_pending_bytes)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="tocsin-writer")
        self._stopping = False
        self._busy = False
        self.refusal = ""
        """Why the store does not take commits at present; empty while it does."""
        self._refusals = 0
        """Commits that it refused since the last one that it took."""
        self._since_snapshot = 0
        self._published_seq = judge.position.next_seq
        """The seq of the next event to be published: all before it are durable and were handed on."""
        self.metrics = RuntimeMetrics()

    async def submit(self, record: r.Record) -> Outcome:
        """Queue a record and wait until it is durable.

        Raises Overloaded and StoreUnavailable (nothing was taken), CommandRejected (taken, but it changes nothing).
        """
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        try:
            if self._stopping:
                raise Overloaded
            self._inbox.put(Waiting(record, answer))
        except Overloaded:
            self.metrics.refused.labels("overloaded").inc()
            raise
        return await answer

    async def drain(self) -> None:
        """Refuse what comes, and return when what was taken is answered."""
        self._stopping = True
        while self._busy or self._inbox:
            await asyncio.sleep(0.005)

    async def close(self) -> None:
        """Keep the state for a quick start. Call it after `run` has ended."""
        self._writer.shutdown(wait=True)
        if not self._judge.is_committed:
            return
        try:
            self._store.save_snapshot(self._judge.snapshot())
        except StoreUnavailable as gone:
            log.warning("snapshot_not_saved", problem=str(gone))

    async def run(self) -> None:
        """Work until cancelled. Returns by itself only when another writer has taken the database over."""
        while True:
            self._busy = False
            batch = await self._gather()
            self._busy = True
            judged: list[_Judged] = []
            try:
                # A record on which the core fails is judged behind a restored state: that reads the store.
                judged = [(waiting, *self._judge.judge(waiting.record)) for waiting in batch]
                started = perf_counter()
                entries = [entry for _, entry, _ in judged]
                await asyncio.get_running_loop().run_in_executor(self._writer, self._store.append, entries)
            except StoreUnavailable as refused:
                self.metrics.refused.labels("store").inc(len(batch))
                _refuse(batch, refused)
                await self._recover(len(judged), refused)
                continue
            except ConcurrencyConflict as lost:
                log.error("writer_lost", problem=str(lost))
                _refuse(batch, StoreUnavailable(str(lost)))
                return
            self._judge.committed()
            self.refusal, self._refusals = "", 0
            self.metrics.commit_s.observe(perf_counter() - started)
            self._answer(judged)
            await self._keep_snapshot(len(batch))

    async def _gather(self) -> list[Waiting]:
        """The inputs that wait now, at least one; a `Tick` first when a timer is due."""
        batch: list[Waiting] = []
        while not batch:
            due_ms = self._judge.core.next_due_ms()
            wait_s = None if due_ms is None else (due_ms - self._clock.now_ms()) / 1000
            if wait_s is not None and wait_s <= 0:
                batch.append(Waiting(r.Tick(self._clock.now_ms()), None))
            elif self._inbox:
                break
            else:
                await self._inbox.filled(None if wait_s is None else min(wait_s, self._limits.look_at_clock_s))
        batch += self._inbox.take(MAX_BATCH - len(batch))
        self.metrics.pending.set(len(self._inbox))
        return batch

    async def _recover(self, records: int, refused: StoreUnavailable) -> None:
        """Nobody knows that anything of the batch was taken: go back to what the store has.

        Its callers were told so. Each refusal in a row makes the next attempt come later: a due timer would otherwise
        try again at once, and restore the whole state each time, for as long as a disk is full.
        """
        log.error("commit_refused", problem=str(refused), records=records)
        self.refusal = str(refused)
        self._refusals += 1
        while True:
            try:
                await asyncio.to_thread(self._judge.roll_back)
                # What was committed while only the database's answer was lost: what it ordered must still be done.
                self._hand_on(await asyncio.to_thread(self._judge.logged_from, self._published_seq))
                if self._refusals > 1:
                    await asyncio.sleep(min(ROLL_BACK_WAIT_S * 2 ** min(self._refusals - 2, 10), REFUSED_WAIT_S))
                return
            except StoreUnavailable as still:
                log.warning("store_unavailable", problem=str(still))
                _refuse(self._inbox.take_all(), still)
                await asyncio.sleep(ROLL_BACK_WAIT_S)

    def _hand_on(self, events: list[LoggedEvent]) -> None:
        if events:
            self._published_seq = events[-1].seq + 1
            self._publish(events)

    def _answer(self, judged: Sequence[_Judged]) -> None:
        events: list[LoggedEvent] = []
        self.metrics.batch_records.observe(len(judged))
        self.metrics.count(entry for _, entry, _ in judged)
        for waiting, entry, decision in judged:
            events.extend(entry.events)
            if waiting.answer is None or waiting.answer.done():
                continue
            if decision.rejected is not None:
                waiting.answer.set_exception(decision.rejected)
            else:
                waiting.answer.set_result(Outcome(0, entry.offset, entry.events, decision.dispositions))
        self._hand_on(events)

    async def _keep_snapshot(self, records: int) -> None:
        self._since_snapshot += records
        if self._since_snapshot < self._limits.snapshot_every:
            return
        self._since_snapshot = 0
        snapshot = self._judge.snapshot()
        try:
            await asyncio.get_running_loop().run_in_executor(self._writer, self._store.save_snapshot, snapshot)
        except StoreUnavailable as refused:
            log.warning("snapshot_not_saved", problem=str(refused))


def _refuse(batch: Sequence[Waiting], reason: StoreUnavailable) -> None:
    for waiting in batch:
        if waiting.answer is not None and not waiting.answer.done():
            waiting.answer.set_exception(reason)
