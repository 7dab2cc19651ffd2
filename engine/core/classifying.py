"""Where an incident belongs: suggested by the past, by rules and by labels, and learnt from what people say (R1.4)."""

from __future__ import annotations

from engine.core.state import State
from engine.machines.incident import Incident
from schemas.config import Rules
from schemas.tickets import Classification, ClassificationSuggested, ClassifiedBy

REMEMBERED = 10_000
"""Of so many pairs of alert and service the core knows what people said last."""

PARTS: tuple[ClassifiedBy, ...] = ("module", "organisation", "problem_type")


def suggest(opened: Incident, state: State, rules: Rules) -> ClassificationSuggested | None:
    """What an incident that has just opened may be, or None where nothing says so."""
    given = rules.classification
    past = state.classified.get(_key(opened)) if given.history else None
    if past is None and not given.rules and not any(_labels(rules).values()):
        return None
    found: dict[str, tuple[str, str]] = {}
    for part in PARTS:
        if (value := _suggested(part, opened, past, rules)) is not None:
            found[part] = value
    if not found:
        return None
    values = {part: value for part, (value, _) in found.items()}
    why = {part: source for part, (_, source) in found.items()}
    return ClassificationSuggested(opened.id, **values, why=why, rules_version=state.rules_version)


def learn(classified: Incident, state: State) -> None:
    """Remember what a person said, for the next incident of the same alert and service."""
    key, said = _key(classified), classified.classification
    if not key or said is None:
        return
    state.classified.pop(key, None)
    state.classified[key] = said
    if len(state.classified) > REMEMBERED:
        del state.classified[next(iter(state.classified))]


def _key(incident: Incident) -> str:
    name = incident.labels.get("alertname", "")
    return f"{name}\n{incident.service}" if name else ""


def _labels(rules: Rules) -> dict[ClassifiedBy, tuple[str, ...]]:
    given = rules.classification
    return {
        "module": given.module_labels,
        "organisation": given.organisation_labels,
        "problem_type": given.problem_type_labels,
    }


def _suggested(
    part: ClassifiedBy, opened: Incident, past: Classification | None, rules: Rules
) -> tuple[str, str] | None:
    """The value of one part and where it comes from."""
    if past is not None and (value := getattr(past, part)):
        return value, "history"
    known = {**opened.labels, "severity": opened.severity, "service": opened.service, "scope": opened.scope}
    for rule in rules.classification.rules:
        value = getattr(rule, part)
        if value and all(known.get(name, "") == wanted for name, wanted in rule.match.items()):
            return value, "rule"
    for name in _labels(rules)[part]:
        if value := opened.labels.get(name, ""):
            return value[:200], f"label/{name}"
    return None
