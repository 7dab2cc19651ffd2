"""What the outbox asks of a cluster: that an attempt is begun by one worker only, and that its answer is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from engine.runtime.clock import Clock
from engine.runtime.cluster import outcomes
from engine.runtime.cluster.board import Board
from engine.runtime.cluster.feed import DeliveryFeed
from engine.runtime.cluster.routing import HOME
from engine.runtime.cluster.sender import Place, Sender
from engine.store import Store
from schemas import records as r
from schemas.clusters import Cluster
from schemas.deliveries import PendingDelivery
from schemas.errors import NotDecidedYet, StoreUnavailable
from schemas.events import DeliveryStarted
from schemas.ports import Outcome


class ClusterDeliveries:
    """The part of `schemas.ports.Runtime` that is about deliveries and changes, and the decisions that it waits for."""

    def __init__(self, store: Store, cluster: Cluster, board: Board) -> None:
        self._store, self._cluster, self._board = store, cluster, board
        self.clock = Clock()
        self.sender = Sender(cluster, max_pending=10_000)
        self.feed = DeliveryFeed()
        self.topic_id = ""
        self._told: dict[int, int] = {}
        """The last event of each partition that somebody here was told of."""
        self._asked: dict[tuple[str, int], set[int]] = {}
        """When this process asked to begin an attempt."""

    async def change(self, source: str, body: bytes) -> Outcome:
        """Keep a change event."""
        place = await self.sender.send(HOME, r.Changed(self.clock.now_ms(), source, body))
        return Outcome(place.partition, place.offset, (), {}, False)

    async def attempting(self, delivery: str, attempt: int) -> bool:
        """Whether this attempt is ours to make; if so, that it was begun is on record now.

        Another worker, which held the partition before, may have asked for the same attempt: one of the two gets it.
        """
        at_ms = self.clock.now_ms()
        asked = self._asked.setdefault((delivery, attempt), set())
        asked.add(at_ms)
        self.feed.asking(delivery, attempt)
        partition = self.feed.partition_of(delivery)
        place = await self.sender.send(delivery, r.Attempting(at_ms, delivery, attempt), partition=partition)
        while True:
            try:
                outcome = await self._decision(place, 3600)
                begun_ms = await asyncio.to_thread(outcomes.started_at_ms, self._store.engine, delivery, attempt)
                break
            except (StoreUnavailable, NotDecidedYet):
                await asyncio.sleep(0.5)
        if any(isinstance(logged.event.data, DeliveryStarted) for logged in outcome.events):
            return True
        return begun_ms is not None and begun_ms in asked

    async def delivered(
        self,
        delivery: str,
        attempt: int,
        outcome: str,
        *,
        vendor_code: str = "",
        vendor_message_id: str = "",
        reason: str = "",
        retry_after_s: int | None = None,
    ) -> None:
        """A channel's answer; returns when the topic has it."""
        record = r.Delivered(
            self.clock.now_ms(), delivery, attempt, outcome, vendor_code, vendor_message_id, reason, retry_after_s
        )
        await self.sender.send(delivery, record, partition=self.feed.partition_of(delivery))
        self._asked.pop((delivery, attempt), None)

    async def pending_deliveries(self) -> AsyncIterator[PendingDelivery]:
        """Attempts of the partitions that this process holds, as they fall due; in a web process there are none."""
        async for pending in self.feed.pending():
            yield pending

    async def _decision(self, place: Place, wait_s: float | None = None) -> Outcome:
        limit_s = self._cluster.decision_wait_s if wait_s is None else wait_s
        if not await self._board.until(lambda: self._is_decided(place), limit_s):
            raise NotDecidedYet(place.partition, place.offset)
        decided = await asyncio.to_thread(outcomes.read_outcome, self._store.engine, self.topic_id, place)
        if decided.rejected is not None:
            raise decided.rejected
        if decided.outcome.events:
            self._told[place.partition] = max(self._told.get(place.partition, -1), decided.outcome.events[-1].seq)
        return decided.outcome

    def _is_decided(self, place: Place) -> bool:
        return self._board.decided.get(place.partition, -1) > place.offset
