"""The cluster as the web tier and the outbox see it: `schemas.ports.Runtime` over the topic and the database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence

from engine.core.state import Books
from engine.runtime.cluster import outcomes
from engine.runtime.cluster.board import Board
from engine.runtime.cluster.deliveries import ClusterDeliveries
from engine.runtime.cluster.routing import HOME, Cutter, is_for_all, partition_of
from engine.runtime.metrics import RuntimeMetrics
from engine.store import Store
from schemas import records as r
from schemas.clusters import Cluster
from schemas.commands import COMMAND, Command, Merge
from schemas.errors import CommandRejected, StoreUnavailable
from schemas.events import LoggedEvent
from schemas.live import LiveState
from schemas.ports import Outcome

CATCH_UP_WAIT_S = 2.0
BOOKS_S = 2.0
"""The books are read from the database at most so often."""
LOG_CHUNK = 500


class ClusterRuntime(ClusterDeliveries):
    """`schemas.ports.Runtime` for a process that decides nothing itself. Use `start` and `stop` in its loop."""

    def __init__(
        self, store: Store, cluster: Cluster, cutter: Cutter, board: Board, books: Callable[[], Books]
    ) -> None:
        """`books` reads the ledger; `board` is run by whoever made it."""
        super().__init__(store, cluster, board)
        self._cutter, self._read_books = cutter, books
        self._books: tuple[float, Books] = (-BOOKS_S, {})
        self._metrics = RuntimeMetrics()
        self._homes: dict[str, int] = {}
        self._listening: asyncio.Task[None] | None = None

    async def start(self, topic_id: str) -> None:
        """Connect to the topic. Raises StoreUnavailable."""
        self.topic_id = topic_id
        await self._board.look()
        await self.sender.start()
        self._listening = asyncio.create_task(self._board.run(), name="board")

    async def stop(self) -> None:
        """Send what waits, and disconnect."""
        await self.sender.close()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)

    async def failed(self) -> None:
        """Raise what went wrong when the runtime has ended by itself."""
        assert self._listening is not None
        await asyncio.wait([self._listening])
        self._listening.result()

    def status(self) -> dict[str, object]:
        """Whether inputs are accepted (``ready``), and what stands against it."""
        journal = self.sender.refusal or "ok"
        return {"ready": bool(self.topic_id) and journal == "ok", "running": bool(self.topic_id), "journal": journal}

    @property
    def metrics(self) -> RuntimeMetrics:
        """What this process measures of itself."""
        return self._metrics

    # --- inputs -----------------------------------------------------------------------------------------------------

    def now_ms(self) -> int:
        """This process's clock."""
        return self.clock.now_ms()

    async def receive(self, source: str, format: str, body: bytes) -> Outcome:
        """Keep one body in the topic, a piece for each scope. It is answered before it is decided.

        Where not every piece was kept this raises, and the sender sends all again: what came twice is only repeated.
        """
        at_ms = self.clock.now_ms()
        cut = self._cutter.cut(format, body, at_ms)
        places = await asyncio.gather(
            *(self.sender.send(one.scope, r.Received(at_ms, source, one.format, one.body)) for one in cut.pieces)
        )
        first = places[0]
        return Outcome(first.partition, first.offset, (), {}, False, cut.received, cut.problems)

    async def command(self, command: Command, *, actor: str, command_id: str) -> Outcome:
        """Ask for something, and wait for the decision. Raises CommandRejected, and NotDecidedYet after a while."""
        record = r.Commanded(self.clock.now_ms(), command_id, actor, COMMAND.dump_json(command))
        if is_for_all(command):
            others = range(1, self._cluster.partitions)
            await asyncio.gather(*(self.sender.send(HOME, record, partition=number) for number in others))
        partition, scope = await self._home_of(command)
        place = await self.sender.send(scope, record, partition=partition)
        return await self._decision(place)

    async def _home_of(self, command: Command) -> tuple[int, str]:
        """The partition where a command is decided, and its key."""
        incident = getattr(command, "incident", None)
        if not isinstance(incident, str):
            scope = getattr(command, "scope", None) or HOME
            return partition_of(scope, self._cluster.partitions), scope
        partition = await self._partition_of_incident(incident)
        if isinstance(command, Merge) and await self._partition_of_incident(command.into) != partition:
            raise CommandRejected("other_scope", f"{incident} and {command.into} are of different scopes: link them")
        return partition, incident

    async def _partition_of_incident(self, incident: str) -> int:
        known = self._homes.get(incident)
        if known is not None:
            return known
        found = await asyncio.to_thread(outcomes.partition_of_subject, self._store.engine, f"incident/{incident}")
        if found is None:
            return 0  # nobody knows it: the core there says so
        if len(self._homes) > 50_000:
            self._homes.clear()
        self._homes[incident] = found
        return found

    # --- outputs ----------------------------------------------------------------------------------------------------

    async def events(self) -> AsyncIterator[Sequence[LoggedEvent]]:
        """Batches of events, once the read models show them."""
        seen = dict(self._board.shown)
        while True:
            behind = {partition: seq for partition, seq in self._board.shown.items() if seq > seen.get(partition, -1)}
            if not behind:
                await self._board.changed()
                continue
            for partition, upto in behind.items():
                after = seen.get(partition, -1)
                try:
                    events = await asyncio.to_thread(self._store.log, partition=partition, after=after, limit=LOG_CHUNK)
                except StoreUnavailable:
                    await asyncio.sleep(0.5)
                    continue
                seen[partition] = events[-1].seq if events else upto
                if events:
                    yield events

    async def caught_up(self) -> None:
        """Wait until the read models show what this process was told of (two seconds at most)."""
        told = dict(self._told)
        shown = self._board.shown
        await self._board.until(
            lambda: all(shown.get(partition, -1) >= seq for partition, seq in told.items()), CATCH_UP_WAIT_S
        )

    def live(self) -> LiveState:
        """The state itself is in the workers: a web process has the read models only. Raises StoreUnavailable."""
        raise StoreUnavailable("the live state of alerts is in the workers of the cluster, not in this process")

    def dispositions(self) -> Books:
        """The books at their last roll-ups."""
        read_s, books = self._books
        if time.monotonic() - read_s >= BOOKS_S:
            books = self._read_books()
            self._books = (time.monotonic(), books)
        return books
