"""Which incident an alert belongs to: an open one of its group, one that was resolved just now, or a new one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from detectors import grouping
from engine.core import correlating, storms, triage
from engine.core.members import OWN_SOURCE
from engine.core.state import AlertState
from engine.core.step import Step
from schemas import events as e
from schemas.alerts import labels_of

WhyHealed = Literal["sender", "timeout", "storm_over"]


def original_labels(alert: AlertState) -> Mapping[str, str]:
    """The labels as the sender gave them."""
    return labels_of(alert.labels_raw)


def annotations_of(alert: AlertState) -> Mapping[str, str]:
    """What the sender wrote beside the labels."""
    return labels_of(alert.annotations_raw)


def severity_of(labels: Mapping[str, str], step: Step) -> e.Severity:
    """The severity that labels say."""
    return triage.severity_of(labels, step.rules.triage)


def belongs_to(labels: Mapping[str, str], step: Step) -> tuple[str, str]:
    """The scope and the group key of an alert."""
    return grouping.scope_of(labels, step.rules.grouping), grouping.group_key_of(labels, step.rules)


def ref_of(alert: AlertState) -> e.AlertRef:
    """The alert as events remember it, with the labels by which it was judged."""
    return e.AlertRef(
        fingerprint=alert.fingerprint,
        severity=alert.severity,
        starts_ms=alert.starts_ms,
        labels=msgspec.Raw(alert.judged_raw or alert.labels_raw),
        annotations=msgspec.Raw(alert.annotations_raw),
        source=alert.source,
        generator_url=alert.generator_url,
    )


def join(group_key: str, newcomers: Sequence[AlertState], actor: str, step: Step) -> dict[e.Disposition, int]:
    """Give the newcomers of one group their incident; how many of them are what."""
    refs = [ref_of(alert) for alert in newcomers]
    latest = step.root(step.state.groups.get(group_key, ""))
    counts: dict[e.Disposition, int] = {"attached": len(newcomers)}
    if latest is not None and latest.is_open:
        incident_id = latest.id
        step.incident(e.AlertsAttached(latest.id, refs), scope=latest.scope, actor=actor)
    elif latest is not None and _just_resolved(latest.state, latest.resolved_ms, step):
        incident_id = latest.id
        reopened = e.IncidentReopened(latest.id, "fired again soon after it was resolved", refs)
        step.incident(reopened, scope=latest.scope, actor=actor)
    elif (storm := storms.taking(newcomers, step)) is not None:
        incident_id, counts = storms.absorb(storm, newcomers, refs, actor, step), {"storm": len(newcomers)}
    elif (found := correlating.related_to(newcomers, step)) is not None:
        incident_id = step.state.groups[group_key] = found.incident
        step.state.joined.setdefault(found.incident, []).append(group_key)
        attached = e.AlertsAttached(found.incident, refs, found.reason, step.state.rules_version)
        step.incident(attached, scope=newcomers[0].scope, actor=actor)
    else:
        incident_id = _open(group_key, newcomers, refs, latest.id if latest else "", actor, step)
        counts = {"opened": 1, "attached": len(newcomers) - 1} if len(newcomers) > 1 else {"opened": 1}
    for alert in newcomers:
        alert.incident = incident_id
        step.registry.members.join(alert)
    if counts.get("attached") == len(newcomers):
        _reassess(incident_id, newcomers, actor, step)
    return counts


def _just_resolved(state: e.IncidentState, resolved_ms: int, step: Step) -> bool:
    within_ms = 1000 * step.rules.grouping.reopen_within_s
    return state in ("resolved", "in_review") and step.at_ms - resolved_ms <= within_ms


def _open(
    group_key: str, newcomers: Sequence[AlertState], refs: list[e.AlertRef], before: str, actor: str, step: Step
) -> str:
    opened = msgspec.structs.replace(opening_of(newcomers, refs, step), group_key=group_key, recurrence_of=before)
    step.state.groups[group_key] = opened.incident
    step.incident(opened, scope=newcomers[0].scope, actor=actor)
    return opened.incident


def opening_of(newcomers: Sequence[AlertState], refs: list[e.AlertRef], step: Step) -> e.IncidentOpened:
    """The event that opens the next incident of their scope with these alerts."""
    rules = step.rules
    worst = min(newcomers, key=lambda alert: triage.urgency_of(alert.severity))
    labels, scope = worst.labels, worst.scope
    annotations = annotations_of(worst)
    urgency = triage.urgency_of(worst.severity)
    impact = triage.impact_of(labels, len(newcomers), rules.triage)
    return e.IncidentOpened(
        incident=step.next_id(scope),
        title=triage.title_of(labels, annotations),
        service=grouping.first_present(labels, rules.grouping.service),
        severity=worst.severity,
        urgency=urgency,
        impact=impact,
        priority=triage.priority_of(urgency, impact, rules.triage),
        origin="internal" if worst.source == OWN_SOURCE else "alert",
        alerts=refs,
        labels=common_labels(newcomers),
        description=annotations.get("description", ""),
        outage=grouping.outage_of(labels, rules),
        rules_version=step.state.rules_version,
    )


def _reassess(incident_id: str, newcomers: Sequence[AlertState], actor: str, step: Step) -> None:
    """More or worse alerts can raise urgency and impact; they never lower what was judged before."""
    incident = step.state.incidents[incident_id]
    worst = min(newcomers, key=lambda alert: triage.urgency_of(alert.severity))
    worse = triage.urgency_of(worst.severity) < triage.urgency_of(incident.severity)
    if incident.judged_by_hand and not worse:
        return
    urgency = min(incident.urgency, triage.urgency_of(worst.severity))
    impact = min(incident.impact, triage.impact_of(worst.labels, incident.firing, step.rules.triage))
    priority = triage.priority_of(urgency, impact, step.rules.triage)
    if not worse and priority == incident.priority:
        return
    severity = worst.severity if worse else incident.severity
    reason = f"{worst.severity} alert joined" if worse else f"{incident.firing} alerts fire at once"
    raised = e.IncidentRaised(incident_id, severity, urgency, impact, priority, reason)
    step.incident(raised, scope=incident.scope, actor=actor)


def heal(incident_id: str, fingerprints: list[str], reason: WhyHealed, actor: str, step: Step) -> None:
    """Alerts of an incident fire in it no longer; with the last of them it resolves by itself."""
    scope = step.state.incidents[incident_id].scope
    after = step.incident(e.AlertsResolved(incident_id, fingerprints, reason), scope=scope, actor=actor)
    if after.firing == 0 and after.is_open and after.origin in ("alert", "internal"):
        step.incident(e.IncidentResolved(incident_id, automatic=True), scope=scope)


def common_labels(newcomers: Sequence[AlertState]) -> dict[str, str]:
    """The labels that all newcomers share."""
    common = dict(newcomers[0].labels.items())
    for alert in newcomers[1:]:
        labels = alert.labels
        for name in [name for name, value in common.items() if labels.get(name) != value]:
            del common[name]
    return common
