"""The crew: the shifts of one worker, begun and ended as the consumer group assigns partitions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from time import perf_counter

import structlog

from engine.runtime.cluster.board import Board, Crier
from engine.runtime.cluster.claims import Claim, Fenced
from engine.runtime.cluster.runtime import ClusterRuntime
from engine.runtime.cluster.sender import Place
from engine.runtime.cluster.shift import Arrival, Duty, Shift
from engine.store import Store
from schemas import records as r
from schemas.deliveries import PendingDelivery
from schemas.errors import StoreUnavailable, TocsinError
from schemas.events import DeliveryDue, DeliveryStarted, LoggedEvent
from schemas.ports import Parser

CLAIM_WAIT_S = 5.0
"""How long an assignment waits for the claims before the source begins to read; later ones are read again."""
GATHER_S = 0.05
"""Events gather for so long before the read models take them: every catch-up has costs of its own."""
FOLLOW_RETRY_S = 0.5
GRACE_S = 15.0
"""Longer than the group's session: how long an attempt that another worker began may still be answered by it."""

Rewind = Callable[[int, int], Awaitable[object]]
Rules = Callable[[int, str], Awaitable[object]]
"""Told of a partition and the digest of its rules; puts other rules in force where these are not the cluster's."""

log = structlog.get_logger(__name__)


class Crew:
    """Told by the source which partitions are ours; `rewind` is set by the source before it begins."""

    rewind: Rewind

    def __init__(
        self,
        store: Store,
        runtime: ClusterRuntime,
        board: Board,
        parsers: Mapping[str, Parser],
        follow: Callable[[Claim], object],
        rules: Rules,
    ) -> None:
        """`follow` brings the read models up to one partition's log; it runs in a thread."""
        self._runtime, self._board, self._follow, self._rules = runtime, board, follow, rules
        self._crier = Crier(store.engine)
        self.worker = ""
        self.snapshot_every = 20_000
        self._store, self._parsers = store, parsers
        self.shifts: dict[int, Shift] = {}
        self._tasks: dict[int, list[asyncio.Task[None]]] = {}
        self._wakes: dict[int, asyncio.Event] = {}
        self._configuring: set[asyncio.Task[None]] = set()
        self._changing = asyncio.Lock()
        self.assignments = 0
        """How often the group has assigned partitions to this worker."""

    # --- what the source does ---------------------------------------------------------------------------------------

    async def assigned(self, partitions: Iterable[int]) -> None:
        """These partitions are ours from now on, and no others."""
        wanted = set(partitions)
        async with self._changing:
            self.assignments += 1
            gone = [number for number in self.shifts if number not in wanted or self.shifts[number].fenced]
            await asyncio.gather(*(self._end(number) for number in gone))
            for number in sorted(wanted - set(self.shifts)):
                self._begin(number)
            claims = [shift.claimed.wait() for shift in self.shifts.values()]
            with suppress(TimeoutError):
                async with asyncio.timeout(CLAIM_WAIT_S):
                    await asyncio.gather(*claims)
        log.info("partitions_assigned", partitions=sorted(wanted))

    def revoked(self) -> None:
        """The group is being arranged anew: what waits will come again, here or elsewhere."""
        for shift in self.shifts.values():
            shift.drop()

    async def places(self) -> dict[int, int]:
        """Where each of our partitions is to be read on."""
        held = {number: shift for number, shift in self.shifts.items() if shift.claim is not None}
        found = await asyncio.gather(*(shift.place() for shift in held.values()))
        return dict(zip(held, found, strict=True))

    async def put(self, arrival: Arrival) -> None:
        """Let a message wait its turn; one of a partition that is not ours is left to its holder."""
        shift = self.shifts.get(arrival.partition)
        if shift is not None and not shift.fenced:
            await shift.put(arrival)

    async def run(self) -> None:
        """Tell the other processes, and take lost partitions up again that are still ours; until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._crier.run(), name="crier")
            group.create_task(self._take_up_again(), name="take up again")

    async def close(self) -> None:
        """End all shifts; the batches under way are finished."""
        async with self._changing:
            await asyncio.gather(*(self._end(number) for number in list(self.shifts)))

    # --- shifts -----------------------------------------------------------------------------------------------------

    def _begin(self, partition: int) -> None:
        duty = Duty(
            self._store, self._parsers, self._runtime.clock, self._runtime.metrics, self.worker,
            self._runtime.topic_id, self.snapshot_every, self._tick, self._rewind, self._committed, self._loaded,
        )  # fmt: skip
        shift = self.shifts[partition] = Shift(partition, duty)
        self._wakes[partition] = asyncio.Event()
        self._wakes[partition].set()
        self._tasks[partition] = [
            asyncio.create_task(self._work(shift), name=f"partition {partition}"),
            asyncio.create_task(self._keep_following(shift), name=f"read models {partition}"),
        ]

    async def _work(self, shift: Shift) -> None:
        try:
            await shift.run()
        except TocsinError as wrong:
            log.error("partition_stopped", partition=shift.partition, problem=str(wrong))
            shift.fenced = True

    async def _end(self, partition: int) -> None:
        shift = self.shifts.pop(partition)
        working, following = self._tasks.pop(partition)
        following.cancel()
        await shift.close()
        working.cancel()
        await asyncio.gather(working, following, return_exceptions=True)

    async def _take_up_again(self) -> None:
        """A partition that we lost although the group has not taken it from us: claim it again, after a while."""
        while True:
            await asyncio.sleep(GRACE_S)
            before = self.assignments
            fenced = [number for number, shift in self.shifts.items() if shift.fenced]
            if not fenced:
                continue
            await asyncio.sleep(GRACE_S)
            if self.assignments == before:
                await self.assigned(list(self.shifts))
                for number, place in (await self.places()).items():
                    await self._rewind(number, place)

    async def _tick(self, partition: int, tick: r.Tick) -> Place:
        return await self._runtime.sender.send("", tick, partition=partition)

    async def _rewind(self, partition: int, place: int) -> None:
        await self.rewind(partition, place)

    # --- behind the commit ------------------------------------------------------------------------------------------

    def _loaded(self, shift: Shift) -> None:
        assert shift.judge is not None
        for pending in shift.judge.core.pending_deliveries():
            self._offer(shift, pending)
        if shift.expected:
            self._crier.tell("d", shift.partition, shift.expected)
        digest = shift.judge.core.rules_digest
        configuring = asyncio.create_task(self._configure(shift.partition, digest))
        self._configuring.add(configuring)
        configuring.add_done_callback(self._configuring.discard)

    async def _configure(self, partition: int, digest: str) -> None:
        try:
            await self._rules(partition, digest)
        except TocsinError as refused:
            log.warning("rules_not_sent", partition=partition, problem=str(refused))

    def _offer(self, shift: Shift, pending: PendingDelivery) -> None:
        if pending.started:
            self._runtime.feed.watch(shift.partition, pending, GRACE_S, lambda one: _is_started(shift, one))
        else:
            self._runtime.feed.offer(shift.partition, pending)

    def _committed(self, shift: Shift, events: Sequence[LoggedEvent]) -> None:
        assert shift.judge is not None
        core = shift.judge.core
        for logged in events:
            data = logged.event.data
            if isinstance(data, DeliveryDue):
                due = core.pending_delivery(data.delivery)
                if due is not None and due.attempt == data.attempt:
                    self._offer(shift, due)
            elif isinstance(data, DeliveryStarted):
                for begun in core.pending_deliveries():
                    if begun.delivery == data.delivery and begun.started:
                        self._offer(shift, begun)
        self._board.note("d", shift.partition, shift.expected)
        self._crier.tell("d", shift.partition, shift.expected)
        if events:
            self._wakes[shift.partition].set()

    async def _keep_following(self, shift: Shift) -> None:
        """Let the read models of the partition follow its log, as long as the partition is ours."""
        wake = self._wakes[shift.partition]
        await shift.claimed.wait()
        while shift.claim is not None and not shift.fenced:
            await wake.wait()
            await asyncio.sleep(GATHER_S)
            wake.clear()
            upto = shift.judge.position.next_seq - 1 if shift.judge is not None and shift.judge.is_committed else -1
            try:
                await asyncio.to_thread(self._follow, shift.claim)
            except StoreUnavailable as refused:
                log.warning("read_models_wait", partition=shift.partition, problem=str(refused))
                await asyncio.sleep(FOLLOW_RETRY_S)
                wake.set()
                continue
            except Fenced:
                return
            self._crier.tell("s", shift.partition, upto)
            self._board.note("s", shift.partition, upto)

    # --- how it goes ------------------------------------------------------------------------------------------------

    def held(self) -> list[int]:
        """The partitions that are ours at present."""
        return [number for number, shift in self.shifts.items() if shift.judge is not None and not shift.fenced]

    def stuck(self, ends: Mapping[int, int], after_s: float) -> list[int]:
        """Partitions of ours with records to read that have not moved for so long. Their database is not the reason."""
        now_s = perf_counter()
        return [
            number
            for number, shift in self.shifts.items()
            if ends.get(number, 0) > shift.expected
            and now_s - shift.moved_s > after_s
            and not shift.refusal
            and shift.judge is not None
        ]


def _is_started(shift: Shift, pending: PendingDelivery) -> bool:
    if shift.judge is None or shift.fenced:
        return False
    return any(
        one.started and (one.delivery, one.attempt) == (pending.delivery, pending.attempt)
        for one in shift.judge.core.pending_deliveries()
    )
