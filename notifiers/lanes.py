"""A channel's lane: what waits for it, in order, and what of it can go together."""

from __future__ import annotations

import asyncio
from collections import deque

from schemas.deliveries import PendingDelivery


class Lane:
    """A queue that ends: `get` gives None after `close`, once everything before it was taken."""

    def __init__(self) -> None:
        self._waiting: deque[PendingDelivery] = deque()
        self._something = asyncio.Event()
        self._closed = False

    def put(self, pending: PendingDelivery) -> None:
        """Add one at the end."""
        self._waiting.append(pending)
        self._something.set()

    def close(self) -> None:
        """Nothing more will be put."""
        self._closed = True
        self._something.set()

    async def get(self) -> PendingDelivery | None:
        """The next one, as soon as there is one."""
        while not self._waiting:
            if self._closed:
                return None
            self._something.clear()
            await self._something.wait()
        return self._waiting.popleft()

    def together(self, most: int) -> list[PendingDelivery]:
        """What waits by now and was not begun before a restart, in order: up to `most`, taken out."""
        taken: list[PendingDelivery] = []
        while self._waiting and len(taken) < most and not self._waiting[0].started:
            taken.append(self._waiting.popleft())
        return taken
