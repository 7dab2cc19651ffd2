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


TicketEvent = ClassificationSuggested | IncidentClassified

# --- commands ---------------------------------------------------------------------------------------------------------

IncidentId = Annotated[str, Field(min_length=1, max_length=120, description="as in INC-7")]
Part = Annotated[str, Field(max_length=200)]


class _Command(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class Classify(_Command):
    """Say where an incident belongs, all three at once; what is left empty is not known (分类)."""

    type: Literal["classify"] = "classify"
    incident: IncidentId
    module: Part = ""
    organisation: Part = ""
    problem_type: Part = ""


TicketCommand = Classify
