"""Notification groups: what became of them, and what a channel is told about one.

The words are Alertmanager's; a group is one route's alerts with equal group labels. Labels and annotations stay raw.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from schemas.vocabulary import Fact

NotifyReason = Literal["first", "new_alerts", "resolved_alerts", "all_resolved", "repeat"]
"""Why a group is told of; Alertmanager's `NotifyReason`."""
SuppressionReason = Literal[
    "silenced", "inhibited", "in_maintenance", "flapping", "noise", "dropped_by_rule", "muted", "inactive"
]
"""Why alerts of a group are not told of. ``muted``: a mute time of the route; ``inactive``: none of its active times.
The others are those dispositions that keep an alert from paging."""


class GroupNotified(Fact, frozen=True):
    """A receiver is told of a group as it stands; `firing` and `resolved` are fingerprints, `delivery` how it goes.

    Receivers whose integration wants no resolved alerts get those of `firing` only.
    """

    group: str
    route: str
    key: str
    receiver: str
    channel: str
    reason: NotifyReason
    delivery: str
    firing: list[str] = []
    resolved: list[str] = []
    rules_version: int = 0


class GroupSuppressed(Fact, frozen=True):
    """Alerts of a group are held back, by reason; logged when that changes. None at all: nothing is any more.

    `by` names the time intervals where the reason is ``muted`` or ``inactive``.
    """

    group: str
    route: str
    key: str
    receiver: str
    alerts: dict[SuppressionReason, list[str]] = {}
    by: list[str] = []
    rules_version: int = 0


class GroupAlert(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One alert of a group as a message shows it. `ends_ms` is 0 while it fires."""

    fingerprint: str
    status: Literal["firing", "resolved"]
    starts_ms: int
    labels: msgspec.Raw
    annotations: msgspec.Raw = msgspec.Raw(b"{}")
    ends_ms: int = 0
    generator_url: str = ""


class GroupNotice(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a channel needs to tell of a group as Alertmanager does.

    `alerts` stays empty in the log, for a group may hold very many: the core fills it in, from its state, when the
    message is handed to its channel. `firing` and `resolved` count them.
    """

    key: str
    receiver: str
    reason: NotifyReason
    labels: dict[str, str] = {}
    firing: int = 0
    resolved: int = 0
    external_url: str = ""
    alerts: list[GroupAlert] = []
