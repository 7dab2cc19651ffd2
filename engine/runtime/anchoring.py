"""Anchors while serving: the head of the log is written down at regular times, beside the work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from engine.store import Store
from engine.store.anchors import Anchor, line_of, place_anchor, read_anchors
from schemas.config import Anchors
from schemas.deliveries import Receipt
from schemas.errors import TocsinError

HOUR_MS = 3_600_000
RETRY_MS = 300_000
LONGEST_SLEEP_S = 60.0
"""The machine's clock may be set meanwhile, or the machine sleep: look at it often."""

Mail = Callable[[str], Awaitable[Receipt]]
"""Sends the line of an anchor to people; raises DeliveryError."""

log = structlog.get_logger(__name__)


async def keep_anchoring(
    store: Store,
    settings: Anchors,
    now_ms: Callable[[], int],
    mail: Mail | None = None,
    *,
    partitions: Callable[[], Sequence[int]] = lambda: (0,),
) -> None:
    """Place anchors whenever the newest in the file is older than `every_h`, and mail each once it is placed.

    `partitions` are those whose log is ours to vouch for. Runs until it is cancelled.
    """
    due_ms = await asyncio.to_thread(_last_ms, settings) + settings.every_h * HOUR_MS
    while True:
        if now_ms() >= due_ms:
            ours = [(partition, now_ms()) for partition in partitions()]
            placed = [await asyncio.to_thread(_place, store, settings, at_ms, partition) for partition, at_ms in ours]
            due_ms = now_ms() + (settings.every_h * HOUR_MS if any(placed) else RETRY_MS)
            for anchor in placed:
                if anchor and mail:
                    await _mail(mail, anchor)
        await asyncio.sleep(min(max(due_ms - now_ms(), 0) / 1000, LONGEST_SLEEP_S))


def _last_ms(settings: Anchors) -> int:
    if settings.file is None or not settings.file.exists():
        return 0
    try:
        return max((anchor.at_ms for anchor in read_anchors(settings.file)), default=0)
    except TocsinError as unreadable:
        log.error("anchors_unreadable", problem=str(unreadable))
        return 0


def _place(store: Store, settings: Anchors, at_ms: int, partition: int) -> Anchor | None:
    """Place one; None where it was not taken, or the log is empty: then try again soon."""
    try:
        anchor = place_anchor(store, at_ms, file=settings.file, syslog=settings.syslog, partition=partition)
    except TocsinError as refused:
        log.error("anchor_not_placed", problem=str(refused))
        return None
    if anchor is not None:
        log.info("anchor_placed", seq=anchor.seq, head=anchor.head)
    return anchor


async def _mail(mail: Mail, anchor: Anchor) -> None:
    """Mail one. Where that fails the next anchor is the next attempt: it vouches for all that this one does."""
    try:
        receipt = await mail(line_of(anchor))
    except TocsinError as refused:
        log.error("anchor_not_mailed", seq=anchor.seq, problem=str(refused))
    except Exception as bug:  # noqa: BLE001 - one bad letter must not stop the anchors to file and syslog
        log.error("anchor_not_mailed", seq=anchor.seq, problem=f"internal error: {type(bug).__name__}")
    else:
        log.info("anchor_mailed", seq=anchor.seq, answer=f"{receipt.vendor_code} {receipt.vendor_message_id}")
