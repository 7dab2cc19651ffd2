"""The delivery machine: one message to one receiver, through the first channel that takes it.

requested → due → started → succeeded | unconfirmed | (retry → due …) | failed, or cancelled before it was started.
The intent is an event before any attempt, so that a crash at any moment neither loses a page nor sends it twice.
"""

from __future__ import annotations

import zlib
from typing import Literal

import msgspec

from schemas import events as e
from schemas.channel_care import DEADLINE
from schemas.config import DeliveryPolicy

PAGES: frozenset[e.NoticeKind] = frozenset({"opened", "raised", "reopened", "breached"})
"""Kinds that ask somebody to act; pointless once somebody has."""


class Delivery(msgspec.Struct, frozen=True):
    """One message on its way. `attempt` counts over all channels, `on_channel` on the present one, both from 1."""

    id: str
    incident: str
    scope: str
    receiver: str
    channels: list[str]
    notice: e.Notice
    channel: str = ""
    attempt: int = 0
    on_channel: int = 0
    phase: Literal["requested", "due", "started", "waiting"] = "requested"

    @property
    def next_channel(self) -> str:
        """The channel to fail over to, or an empty string."""
        place = self.channels.index(self.channel) + 1
        return self.channels[place] if place < len(self.channels) else ""


DeliveryEvent = (
    e.DeliveryRequested | e.DeliveryDue | e.DeliveryStarted | e.DeliverySucceeded | e.DeliveryRetryScheduled
    | e.DeliveryFailed | e.DeliveryUnconfirmed | e.DeliveryCancelled
)  # fmt: skip

ENDS = (e.DeliverySucceeded, e.DeliveryFailed, e.DeliveryUnconfirmed, e.DeliveryCancelled)
"""After one of these the core forgets the delivery."""


def start(delivery: Delivery | None, attempt: int) -> tuple[DeliveryEvent, ...]:
    """The outbox is about to make `attempt`; no event means: do not."""
    if delivery is None or delivery.phase != "due" or delivery.attempt != attempt:
        return ()
    return (e.DeliveryStarted(delivery.id, delivery.channel, attempt),)


class Answer(msgspec.Struct, frozen=True):
    """What a channel answered; see `schemas.records.Delivered`."""

    attempt: int
    outcome: str
    vendor_code: str = ""
    vendor_message_id: str = ""
    reason: str = ""
    retry_after_s: int | None = None


def answered(
    delivery: Delivery | None, answer: Answer, policy: DeliveryPolicy, at_ms: int
) -> tuple[DeliveryEvent, ...]:
    """What follows from a channel's answer. An answer to another attempt than the present one changes nothing."""
    if delivery is None or delivery.attempt != answer.attempt or delivery.phase not in ("due", "started"):
        return ()
    if answer.outcome == "ok":
        return (
            e.DeliverySucceeded(
                delivery.id, delivery.channel, answer.attempt, answer.vendor_code, answer.vendor_message_id
            ),
        )
    if answer.outcome == "unknown":
        return (e.DeliveryUnconfirmed(delivery.id, delivery.channel, answer.attempt, answer.reason),)
    return _failed(delivery, answer, policy, at_ms)


def _failed(delivery: Delivery, answer: Answer, policy: DeliveryPolicy, at_ms: int) -> tuple[DeliveryEvent, ...]:
    again = answer.outcome == "retry" and delivery.on_channel < policy.attempts
    failover = "" if again else delivery.next_channel
    if not again and not failover:
        return (e.DeliveryFailed(delivery.id, answer.attempt, answer.reason, answer.vendor_code),)
    wait_ms = _wait_ms(delivery, answer, policy) if again else 0
    return (
        e.DeliveryRetryScheduled(
            delivery=delivery.id,
            channel=delivery.channel,
            attempt=answer.attempt,
            due_ms=at_ms + wait_ms,
            reason=answer.reason,
            vendor_code=answer.vendor_code,
            next_channel=failover,
        ),
    )


def _wait_ms(delivery: Delivery, answer: Answer, policy: DeliveryPolicy) -> int:
    """Twice as long each time, or as long as the vendor asks; longer by a share that depends on the attempt's name.

    A core has no dice. The checksum spreads attempts as well, and gives the same wait at each replay.
    """
    doubled: int = policy.first_wait_s * 2 ** (delivery.on_channel - 1)
    wait_ms = 1000 * max(min(doubled, policy.max_wait_s), answer.retry_after_s or 0)
    most = wait_ms * policy.jitter_pct // 100
    return wait_ms + zlib.crc32(f"{delivery.id}.{answer.attempt}".encode()) % (most + 1)


def too_late(delivery: Delivery | None, channel: str, at_ms: int) -> tuple[DeliveryEvent, ...]:
    """The deadline of a delivery on `channel` has come: what is not handed over yet goes to the next channel."""
    if delivery is None or delivery.channel != channel or delivery.phase == "started" or not delivery.next_channel:
        return ()
    return (
        e.DeliveryRetryScheduled(delivery.id, channel, delivery.attempt, at_ms, DEADLINE, "", delivery.next_channel),
    )


def retry_due(delivery: Delivery | None) -> tuple[DeliveryEvent, ...]:
    """The wait before the next attempt is over."""
    if delivery is None or delivery.phase != "waiting":
        return ()
    return (e.DeliveryDue(delivery.id, delivery.channel, delivery.attempt + 1),)


def cancel(delivery: Delivery, reason: str) -> tuple[DeliveryEvent, ...]:
    """The message has become pointless; what was started already is let run."""
    return () if delivery.phase == "started" else (e.DeliveryCancelled(delivery.id, reason),)


def evolve(delivery: Delivery | None, event: DeliveryEvent, scope: str) -> Delivery | None:
    """The delivery after `event`; None once it has ended."""
    if isinstance(event, ENDS):
        return None
    if isinstance(event, e.DeliveryRequested):
        return Delivery(
            event.delivery,
            event.notice.incident,
            scope,
            event.receiver,
            event.channels,
            event.notice,
            event.channels[0],
        )
    assert delivery is not None, f"{event.delivery} has no beginning"
    match event:
        case e.DeliveryDue():
            return msgspec.structs.replace(
                delivery, phase="due", attempt=event.attempt, on_channel=delivery.on_channel + 1
            )
        case e.DeliveryStarted():
            return msgspec.structs.replace(delivery, phase="started")
        case e.DeliveryRetryScheduled(next_channel=""):
            return msgspec.structs.replace(delivery, phase="waiting")
        case e.DeliveryRetryScheduled():
            return msgspec.structs.replace(delivery, phase="waiting", channel=event.next_channel, on_channel=0)
    raise AssertionError(event)
