"""The gates between a new alert and an incident, in order, each with a reason of its own.

rule that drops → flapping → silence → maintenance window → inhibition → noise → hold-back. What passes them all opens,
joins or reopens an incident, unless a storm takes it (`engine.core.storms`).
"""

from __future__ import annotations

import msgspec

from detectors import flapping
from engine.core.members import OWN_SOURCE, quiet_by
from engine.core.state import AlertState
from engine.core.step import Step
from schemas import events as e

FLAPPING = "flapping"
_FEWEST_CHANGES = 4
"""Fewer changes are never flapping, however short the window is."""


class Hold(msgspec.Struct, frozen=True):
    """Why an alert is held: the disposition, and the names of what holds it. `until_ms` is 0 where nobody knows."""

    disposition: e.Disposition
    by: tuple[str, ...]
    sources: tuple[str, ...] = ()
    until_ms: int = 0


def hold_of(alert: AlertState, ruled: Hold | None, step: Step) -> Hold | None:
    """What holds a firing alert now, if anything. `ruled` is what the rules about alerts say."""
    if alert.source == OWN_SOURCE:
        return None
    if ruled is not None and ruled.disposition == "dropped_by_rule":
        return ruled
    if alert.flapping:
        return Hold("flapping", (FLAPPING,))
    if quiet := quiet_by(alert):
        sources = tuple(one.fingerprint for one in alert.inhibited_by) if quiet[0] == "inhibited" else ()
        return Hold(*quiet, sources)
    if ruled is not None:
        return ruled
    if noise := step.ruleset.noise_of(alert.labels):
        return Hold("noise", tuple(f"noise/{name}" for name in noise))
    return _held_back(alert, step)


def _held_back(alert: AlertState, step: Step) -> Hold | None:
    rules = step.ruleset.hold_back_of(alert.labels)
    waits = [one for one in rules if step.at_ms < alert.fired_ms + 1000 * one.for_s]
    if not waits:
        return None
    until_ms = alert.fired_ms + 1000 * max(one.for_s for one in waits)
    return Hold("noise", tuple(f"hold_back/{one.name}" for one in waits), until_ms=until_ms)


def changed(alert: AlertState, step: Step) -> None:
    """An alert that was known has begun or ended: perhaps it flaps."""
    rules = step.ruleset.flapping
    if not rules.enabled or alert.source == OWN_SOURCE:
        return
    window_ms = 1000 * rules.window_s
    alert.changes = flapping.within((*alert.changes, step.at_ms), step.at_ms, window_ms)
    if alert.flapping or len(alert.changes) < _FEWEST_CHANGES:
        return
    ratio = flapping.ratio(alert.changes, step.at_ms, window_ms)
    if ratio >= rules.start_ratio:
        alert.flapping = True
        step.timers.set(flapping.looks_again_ms(step.at_ms, window_ms), "calm", alert.fingerprint)
        started = e.FlappingStarted(alert.fingerprint, ratio, len(alert.changes))
        step.log(started, scope=alert.scope, subject=f"alert/{alert.fingerprint}")


def has_calmed(fingerprint: str, step: Step) -> AlertState | None:
    """A slot of a flapping alert is over: the alert, if it flaps no longer."""
    alert, rules = step.state.alerts.get(fingerprint), step.ruleset.flapping
    if alert is None or not alert.flapping:
        return None
    window_ms = 1000 * rules.window_s
    alert.changes = flapping.within(alert.changes, step.at_ms, window_ms)
    ratio = flapping.ratio(alert.changes, step.at_ms, window_ms)
    if rules.enabled and ratio >= rules.stop_ratio and alert.changes:
        step.timers.set(flapping.looks_again_ms(step.at_ms, window_ms), "calm", fingerprint)
        return None
    alert.flapping = False
    ended = e.FlappingEnded(alert.fingerprint, ratio)
    step.log(ended, scope=alert.scope, subject=f"alert/{alert.fingerprint}")
    return alert
