"""The shape of every channel: a pure `render`, and one attempt to `deliver`."""

from __future__ import annotations

from typing import Protocol, TypeVar

from notifiers.ratelimit import Rate
from schemas.deliveries import Receipt
from schemas.events import Notice

P = TypeVar("P")
"""A channel's own frozen payload: all that it will send, known before it is sent."""


class Notifier(Protocol[P]):
    """One channel. Retry, pace and failover are the outbox's and the core's business, never a channel's."""

    @property
    def rate(self) -> Rate | None:
        """How fast the vendor takes messages; None where it states no limit."""
        ...

    def render(self, notice: Notice) -> P:
        """What a person will read. Pure: the same notice gives the same payload."""
        ...

    async def deliver(self, payload: P, *, delivery: str) -> Receipt:
        """Hand over once; return the vendor's own confirmation.

        `delivery` is the stable identity of what is told: every attempt bears the same one.
        Raises DeliveryError, which says whether another attempt can help and whether this one may have arrived.
        """
        ...
