"""One life of Tocsin: composed as `engine.bootstrap.serve` composes it, without the web server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, Engine

from engine.core import Core
from engine.runtime.clock import Clock
from engine.runtime.embedded import EmbeddedRuntime
from engine.runtime.worker import Limits
from engine.store import Store
from notifiers.notifier import Notifier
from notifiers.outbox import Outbox
from projections import Projection, Projector
from schemas.config import Rules
from schemas.ports import Parser
from tests.simulation.memory_store import Disk, MemoryStore, Strike
from tests.simulation.world import Killed, World

T = TypeVar("T")

STOP_S = 5


class Lost(Exception):
    """No answer came: the process died, or the network did."""


class Machine:
    """What a process finds when it starts: disk, read models, channels, configuration."""

    def __init__(self, disk: Disk, parsers: Mapping[str, Parser], strike: Strike) -> None:
        self.disk, self.parsers, self.strike = disk, parsers, strike
        self.rules = Rules()
        self.limits = Limits()
        self.models: Engine | None = None
        self.projections: list[Projection] = []


class Process:
    """A running Tocsin, until it is stopped or killed. After its death none of its calls reaches the world."""

    def __init__(self, world: World, machine: Machine, notifiers: Callable[[Process], Mapping[str, Notifier[Any]]]):
        self._world, self._machine = world, machine
        self.alive = True
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self.started_s = world.now_s
        store = MemoryStore(machine.disk, self._strike)
        store.lock_writer()
        self.clock = Clock(world.wall_ns, lambda: round(world.now_s * 1e9))
        self.runtime = EmbeddedRuntime(
            cast(Store, store), machine.parsers, follow=self._follow, limits=machine.limits, clock=self.clock
        )
        self._store = store
        self._outbox = Outbox(self.runtime, notifiers(self), clock=world.loop.time)
        self._delivering: asyncio.Task[Any] | None = None
        self.steady = (world.now_s, self.clock.now_ms())

    def _strike(self, operation: str, moment: str) -> None:
        if not self.alive:
            raise Killed
        self._machine.strike(operation, moment)

    # --- life ---------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take up work; raises StoreUnavailable, or Lost when it was killed over it."""
        await self.runtime.start()
        self._tasks.update(dict.fromkeys(self.runtime._tasks))
        self._delivering = self.spawn(self._outbox.run())
        if self._machine.rules.digest != self.runtime.rules_digest:
            await self.call(self.runtime.configure(self._machine.rules.canonical(), actor="system"))

    async def stop(self) -> None:
        """End in order, as `engine.bootstrap.serve` does on SIGTERM."""
        assert self._delivering is not None
        self._outbox.stop()
        self.runtime.end_deliveries()
        await asyncio.wait([self._delivering], timeout=STOP_S)
        if self.alive:
            self._delivering.cancel()
            await asyncio.gather(self._delivering, return_exceptions=True)
        if self.alive:
            await self.runtime.stop()
        self.kill()

    def kill(self) -> None:
        """Die now. What is under way sees nothing but its end."""
        self.alive = False
        self._store.close()
        for task in self._tasks:
            task.cancel()

    async def buried(self) -> None:
        """Wait until the last coroutine is gone."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run something that dies with the process."""
        task = self._world.loop.create_task(work)
        self._tasks[task] = None
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[Any]) -> None:
        if self.alive:
            self._tasks.pop(task, None)

    async def call(self, work: Coroutine[Any, Any, T]) -> T:
        """The answer to a request; raises Lost when the process died over it."""
        task = self.spawn(work)
        await asyncio.wait([task])
        if not self.alive or task.cancelled():
            if not task.cancelled():
                task.exception()
            raise Lost
        return task.result()

    # --- what is looked at from outside -------------------------------------------------------------------------

    @property
    def core(self) -> Core:
        """The core as it is now."""
        return self.runtime._judge.core

    @property
    def is_quiet(self) -> bool:
        """Whether the core holds nothing that is not committed."""
        return self.runtime._judge.is_committed

    def ended(self) -> str:
        """Why a part of it has ended by itself; empty while all run."""
        parts = [*self.runtime._tasks, *([self._delivering] if self._delivering else [])]
        return next((repr(part) for part in parts if part.done()), "")

    # --- read models --------------------------------------------------------------------------------------------

    def is_follow(self, work: Any) -> bool:
        """Whether `work`, as a thread gets it, brings the read models up to date: that may take long."""
        return self._follow in work.args

    def _follow(self) -> object:
        machine = self._machine
        if machine.models is None:
            return None
        return Projector(self._writing, self._read_log, machine.projections).catch_up()

    def _read_log(self, partition: int, after: int, limit: int) -> Any:
        return self._store.log(partition=partition, after=after, limit=limit)

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        assert self._machine.models is not None
        self._strike("projections", "before")
        with self._machine.models.begin() as tx:
            yield tx
            self._strike("projections", "inside")
        self._strike("projections", "after")
