"""Followers of the log: the read models first, then live pages, both behind the commit and never before it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress

import structlog

from engine.runtime.metrics import RuntimeMetrics
from schemas.errors import StoreUnavailable
from schemas.events import LoggedEvent

SUBSCRIBER_BATCHES = 256
"""Batches kept for a slow live page; beyond it the oldest is dropped (the page reads the database anyway)."""
RETRY_S = 0.5
GATHER_S = 0.05
"""Events gather for so long before the read models take them: on SQLite both write under one lock, and every catch-up
has costs of its own. Whoever waits in `caught_up` is not made to wait for it."""

log = structlog.get_logger(__name__)

Subscription = asyncio.Queue[Sequence[LoggedEvent]]


class Followers:
    """Runs `follow` in a thread whenever events were committed, then hands them to the subscribers."""

    def __init__(self, follow: Callable[[], object], metrics: RuntimeMetrics, wait_s: float) -> None:
        self._follow, self._metrics, self._wait_s = follow, metrics, wait_s
        self._committed: list[LoggedEvent] = []
        self._wake = asyncio.Event()
        self._wake.set()  # once at the start, for what an earlier process left behind
        self._hurry = asyncio.Event()
        self._behind = asyncio.Condition()
        self._done = 0
        self._wanted = 0
        self._subscriptions: set[Subscription] = set()

    def committed(self, events: Sequence[LoggedEvent]) -> None:
        """These events are in the log now."""
        self._committed.extend(events)
        self._wanted += len(events)
        self._metrics.projection_lag.set(self._wanted - self._done)
        self._wake.set()

    async def run(self) -> None:
        """Follow for ever."""
        while True:
            await self._wake.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(GATHER_S):
                    await self._hurry.wait()
            self._wake.clear()
            self._hurry.clear()
            await self._step()

    async def _step(self) -> None:
        batch, self._committed = self._committed, []
        while True:
            try:
                await asyncio.to_thread(self._follow)
                break
            except StoreUnavailable as refused:
                log.warning("read_models_wait", problem=str(refused))
                await asyncio.sleep(RETRY_S)
        async with self._behind:
            self._done += len(batch)
            self._behind.notify_all()
        self._metrics.projection_lag.set(self._wanted - self._done)
        if batch:
            for subscription in self._subscriptions:
                if subscription.full():
                    subscription.get_nowait()
                subscription.put_nowait(batch)

    async def caught_up(self) -> None:
        """Wait until everything committed before the call has been followed, `wait_s` at most."""
        wanted = self._wanted
        if self._done < wanted:
            self._hurry.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._wait_s), self._behind:
                await self._behind.wait_for(lambda: self._done >= wanted)

    async def subscribe(self) -> AsyncIterator[Sequence[LoggedEvent]]:
        """Batches of followed events from now on."""
        subscription: Subscription = asyncio.Queue(SUBSCRIBER_BATCHES)
        self._subscriptions.add(subscription)
        try:
            while True:
                yield await subscription.get()
        finally:
            self._subscriptions.discard(subscription)
