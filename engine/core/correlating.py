"""Alerts that would open an incident join an open one of a related service, where a correlation rule says so."""

from __future__ import annotations

from collections.abc import Sequence

from detectors import grouping
from detectors.correlation import Arrival, Change, Related
from engine.core import triage
from engine.core.members import OWN_SOURCE
from engine.core.state import AlertState, State
from engine.core.step import Step

CHANGES_KEPT = 1_000
"""The latest changes that are remembered."""


def related_to(newcomers: Sequence[AlertState], step: Step) -> Related | None:
    """The open incident that the newcomers of one group join, if any. An outage is always an incident of its own."""
    correlator = step.ruleset.correlator
    if correlator.is_empty:
        return None
    worst = min(newcomers, key=lambda alert: triage.urgency_of(alert.severity))
    labels = worst.labels
    if worst.source == OWN_SOURCE or grouping.outage_of(labels, step.rules):
        return None
    service = grouping.first_present(labels, step.rules.grouping.service)
    candidates = step.registry.open_incidents.of(worst.scope, correlator.reach(service))
    found = correlator.related(Arrival(labels, service, step.at_ms), candidates, step.state.changes)
    if found is not None:
        step.hit([f"correlation/{found.rule}"])
    return found


def remember_change(change: Change, state: State) -> None:
    """A change of a service was reported."""
    state.changes.append(change)
    del state.changes[:-CHANGES_KEPT]
