"""Notices and their deliveries: what a channel is told, and what becomes of it."""

from __future__ import annotations

from typing import Literal

import msgspec

from schemas.groups import GroupNotice
from schemas.vocabulary import Fact, IncidentState, NoticeKind, Priority, Severity


class Notice(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that a channel needs to tell a person about an incident; rendering reads nothing else."""

    kind: NoticeKind
    incident: str
    title: str
    priority: Priority
    severity: Severity
    state: IncidentState
    service: str
    opened_ms: int
    at_ms: int
    alert_count: int
    alerts: list[str] = []
    assignee: str = ""
    reason: str = ""
    url: str = ""
    language: Literal["zh", "en"] = "zh"
    timezone: str = "Asia/Shanghai"
    person: str = ""
    """The person on call whom it pages, by their key in the rules; empty for everybody else."""
    group: GroupNotice | None = None
    """Set where `kind` is ``group``; `incident` then names the group (``G-7``)."""


class DeliveryRequested(Fact, frozen=True):
    """Somebody is to be told: the intent, logged before any attempt. `channels` is the failover order.

    `avoided` are those of them that the rules want earlier, but that are failing: they stand last.
    """

    delivery: str
    receiver: str
    channels: list[str]
    notice: Notice
    rules_version: int = 0
    avoided: list[str] = []


class DeliveryDue(Fact, frozen=True):
    """The outbox shall make attempt number `attempt` through `channel` now."""

    delivery: str
    channel: str
    attempt: int


class DeliveryStarted(Fact, frozen=True):
    """The attempt is being handed to the channel; without an outcome after this, it may have arrived."""

    delivery: str
    channel: str
    attempt: int


class DeliverySucceeded(Fact, frozen=True):
    """The channel's own answer confirms it."""

    delivery: str
    channel: str
    attempt: int
    vendor_code: str = ""
    vendor_message_id: str = ""


class DeliveryRetryScheduled(Fact, frozen=True):
    """The attempt failed in a way that may pass; the next one is at `due_ms`, perhaps on another channel."""

    delivery: str
    channel: str
    attempt: int
    due_ms: int
    reason: str
    vendor_code: str = ""
    next_channel: str = ""


class DeliveryFailed(Fact, frozen=True):
    """No channel took it: nobody was told by this delivery."""

    delivery: str
    attempt: int
    reason: str
    vendor_code: str = ""


class DeliveryUnconfirmed(Fact, frozen=True):
    """It may have arrived; it is not sent again, so that nobody is paged twice for one thing."""

    delivery: str
    channel: str
    attempt: int
    reason: str


class DeliveryCancelled(Fact, frozen=True):
    """No longer needed before it was sent (already acknowledged, resolved or merged)."""

    delivery: str
    reason: str
