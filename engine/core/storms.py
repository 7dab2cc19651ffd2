"""Storms: when far more new alerts of a scope arrive than usual, one incident takes those that would open others.

Facts are kept: each alert is listed with the storm's incident. When it is over, what still fires is judged again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from detectors import grouping
from detectors.storms import Arrivals, line
from engine.core import triage
from engine.core.members import OWN_SOURCE
from engine.core.state import AlertState, Storm
from engine.core.step import Step
from schemas import events as e


def learn(newcomers: Sequence[AlertState], step: Step) -> None:
    """These have come through the gates just now: perhaps a storm begins. What joins an incident does not count."""
    rules = step.ruleset.storm
    if not rules.enabled or not newcomers:
        return
    window_ms = 1000 * rules.window_s
    openers = {alert.group_key: alert.scope for alert in newcomers if alert.source != OWN_SOURCE}
    wanted = (scope for key, scope in openers.items() if not _is_open(key, step))
    for scope, number in Counter(wanted).items():
        storm = step.state.storms.get(scope)
        if storm is None:
            storm = step.state.storms[scope] = Storm(Arrivals(step.at_ms))
        _turn(storm, step)
        storm.arrivals.learn_many(number, step.at_ms, window_ms)
        limit = line(storm.arrivals.usual_milli, rules.alerts, rules.factor)
        if not storm.since_ms and storm.arrivals.count >= limit:
            storm.since_ms, storm.limit, storm.absorbed, storm.incident = step.at_ms, limit, 0, ""
            storm.arrivals.calm = 0
            step.timers.set(storm.arrivals.slot_ms + window_ms, "storm", scope)


def _is_open(group_key: str, step: Step) -> bool:
    """Whether alerts of this group join an incident."""
    found = step.root(step.state.groups.get(group_key, ""))
    return found is not None and found.is_open


def _turn(storm: Storm, step: Step) -> None:
    window_ms = 1000 * step.ruleset.storm.window_s
    storm.arrivals.turn(step.at_ms, window_ms, stormy=bool(storm.since_ms), calm_below=(storm.limit + 1) // 2)


def taking(newcomers: Sequence[AlertState], step: Step) -> Storm | None:
    """The storm that takes these alerts of one group, if one rages in their scope; outages are never taken."""
    storm = step.state.storms.get(newcomers[0].scope)
    if storm is None or not storm.since_ms or newcomers[0].source == OWN_SOURCE:
        return None
    return None if grouping.outage_of(newcomers[0].labels, step.rules) else storm


def absorb(storm: Storm, newcomers: Sequence[AlertState], refs: list[e.AlertRef], actor: str, step: Step) -> str:
    """The storm's incident takes them; its id."""
    for alert in newcomers:
        alert.held, alert.held_by = "storm", (f"storm/{alert.scope}",)
    storm.absorbed += len(newcomers)
    found = step.root(storm.incident)
    if found is None:
        storm.incident = _open(storm, newcomers, refs, actor, step)
        return storm.incident
    if found.is_open:
        step.incident(e.AlertsAttached(found.id, refs), scope=found.scope, actor=actor)
    else:
        step.incident(e.IncidentReopened(found.id, "the storm goes on", refs), scope=found.scope, actor=actor)
    return found.id


def _open(storm: Storm, newcomers: Sequence[AlertState], refs: list[e.AlertRef], actor: str, step: Step) -> str:
    rules, scope = step.rules, newcomers[0].scope
    worst = min(newcomers, key=lambda alert: triage.urgency_of(alert.severity))
    urgency = triage.urgency_of(worst.severity)
    opened = e.IncidentOpened(
        incident=step.next_id(scope),
        title=f"Alert storm in {scope}: {storm.arrivals.count} new groups of alerts",
        service="",
        severity=worst.severity,
        urgency=urgency,
        impact=1,
        priority=triage.priority_of(urgency, 1, rules.triage),
        origin="alert",
        group_key=f"{scope}#storm",
        alerts=refs,
        labels={"storm": scope},
        rules_version=step.state.rules_version,
    )
    step.state.groups[opened.group_key] = opened.incident
    step.incident(opened, scope=scope, actor=actor)
    started = e.StormStarted(
        incident=opened.incident,
        arrived=storm.arrivals.count,
        usual=storm.arrivals.usual,
        window_s=rules.storm.window_s,
        rules_version=step.state.rules_version,
    )
    step.log(started, scope=scope, subject=f"incident/{opened.incident}")
    return opened.incident


def ring(scope: str, step: Step) -> list[AlertState] | None:
    """A time slot of a storm is over: the alerts that it has taken, if that was the end of it."""
    storm, rules = step.state.storms.get(scope), step.ruleset.storm
    if storm is None or not storm.since_ms:
        return None
    _turn(storm, step)
    if rules.enabled and storm.arrivals.calm < rules.calm_windows:
        step.timers.set(storm.arrivals.slot_ms + 1000 * rules.window_s, "storm", scope)
        return None
    return end(scope, storm, step)


def end(scope: str, storm: Storm, step: Step) -> list[AlertState]:
    """The storm is over: the alerts that it has taken and that still fire, by fingerprint."""
    if storm.incident:
        ended = e.StormEnded(storm.incident, storm.absorbed, step.at_ms - storm.since_ms)
        step.log(ended, scope=scope, subject=f"incident/{storm.incident}")
    storm.since_ms, storm.incident = 0, ""
    alerts = step.state.alerts
    return [
        alerts[one] for one in sorted(alerts)
        if alerts[one].held == "storm" and alerts[one].scope == scope and alerts[one].firing
    ]  # fmt: skip
