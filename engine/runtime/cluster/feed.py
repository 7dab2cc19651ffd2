"""The feed: the attempts that fall due in the partitions that a worker holds, each handed to the outbox once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from schemas.deliveries import PendingDelivery

KEPT = 100_000
"""Attempts that are remembered as handed over."""


class _Offered(NamedTuple):
    delivery: str
    attempt: int


class DeliveryFeed:
    """Between the shifts and the outbox. One loop uses it."""

    def __init__(self) -> None:
        self._due: asyncio.Queue[PendingDelivery | None] = asyncio.Queue()
        self._offered: dict[_Offered, None] = {}
        self._asking: dict[_Offered, None] = {}
        self._homes: dict[str, int] = {}

    def offer(self, partition: int, pending: PendingDelivery) -> None:
        """Hand over an attempt that is due, unless it was handed over before."""
        key = _Offered(pending.delivery, pending.attempt)
        self._homes[pending.delivery] = partition
        if key not in self._offered:
            _remember(self._offered, key)
            self._due.put_nowait(pending)

    def watch(
        self, partition: int, pending: PendingDelivery, after_s: float, still: Callable[[PendingDelivery], bool]
    ) -> None:
        """An attempt that was begun by somebody else: hand it over as begun where it has no answer after so long.

        Whoever began it may be alive and have lost only the partition; its answer counts while it comes in time.
        """
        key = _Offered(pending.delivery, pending.attempt)
        self._homes[pending.delivery] = partition
        if key in self._asking:
            return

        def look() -> None:
            if still(pending) and key not in self._asking:
                self._due.put_nowait(pending)

        asyncio.get_running_loop().call_later(after_s, look)

    def asking(self, delivery: str, attempt: int) -> None:
        """This process's outbox is about to ask for the attempt, and will see to its end."""
        _remember(self._asking, _Offered(delivery, attempt))

    def partition_of(self, delivery: str) -> int:
        """The partition that a delivery was ordered in."""
        return self._homes.get(delivery, 0)

    def end(self) -> None:
        """Hand over no more."""
        self._due.put_nowait(None)

    async def pending(self) -> AsyncIterator[PendingDelivery]:
        """What falls due, until the end."""
        while (pending := await self._due.get()) is not None:
            yield pending


def _remember(keys: dict[_Offered, None], key: _Offered) -> None:
    keys[key] = None
    if len(keys) > KEPT:
        del keys[next(iter(keys))]
