"""What a step tells the escalations of: they take it up when the record's own events are all logged."""

from __future__ import annotations

import msgspec

from engine.machines.delivery import Delivery, DeliveryEvent
from schemas.vocabulary import IncidentState, NoticeKind


class Call(msgspec.Struct, frozen=True):
    """A route gives an incident into the hands of a policy; `lines` are the alerts that a notice names."""

    incident: str
    policy: str
    kind: NoticeKind
    reason: str
    lines: list[str]


class Moved(msgspec.Struct, frozen=True):
    """An incident is in another state; the empty `was` is that of a new one."""

    incident: str
    was: IncidentState | str
    now: IncidentState


class Taken(msgspec.Struct, frozen=True):
    """A person acts on the incident."""

    incident: str


class Ended(msgspec.Struct, frozen=True):
    """A delivery about an incident is over."""

    delivery: Delivery
    event: DeliveryEvent


Signal = Call | Moved | Taken | Ended
OwnAlert = tuple[dict[str, str], str, bool]
"""An alert about Tocsin itself: labels, summary, and whether it is firing."""
