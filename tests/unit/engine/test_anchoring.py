"""The regular anchor of a running server, under a clock that the test sets."""

from __future__ import annotations

import asyncio
from pathlib import Path

from engine.chain import Position
from engine.runtime.anchoring import HOUR_MS, keep_anchoring
from engine.store import Store
from engine.store.anchors import place_anchor, read_anchors
from schemas.config import Anchors
from tests.batches import entries
from tests.servers.process import eventually

NOON = 1_795_348_800_000


async def placed_at(store: Store, file: Path, now_ms: int, *, expected: int) -> int:
    """How many anchors the file holds after the server was started at `now_ms`."""
    settings = Anchors(file=file)
    looked: list[int] = []

    def clock() -> int:
        looked.append(now_ms)
        return now_ms

    running = asyncio.create_task(keep_anchoring(store, settings, clock))
    await eventually(
        lambda: len(looked) >= 2 and (not expected or file.exists()) and len(read_anchors(file)) == expected,
        "the look at the clock", every_s=0.01,
    )  # fmt: skip
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return len(read_anchors(file))


async def test_an_anchor_is_placed_when_the_newest_is_a_day_old(tmp_path: Path) -> None:
    """At the first start at once, after a restart only when the day is over."""
    store = Store.open(f"sqlite:///{tmp_path}/tocsin.db")
    store.append(entries(Position(), 1)[0])
    file = tmp_path / "anchors.jsonl"
    assert await placed_at(store, file, NOON, expected=1) == 1
    assert await placed_at(store, file, NOON + 24 * HOUR_MS - 1, expected=1) == 1
    assert await placed_at(store, file, NOON + 24 * HOUR_MS, expected=2) == 2
    store.close()


async def test_a_file_that_cannot_be_written_does_not_end_the_server(tmp_path: Path) -> None:
    """The failure is logged and tried again later; the task goes on."""
    store = Store.open(f"sqlite:///{tmp_path}/tocsin.db")
    store.append(entries(Position(), 1)[0])
    (tmp_path / "file").write_text("no folder")
    looked: list[int] = []
    settings = Anchors(file=tmp_path / "file" / "anchors.jsonl")
    running = asyncio.create_task(keep_anchoring(store, settings, lambda: looked.append(1) or NOON))
    await eventually(lambda: len(looked) >= 4, "the next look at the clock", every_s=0.01)
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert place_anchor(store, NOON, file=tmp_path / "elsewhere") is not None
    store.close()
