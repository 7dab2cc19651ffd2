"""What may be asked about who is on call: answers of the engine, for pages, programs and the command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

from schemas.config import Rules
from schemas.oncall_changes import Change

Why = Literal["layer", "stand_in", "override", "swap", "nobody"]


class OnDuty(msgspec.Struct, frozen=True):
    """Who is on call at one moment, and why. `by` names the layer or the change; nobody is an empty `person`."""

    person: str
    why: Why
    by: str = ""
    instead_of: str = ""


class Shift(msgspec.Struct, frozen=True):
    """A time in which one person is on call without a change (UTC milliseconds, the end excluded)."""

    starts_ms: int
    ends_ms: int
    duty: OnDuty


class Gap(msgspec.Struct, frozen=True):
    """A time in which nobody is on call."""

    schedule: str
    starts_ms: int
    ends_ms: int


class Paging(msgspec.Struct, frozen=True):
    """Where the escalation of an incident stands: who was paged at the latest step, and when the next one is."""

    policy: str
    step: int
    round: int
    people: Sequence[str]
    receivers: Sequence[str]
    due_ms: int
    next_people: Sequence[str]
    """Who would be paged at the next step, as it looks now."""
    ended: str = ""


class Roster(Protocol):
    """Who is on call, by the rules and changes in force."""

    def rules(self) -> Rules:
        """The rules in force."""
        ...

    def who(self, schedule: str, at_ms: int) -> OnDuty:
        """Who is on call. Raises CommandRejected (``not_found``)."""
        ...

    def shifts(self, schedule: str, from_ms: int, until_ms: int) -> list[Shift]:
        """All shifts of a time, gaps included, in order. Raises CommandRejected (``not_found``)."""
        ...

    def gaps(self, from_ms: int, until_ms: int) -> list[Gap]:
        """The times without anybody on call, of every schedule where that is a mistake."""
        ...

    def changes(self) -> Sequence[Change]:
        """Overrides, swaps and vacations that are not over for long, in the order in which they were made."""
        ...

    def paging(self, incident: str) -> Sequence[Paging]:
        """The escalations of an incident, in the order in which they began."""
        ...
