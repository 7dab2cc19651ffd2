"""What people change about who is on call: overrides, swaps and vacations, as commands and events."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from schemas.vocabulary import Fact, NoticeKind

ChangeKind = Literal["override", "swap", "vacation"]


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """One change of who is on call from `starts_ms` until before `ends_ms` (UTC milliseconds).

    An ``override`` puts `person` in the place of whoever it would be; a ``swap`` only in that of `replaces`; on
    ``vacation`` the person is stood in for in every schedule. What is made later goes before what was made earlier.
    """

    id: str
    kind: ChangeKind
    person: str
    starts_ms: int
    ends_ms: int
    schedule: str = ""
    replaces: str = ""
    reason: str = ""
    made_by: str = ""
    made_ms: int = 0


class OncallChanged(Fact, frozen=True):
    """Somebody changed who is on call (值班调整)."""

    change: Change


class OncallChangeRemoved(Fact, frozen=True):
    """A change of who is on call was taken back; what it had altered before that moment stays as it was."""

    id: str


class EscalationStarted(Fact, frozen=True):
    """Somebody has to answer for the incident: `policy` says who is paged, and when the next one is."""

    incident: str
    policy: str
    kind: NoticeKind
    rules_version: int = 0


class EscalationStep(Fact, frozen=True):
    """A step was taken: these were paged. `why` says of each person how they came to it, `skipped` why not.

    `step` and `round` count from 1; `due_ms` is when the next step is, unless somebody answers before.
    """

    incident: str
    policy: str
    step: int
    round: int
    due_ms: int
    people: list[str] = []
    receivers: list[str] = []
    why: dict[str, str] = {}
    skipped: dict[str, str] = {}


EscalationEnd = Literal["acknowledged", "over", "exhausted", "nobody_reachable", "rules_changed"]


class EscalationEnded(Fact, frozen=True):
    """Nobody more is paged: it was answered, or is over, or all steps were taken in vain.

    ``exhausted``: people were told, and none has answered. ``nobody_reachable``: no message is known to have reached
    anybody; that is an incident of its own.
    """

    incident: str
    policy: str
    reason: EscalationEnd
    told: list[str] = []


OncallEvent = OncallChanged | OncallChangeRemoved | EscalationStarted | EscalationStep | EscalationEnded


class _Command(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


LATEST_MS = 4_102_444_800_000
"""2100-01-01: nobody plans beyond it."""
Moment = Annotated[int, Field(ge=0, le=LATEST_MS, description="UTC milliseconds, before 2100")]
Key = Annotated[str, Field(min_length=1, max_length=63, description="as in the rules")]
Reason = Annotated[str, Field(max_length=500)]


class SetOverride(_Command):
    """Let `person` be on call instead of whoever it would be (临时替班)."""

    type: Literal["set_override"] = "set_override"
    schedule: Key
    person: Key
    starts_ms: Moment
    ends_ms: Moment
    reason: Reason = ""


class SwapShifts(_Command):
    """`with_person` takes over `person`'s time on call, and gives that of the second span in return (换班).

    Without a second span nothing is given back.
    """

    type: Literal["swap_shifts"] = "swap_shifts"
    schedule: Key
    person: Key
    with_person: Key
    starts_ms: Moment
    ends_ms: Moment
    back_starts_ms: Moment = 0
    back_ends_ms: Moment = 0
    reason: Reason = ""


class SetVacation(_Command):
    """`person` cannot be on call; others stand in (休假)."""

    type: Literal["set_vacation"] = "set_vacation"
    person: Key
    starts_ms: Moment
    ends_ms: Moment
    reason: Reason = ""


class RemoveOncallChange(_Command):
    """Take back an override, a swap or a vacation (撤销调整)."""

    type: Literal["remove_oncall_change"] = "remove_oncall_change"
    id: Annotated[str, Field(min_length=1, max_length=120)]


OncallCommand = SetOverride | SwapShifts | SetVacation | RemoveOncallChange
