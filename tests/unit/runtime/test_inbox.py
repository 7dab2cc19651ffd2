"""What waits is bounded."""

from __future__ import annotations

import asyncio

import pytest

from engine.runtime import inbox
from engine.runtime.inbox import Inbox, Waiting
from schemas.errors import Overloaded
from schemas.records import Received, Tick


def body(size: int) -> Waiting:
    """A record with a body of so many bytes."""
    return Waiting(Received(0, "s", "f", b"x" * size), None)


def test_too_many_records_are_refused() -> None:
    """Beyond the limit nothing is accepted; after a batch was taken there is room again."""
    box = Inbox(3, 1000)
    for _ in range(3):
        box.put(body(1))
    with pytest.raises(Overloaded):
        box.put(body(1))
    assert len(box.take(2)) == 2
    box.put(body(1))
    assert len(box) == 2


def test_too_many_bytes_are_refused() -> None:
    """A storm of large bodies cannot fill the memory; a single one is always let in."""
    box = Inbox(1000, 100)
    box.put(body(5000))
    with pytest.raises(Overloaded):
        box.put(body(1))
    assert len(box.take()) == 1
    for _ in range(10):
        box.put(body(10))
    with pytest.raises(Overloaded):
        box.put(body(1))
    box.take_all()
    box.put(body(100))


def test_a_batch_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """First in, first out, in batches of a bounded size, whatever one body weighs."""
    monkeypatch.setattr(inbox, "MAX_BATCH_BYTES", 25)
    box = Inbox(1000, 1000)
    for size in (10, 10, 10, 90, 1):
        box.put(body(size))
    box.put(Waiting(Tick(0), None))
    assert [[one.size for one in box.take()] for _ in range(4)] == [[10, 10], [10], [90], [1, 0]]
    assert box.take() == []


async def test_waiting_ends_with_the_first_record() -> None:
    """Who waits for work is woken by it, and by the clock."""
    box = Inbox(10, 10)
    await box.filled(0.001)
    assert not box
    waiting = asyncio.create_task(box.filled(None))
    await asyncio.sleep(0)
    box.put(body(1))
    await asyncio.wait_for(waiting, 60)
    await box.filled(None)
