"""Anchors while serving: the head of the log is written down at regular times, beside the work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from engine.store import Store
from engine.store.anchors import place_anchor, read_anchors
from schemas.config import Anchors
from schemas.errors import TocsinError

HOUR_MS = 3_600_000
RETRY_S = 300.0
LONGEST_SLEEP_S = 60.0
"""The machine's clock may be set meanwhile, or the machine sleep: look at it often."""

log = structlog.get_logger(__name__)


async def keep_anchoring(store: Store, settings: Anchors, now_ms: Callable[[], int]) -> None:
    """Place an anchor whenever the newest in the file is older than `every_h`. Runs until it is cancelled."""
    due_ms = await asyncio.to_thread(_last_ms, settings) + settings.every_h * HOUR_MS
    while True:
        if now_ms() >= due_ms:
            due_ms = now_ms() + await asyncio.to_thread(_place, store, settings, now_ms())
        await asyncio.sleep(min(max(due_ms - now_ms(), 0) / 1000, LONGEST_SLEEP_S))


def _last_ms(settings: Anchors) -> int:
    if settings.file is None or not settings.file.exists():
        return 0
    try:
        return max((anchor.at_ms for anchor in read_anchors(settings.file)), default=0)
    except TocsinError as unreadable:
        log.error("anchors_unreadable", problem=str(unreadable))
        return 0


def _place(store: Store, settings: Anchors, at_ms: int) -> int:
    """Place one; milliseconds until the next shall be."""
    try:
        anchor = place_anchor(store, at_ms, file=settings.file, syslog=settings.syslog)
    except TocsinError as refused:
        log.error("anchor_not_placed", problem=str(refused))
        return int(RETRY_S * 1000)
    if anchor is None:
        return int(RETRY_S * 1000)
    log.info("anchor_placed", seq=anchor.seq, head=anchor.head)
    return settings.every_h * HOUR_MS
