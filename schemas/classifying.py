"""Rules that suggest where an incident belongs: `rules.classification`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from schemas.sections import Section

Part = Annotated[str, Field(max_length=200)]


class ClassificationRule(Section):
    """Incidents that match are suggested these parts; a part that is left empty is left to the next rule."""

    match: dict[str, str] = {}
    """Labels of the incident that must be equal; ``severity``, ``service`` and ``scope`` count as labels."""
    module: Part = ""
    """The module to suggest."""
    organisation: Part = ""
    """The organisation to suggest."""
    problem_type: Part = ""
    """The problem type to suggest."""


class Classifying(Section):
    """Module, organisation and problem type of an incident as it opens: suggestions, until a person says so.

    What people said last of the same alert of the same service goes before the rules, and these before the labels.
    """

    history: bool = True
    """Suggest what people said of the latest incident with the same ``alertname`` and service."""
    rules: tuple[ClassificationRule, ...] = ()
    """For each part the first rule that matches and states it."""
    module_labels: tuple[str, ...] = ()
    """Labels that name the module: the first that is present wins. Tables can add labels to alerts."""
    organisation_labels: tuple[str, ...] = ()
    """Labels that name the organisation."""
    problem_type_labels: tuple[str, ...] = ()
    """Labels that name the problem type."""
