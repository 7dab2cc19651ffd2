"""Tocsin as the others see it: sometimes there, sometimes not, and each time another process on the same disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from engine.runtime.embedded import EmbeddedRuntime
from schemas.errors import StoreUnavailable
from tests.simulation.audit import Auditor
from tests.simulation.channels import Channel, Hands
from tests.simulation.faults import Faults
from tests.simulation.loop import Work
from tests.simulation.process import Lost, Machine, Process
from tests.simulation.world import Killed, World

T = TypeVar("T")

CHANNELS = ("chat", "mail", "phone")


class Tocsin:
    """Starts Tocsin, and starts it again whenever it has died."""

    def __init__(self, world: World, machine: Machine, auditor: Auditor) -> None:
        self._world, self.machine, self.auditor = world, machine, auditor
        self.faults = Faults(world, self.crash)
        machine.strike = self.faults.strike
        self.hands = Hands(auditor.pages.handed, self.crash)
        self.process: Process | None = None
        self.lives = 0
        self._dead: list[Process] = []
        self._starting: asyncio.Task[None] | None = None
        self._born: Process | None = None
        world.loop.work = self._work
        self._lost_answers = world.dice.choice((0.0, 0.05, 0.2))
        self._latency_s = world.dice.choice((0.002, 0.05, 2.0))
        self._follow_s = world.dice.choice((0.5, 20.0, 200.0))

    # --- life and death -----------------------------------------------------------------------------------------

    def begin(self, after_s: float = 0.0) -> None:
        """Start a process, and another one should that fail."""
        self._starting = self._world.loop.create_task(self._begin(after_s))

    async def _begin(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        while True:
            self.lives += 1
            try:
                self._born = None
                process = self._born = Process(self._world, self.machine, self._notifiers)
                await process.start()
            except (StoreUnavailable, Lost, Killed) as failed:
                self._world.saw(f"start failed: {type(failed).__name__}")
                self._bury(self._born)
                self.machine.disk.writer = None
                await asyncio.sleep(5)
                continue
            self.process = process
            self._world.disturb(f"life {self.lives} begins at offset {process.runtime._judge.position.next_offset}")
            if self.machine.disk.partition().snapshots:
                self._world.saw("started from a snapshot")
            return

    def crash(self, where: str) -> None:
        """The process dies here and now; a supervisor starts another."""
        if self._born is None or not self._born.alive:
            if self._starting is not None and not self._starting.done():
                self._world.saw("crash: while it starts")
            return
        self._world.disturb(f"CRASH {where}")
        self._bury(self._born)
        if self.process is not None:
            self.process = None
            self.begin(self._world.about(self._world.dice.choice((0.5, 30, 900))))

    def _bury(self, process: Process | None) -> None:
        if process is not None:
            process.kill()
            self._dead.append(process)

    def stop(self) -> None:
        """Somebody restarts Tocsin in order."""
        if self.process is not None:
            self._world.saw("orderly restart")
            self._world.disturb("orderly stop")
            stopping, self.process = self.process, None
            self._starting = self._world.loop.create_task(self._restart(stopping))

    async def _restart(self, process: Process) -> None:
        try:
            await process.stop()
        except Killed:
            self._world.saw("crash: while it stops")
        self._bury(process)
        await self._begin(1)

    async def end(self) -> None:
        """The history is over."""
        if self.process is not None:
            self._bury(self.process)
        for process in self._dead:
            await process.buried()

    def _notifiers(self, process: Process) -> dict[str, Channel]:
        return {name: Channel(self._world, process, name, self.hands) for name in CHANNELS}

    # --- threads ------------------------------------------------------------------------------------------------

    def _work(self, writer: bool, work: Work, future: asyncio.Future[Any]) -> None:
        """A thread's work: done at some moment, seen by the loop at a later one."""
        owner = self._born
        follows = owner is not None and not writer and owner.is_follow(work)
        mean_s = 0.01 if self._world.calm else self._follow_s if follows else self._latency_s

        def do() -> None:
            if owner is None or not owner.alive:
                return
            try:
                result, failed = work(), None
            except Killed:
                return
            except Exception as error:  # noqa: BLE001 - as an executor does: it belongs to whoever awaits
                result, failed = None, error
            self._world.loop.call_later(self._world.about(mean_s), see, result, failed)

        def see(result: object, failed: Exception | None) -> None:
            if future.done():
                return
            if failed is None:
                future.set_result(result)
            else:
                future.set_exception(failed)

        self._world.loop.call_later(self._world.about(mean_s), do)

    # --- the network in front of it -----------------------------------------------------------------------------

    async def travel(self) -> None:
        """A message is on its way."""
        await asyncio.sleep(self._world.about(self._world.dice.choice((0.01, 0.01, 1.0, 40.0))))

    async def wait(self, seconds: float) -> None:
        """Somebody waits."""
        await asyncio.sleep(seconds)

    async def call(self, ask: Callable[[EmbeddedRuntime], Coroutine[Any, Any, T]]) -> T:
        """A request to whichever process is there; raises Lost when there is none, or when it dies over it."""
        if self.process is None:
            raise Lost
        return await self.process.call(ask(self.process.runtime))

    def answer_is_lost(self) -> bool:
        """Whether the network loses this answer on its way back."""
        lost = not self._world.calm and self._world.chance(self._lost_answers)
        if lost:
            self._world.saw("answer lost on its way")
        return lost
