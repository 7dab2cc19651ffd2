"""Tickets (工单): what people say of an incident beyond its state, as commands and events."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from schemas.vocabulary import Fact


class Classification(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where an incident belongs: module, organisation and problem type; an empty one is not known."""

    module: str = ""
    organisation: str = ""
    problem_type: str = ""


ClassifiedBy = Literal["module", "organisation", "problem_type"]

# --- events -----------------------------------------------------------------------------------------------------------


class ClassificationSuggested(Fact, frozen=True):
    """The rules or the past suggest where an incident belongs; a person has not said so yet.

    `why` tells of each part where it comes from: ``history``, ``rule`` or ``label/NAME``.
    """

    incident: str
    module: str = ""
    organisation: str = ""
    problem_type: str = ""
    why: dict[str, str] = {}
    rules_version: int = 0


class IncidentClassified(Fact, frozen=True):
    """A person said where an incident belongs (分类); an empty part is not known."""

    incident: str
    module: str = ""
    organisation: str = ""
    problem_type: str = ""


Relation = Literal["related", "caused_by", "duplicate_of"]


class IncidentHandedOver(Fact, frozen=True):
    """The owner gave the incident to somebody else (转交), and said in `note` where it stands; `was` may be nobody."""

    incident: str
    assignee: str
    was: str = ""
    note: str = ""


class IncidentVerified(Fact, frozen=True):
    """Somebody other than whoever resolved it has looked: it really is over (验证)."""

    incident: str
    by: str
    note: str = ""


class IncidentSplit(Fact, frozen=True):
    """These alerts were another trouble and go on in the incident `into` (拆分)."""

    incident: str
    into: str
    fingerprints: list[str]
    reason: str = ""


class IncidentLinked(Fact, frozen=True):
    """The incident has to do with another one, whatever its scope (关联)."""

    incident: str
    other: str
    relation: Relation
    note: str = ""


class IncidentUnlinked(Fact, frozen=True):
    """The incident has nothing to do with the other one after all."""

    incident: str
    other: str


TicketEvent = (
    ClassificationSuggested | IncidentClassified | IncidentHandedOver | IncidentVerified | IncidentSplit
    | IncidentLinked | IncidentUnlinked
)  # fmt: skip

# --- commands ---------------------------------------------------------------------------------------------------------

IncidentId = Annotated[str, Field(min_length=1, max_length=120, description="as in INC-7")]
Part = Annotated[str, Field(max_length=200)]
Line = Annotated[str, Field(min_length=1, max_length=500)]


class _Command(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class Classify(_Command):
    """Say where an incident belongs, all three at once; what is left empty is not known (分类)."""

    type: Literal["classify"] = "classify"
    incident: IncidentId
    module: Part = ""
    organisation: Part = ""
    problem_type: Part = ""


class Claim(_Command):
    """I take it: make whoever commands the owner (认领). Rejected with ``owned_by_other``."""

    type: Literal["claim"] = "claim"
    incident: IncidentId


class HandOver(_Command):
    """Give it to `assignee`, and say where it stands (转交)."""

    type: Literal["hand_over"] = "hand_over"
    incident: IncidentId
    assignee: Line
    note: Annotated[str, Field(min_length=1, max_length=20_000)]


class Verify(_Command):
    """It really is over, says somebody other than whoever resolved it (验证). Rejected with ``verify_own_work``."""

    type: Literal["verify"] = "verify"
    incident: IncidentId
    note: Annotated[str, Field(max_length=20_000)] = ""


class Split(_Command):
    """Let some of the firing alerts, by fingerprint, go on in an incident of their own (拆分).

    Rejected with ``not_found`` for an alert that does not fire in it, and ``nothing_left`` if none would stay.
    """

    type: Literal["split"] = "split"
    incident: IncidentId
    alerts: Annotated[tuple[Annotated[str, Field(max_length=64)], ...], Field(min_length=1, max_length=1000)]
    reason: Line


class Link(_Command):
    """Say that it has to do with `other`, whatever its scope; another relation replaces the one before (关联)."""

    type: Literal["link"] = "link"
    incident: IncidentId
    other: IncidentId
    relation: Relation = "related"
    note: Annotated[str, Field(max_length=500)] = ""


class Unlink(_Command):
    """It has nothing to do with `other` after all (取消关联)."""

    type: Literal["unlink"] = "unlink"
    incident: IncidentId
    other: IncidentId


TicketCommand = Classify | Claim | HandOver | Verify | Split | Link | Unlink
