"""The embedded runtime: one process, one database, one asyncio loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

from engine.core.state import Books
from engine.runtime.clock import Clock
from engine.runtime.followers import Followers
from engine.runtime.judge import Judge
from engine.runtime.metrics import RuntimeMetrics
from engine.runtime.recent import RecentLog
from engine.runtime.worker import Limits, Worker
from engine.store import Store
from schemas import records as r
from schemas.commands import COMMAND, Command
from schemas.deliveries import PendingDelivery
from schemas.errors import StoreUnavailable
from schemas.events import DeliveryDue, DeliveryStarted, LoggedEvent
from schemas.live import LiveState
from schemas.ports import Outcome, Parser

STOP_S = 10.0
"""How long a stop waits for the store to take what was accepted for judging but not answered yet."""


class EmbeddedRuntime:
    """`schemas.ports.Runtime` on one machine. Use `start` and `stop`, in the loop that uses it."""

    def __init__(
        self,
        store: Store,
        parsers: Mapping[str, Parser],
        *,
        follow: Callable[[], object] = lambda: None,
        recent: RecentLog | None = None,
        limits: Limits | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`follow` brings the read models up to the log; it runs in a thread, one call at a time.

        `recent` is where it finds the newest events without reading them back.
        """
        self._judge = Judge(store, parsers)
        self._clock = clock or Clock()
        self._clock.not_before(self._judge.core.now_ms)
        limits = limits or Limits()
        self._worker = Worker(store, self._judge, self._clock, limits, self._publish)
        self._followers = Followers(follow, self._worker.metrics, limits.catch_up_wait_s)
        self._recent = recent
        self._due: asyncio.Queue[PendingDelivery | None] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._in_doubt: set[tuple[str, int]] = set()
        """Attempts whose beginning may be on record although the store could not say so."""

    # --- life ---------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take up work where the journal ends."""
        for pending in self._judge.core.pending_deliveries():
            self._due.put_nowait(pending)
        self._tasks = [
            asyncio.create_task(self._worker.run(), name="tocsin worker"),
            asyncio.create_task(self._followers.run(), name="tocsin followers"),
        ]

    async def stop(self) -> None:
        """Finish what was taken, keep a snapshot, and stop. New inputs are refused."""
        worker, followers = self._tasks
        draining = asyncio.create_task(self._worker.drain())
        await asyncio.wait([draining, worker], return_when=asyncio.FIRST_COMPLETED, timeout=STOP_S)
        await self._followers.caught_up()
        for task in (draining, worker, followers):
            task.cancel()
        await asyncio.gather(draining, worker, followers, return_exceptions=True)
        await self._worker.close()

    def end_deliveries(self) -> None:
        """Order no more attempts: `pending_deliveries` ends. What is not attempted is taken up at the next start."""
        self._due.put_nowait(None)

    async def failed(self) -> None:
        """Return, or raise what went wrong, when the runtime has ended by itself."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    def status(self) -> dict[str, object]:
        """Whether inputs are accepted (``ready``), and what stands against it."""
        running = bool(self._tasks) and not any(task.done() for task in self._tasks)
        store = self._worker.refusal or "ok"
        return {"ready": running and store == "ok", "running": running, "store": store}

    @property
    def metrics(self) -> RuntimeMetrics:
        """What the runtime measures of itself."""
        return self._worker.metrics

    def _publish(self, events: list[LoggedEvent]) -> None:
        """Events have become durable: order what falls due, and let the read models follow."""
        if self._recent is not None:
            self._recent.add(events)
        for logged in events:
            if isinstance(logged.event.data, DeliveryDue):
                pending = self._judge.core.pending_delivery(logged.event.data.delivery)
                if pending is not None and pending.attempt == logged.event.data.attempt:
                    self._due.put_nowait(pending)
        self._followers.committed(events)

    # --- inputs -------------------------------------------------------------------------------------------------

    def now_ms(self) -> int:
        """The engine's clock."""
        return self._clock.now_ms()

    async def receive(self, source: str, format: str, body: bytes) -> Outcome:
        """Journal one body, then judge its alerts."""
        return await self._worker.submit(r.Received(self._clock.now_ms(), source, format, body))

    async def command(self, command: Command, *, actor: str, command_id: str) -> Outcome:
        """Ask for something; raises CommandRejected."""
        body = COMMAND.dump_json(command)
        return await self._worker.submit(r.Commanded(self._clock.now_ms(), command_id, actor, body))

    async def change(self, source: str, body: bytes) -> Outcome:
        """Journal a change event."""
        return await self._worker.submit(r.Changed(self._clock.now_ms(), source, body))

    async def configure(self, body: bytes, *, actor: str) -> Outcome:
        """Put another version of the rules in force; raises CommandRejected (``invalid``)."""
        return await self._worker.submit(r.Configured(self._clock.now_ms(), actor, body))

    async def attempting(self, delivery: str, attempt: int) -> bool:
        """Whether this attempt is still wanted; if so, that it was begun is on record now."""
        asked = (delivery, attempt)
        try:
            outcome = await self._worker.submit(r.Attempting(self._clock.now_ms(), delivery, attempt))
        except StoreUnavailable:
            self._in_doubt.add(asked)
            raise
        if asked in self._in_doubt:
            # If the first asking was recorded after all, this one gives no event; and nothing was handed over yet.
            self._in_doubt.remove(asked)
            begun = {(one.delivery, one.attempt) for one in self._judge.core.pending_deliveries() if one.started}
            return asked in begun
        return any(isinstance(logged.event.data, DeliveryStarted) for logged in outcome.events)

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
        """A channel's answer."""
        await self._worker.submit(
            r.Delivered(
                self._clock.now_ms(), delivery, attempt, outcome, vendor_code, vendor_message_id, reason, retry_after_s
            )
        )

    # --- outputs ------------------------------------------------------------------------------------------------

    async def pending_deliveries(self) -> AsyncIterator[PendingDelivery]:
        """Attempts as they fall due; ends when the runtime stops."""
        while (pending := await self._due.get()) is not None:
            yield pending

    def events(self) -> AsyncIterator[Sequence[LoggedEvent]]:
        """Batches of events, once the read models show them."""
        return self._followers.subscribe()

    async def caught_up(self) -> None:
        """Wait until the read models show all that is committed now."""
        await self._followers.caught_up()

    def live(self) -> LiveState:
        """The alerts and silences as they stand now; ask anew for each answer, a roll-back replaces it."""
        return self._judge.core.live()

    def dispositions(self) -> Books:
        """The books since the beginning, as committed or about to be."""
        return self._judge.core.books()

    @property
    def rules_digest(self) -> str:
        """Digest of the rules in force; empty before any were set."""
        return self._judge.core.rules_digest
