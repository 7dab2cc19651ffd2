"""Judge and worker while the store refuses: nothing wrong is kept, nothing spins, nothing ends."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, cast

import msgspec
import pytest

from engine.runtime.clock import Clock
from engine.runtime.embedded import EmbeddedRuntime
from engine.runtime.judge import Judge
from engine.store import Store
from schemas import records as r
from schemas.config import Rules
from schemas.errors import StoreUnavailable
from tests.scenario import NOON, PARSERS, alert
from tests.simulation.loop import VirtualLoop, Work
from tests.simulation.memory_store import Disk, MemoryStore

BODY = msgspec.msgpack.encode([alert()])


class Outage:
    """A store that refuses the operations named in `refused`, and counts what it was asked."""

    def __init__(self) -> None:
        self.refused: frozenset[str] = frozenset()
        self.asked: list[str] = []
        self.store = cast(Store, MemoryStore(Disk(), self._strike))

    def _strike(self, operation: str, moment: str) -> None:
        if moment == "before":
            self.asked.append(operation)
            if operation in self.refused:
                raise StoreUnavailable("refused")


@pytest.mark.parametrize("body", [BODY, b"boom"])
def test_a_state_that_could_not_be_rolled_back_is_not_committed(body: bytes) -> None:
    """Until the store can be read again, the state is not one to keep: a stop in the meantime saves no snapshot."""
    outage = Outage()
    judge = Judge(outage.store, PARSERS)
    before = judge.core.snapshot()
    outage.refused = frozenset({"read"})
    record = r.Received(NOON, "test", "test", body)
    if body == BODY:
        judge.judge(record)
    else:
        with pytest.raises(StoreUnavailable):
            judge.judge(record)
    with pytest.raises(StoreUnavailable):
        judge.roll_back()
    assert not judge.is_committed
    outage.refused = frozenset()
    judge.roll_back()
    assert judge.is_committed
    assert judge.core.snapshot() == before


def play(loop: VirtualLoop, story: Coroutine[Any, Any, None]) -> None:
    """Run a story on virtual time, with threads that need none."""

    def work(_writer: bool, work: Work, future: asyncio.Future[Any]) -> None:
        try:
            future.set_result(work())
        except Exception as error:  # noqa: BLE001 - as an executor does
            future.set_exception(error)

    loop.work = work
    try:
        loop.run_until_complete(story)
    finally:
        loop.close()


def runtime_on(outage: Outage, loop: VirtualLoop) -> EmbeddedRuntime:
    """A runtime on virtual time."""

    def now_ns() -> int:
        return NOON * 1_000_000 + round(loop.now_s * 1e9)

    return EmbeddedRuntime(outage.store, PARSERS, clock=Clock(now_ns, now_ns))


def test_a_full_disk_is_not_stormed() -> None:
    """A timer that is due is tried again with growing waits while commits are refused, and rings afterwards."""
    outage, loop = Outage(), VirtualLoop()

    async def story() -> None:
        runtime = runtime_on(outage, loop)
        await runtime.start()
        await runtime.configure(Rules(rollup_s=1).canonical(), actor="test")
        await runtime.receive("test", "test", BODY)
        outage.refused, outage.asked = frozenset({"append"}), []
        await asyncio.sleep(60)
        assert 10 < outage.asked.count("append") < 20
        outage.refused = frozenset()
        await asyncio.sleep(6)
        assert runtime.status()["store"] == "ok"
        await runtime.stop()

    play(loop, story())


def test_poison_in_an_outage_ends_nothing() -> None:
    """A record on which the core fails while the store cannot be read is refused, and the next one is taken."""
    outage, loop = Outage(), VirtualLoop()

    async def story() -> None:
        runtime = runtime_on(outage, loop)
        await runtime.start()
        outage.refused = frozenset({"read"})
        with pytest.raises(StoreUnavailable):
            await runtime.receive("test", "test", b"boom")
        outage.refused = frozenset()
        await asyncio.sleep(1)
        outcome = await runtime.receive("test", "test", BODY)
        assert outcome.dispositions == {"opened": 1}
        await runtime.stop()

    play(loop, story())
