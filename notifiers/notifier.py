"""The shape of every channel: a pure `render`, and one attempt to `deliver`; and what some channels can do besides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

from notifiers.ratelimit import Rate
from schemas.deliveries import Receipt
from schemas.errors import DeliveryError
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


class NotReached(DeliveryError):
    """The vendor knows the message and says that it has reached nobody."""


@runtime_checkable
class Traceable(Protocol):
    """A channel whose vendor can be asked afterwards what became of a message."""

    async def trace(self, delivery: str) -> Receipt | None:
        """A receipt if it has reached somebody or is on its way; None where the vendor does not know it.

        Raises NotReached, and DeliveryError where the vendor gives no answer.
        """
        ...


@runtime_checkable
class Digesting(Protocol):
    """A channel that can tell of several notices in one message, for when its vendor takes only so many a minute."""

    def digest(self, notices: Sequence[Notice]) -> Any:
        """The payload of one message for `deliver` that names the incidents of all."""
        ...


def robot_of(notifier: object, channel: str) -> str:
    """What the vendor counts messages by: the robot, where several channels share one; else the channel's name."""
    return str(getattr(notifier, "robot", channel))


def is_idempotent(notifier: object) -> bool:
    """Whether a second copy of a message does no harm there, so that what may have been lost can be sent again."""
    return bool(getattr(notifier, "idempotent", False))
