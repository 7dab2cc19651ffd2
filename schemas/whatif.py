"""What other rules would have made of the past: the answer of `tocsin whatif`, of the API and of the console."""

from __future__ import annotations

from typing import Literal

import msgspec

from schemas.vocabulary import Clock, Disposition, Priority

Fate = Literal["lost", "silent", "delayed"]
"""`lost`: no incident holds any of its alerts. `silent`: one does, but nobody is paged, as somebody was. `delayed`."""


class Consequences(msgspec.Struct):
    """What rules made of a period: incidents opened and reopened, pages by receiver, promises broken."""

    incidents: int = 0
    reopened: int = 0
    by_priority: dict[Priority, int] = {}
    pages: int = 0
    """Deliveries that ask somebody to act and were handed to a channel."""
    pages_by_receiver: dict[str, int] = {}
    notices: int = 0
    """Deliveries of every kind, resolutions included."""
    breaches: dict[Clock, int] = {}
    dispositions: dict[Disposition, int] = {}


class Harm(msgspec.Struct, frozen=True):
    """A confirmed incident of the past that the other rules would have treated worse. Times are UTC milliseconds.

    Confirmed: a person acknowledged, took, diagnosed or resolved it, and nobody called it a false alarm. `told_ms` is
    when somebody was first paged of it (or it was opened, where nobody was), `would_ms` when the other rules do so.
    """

    incident: str
    title: str
    service: str
    priority: Priority
    fate: Fate
    told_ms: int
    would_ms: int | None = None
    becomes: str = ""
    """The incident under the other rules that holds its alerts."""


class WhatIf(msgspec.Struct, frozen=True):
    """The same past under the rules of its time and under others, and whether the others are safe."""

    since_ms: int
    until_ms: int
    records: int
    actual: Consequences
    candidate: Consequences
    confirmed: int
    """Confirmed incidents of the period."""
    harmed: list[Harm]
    commands: int
    """What people asked for in the period."""
    commands_left_out: int
    """Of these, what had no incident to go to under the other rules, or was not possible there."""
    safe: bool
    """Whether no confirmed incident is lost or silent."""
