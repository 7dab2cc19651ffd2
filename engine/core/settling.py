"""Settling: what has begun and ended within one record becomes events, gathered by incident and by what holds alerts.

A body of many alerts makes few events. Gates are asked here, when all of a record's alerts are known: an alert that
inhibits another may stand behind it in the body.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from engine.core import gates, joining, quiet, storms
from engine.core.gates import Hold
from engine.core.members import OWN_SOURCE
from engine.core.state import AlertState
from engine.core.step import Step
from schemas import events as e
from schemas.held import WhyReleased

_Alike = tuple[str, e.Disposition, tuple[str, ...], tuple[str, ...], bool]
"""Scope, disposition, by, sources, again: alerts alike in these are one event."""


class Settling:
    """Gathers what happens to alerts in one step, and turns it into events when it is told to `settle`."""

    def __init__(self, step: Step, source: str = "") -> None:
        self._step = step
        self._actor = f"source:{source}" if source else "system"
        self.counts: dict[e.Disposition, int] = {}
        self._fresh: list[AlertState] = []
        self._again: dict[str, AlertState] = {}
        self._ruled: dict[str, Hold] = {}
        self._healed: dict[str, list[str]] = {}
        self._freed: list[tuple[e.Disposition, tuple[str, ...], str, str]] = []
        self._maybe_quiet: dict[str, AlertState] = {}
        self._looked_at: dict[str, None] = {}
        self._touched: set[str] = set()

    def add(self, disposition: e.Disposition, number: int = 1) -> None:
        """Count alerts that were received."""
        self.counts[disposition] = self.counts.get(disposition, 0) + number

    def has(self, alert: AlertState) -> bool:
        """Whether something has happened to this alert that is not settled yet."""
        return alert.fingerprint in self._touched

    # --- what happens -------------------------------------------------------------------------------------------

    def fires(self, alert: AlertState, ruled: Hold | None) -> None:
        """An alert begins to fire; `ruled` is what the rules about alerts hold it by."""
        step = self._step
        step.changed[alert.fingerprint] = alert
        self._touched.add(alert.fingerprint)
        if ruled is not None:
            self._ruled[alert.fingerprint] = ruled
        self._fresh.append(alert)
        self._look_at(step.registry.fires(alert))

    def heals(self, alert: AlertState, at_ms: int) -> None:
        """An alert no longer fires."""
        step = self._step
        alert.firing = False
        alert.resolved_ms = at_ms
        step.changed[alert.fingerprint] = alert
        self._touched.add(alert.fingerprint)
        step.timers.set(at_ms + 1000 * step.rules.resolved_kept_s, "forget", alert.fingerprint)
        self._look_at(step.registry.ends(alert))
        if alert.held and alert.held != "storm":
            self._freed.append((alert.held, alert.held_by, alert.scope, alert.fingerprint))
            alert.held, alert.held_by = "", ()
            return
        alert.held, alert.held_by = "", ()
        self._leave(alert)

    def judge_again(self, alerts: Iterable[AlertState]) -> None:
        """Judge these as if they came now: what held them has ended, or the rules have changed."""
        self._again.update((alert.fingerprint, alert) for alert in alerts if alert.firing)

    def quieter(self, alerts: Iterable[AlertState]) -> None:
        """Something else keeps these quiet than before."""
        for alert in alerts:
            if alert.firing and alert.incident:
                self._looked_at[alert.incident] = None

    def _look_at(self, alerts: Iterable[AlertState]) -> None:
        self._maybe_quiet.update((alert.fingerprint, alert) for alert in alerts)

    def _leave(self, alert: AlertState) -> None:
        """The alert fires in its incident no longer."""
        self._step.registry.members.leave(alert)
        owner = self._step.root(alert.incident)
        if owner is not None:
            self._healed.setdefault(owner.id, []).append(alert.fingerprint)

    # --- settling -----------------------------------------------------------------------------------------------

    def settle(self, reason: joining.WhyHealed = "sender") -> None:
        """Turn what was gathered into events."""
        again = self._inhibited_otherwise()
        self._admit(self._fresh, again=False)
        for incident_id, fingerprints in self._healed.items():
            joining.heal(incident_id, fingerprints, reason, self._actor, self._step)
            self._looked_at[incident_id] = None
        self._release(self._freed, "healed")
        self._admit(again, again=True)
        self._fresh, self._healed, self._freed = [], {}, []
        self._again, self._maybe_quiet, self._ruled = {}, {}, {}
        self._touched.clear()
        looked_at, self._looked_at = self._looked_at, {}
        quiet.review(looked_at, self._step)

    def end_storm(self, alerts: Sequence[AlertState]) -> None:
        """A storm is over: its alerts leave its incident, and are judged as if they came now."""
        for alert in alerts:
            self._leave(alert)
            alert.held, alert.held_by, alert.incident = "", (), ""
        self.judge_again(alerts)
        self.settle("storm_over")

    def _inhibited_otherwise(self) -> list[AlertState]:
        """Those to be judged again, in order of fingerprint, once it is clear what inhibits whom."""
        for fingerprint in sorted(self._maybe_quiet):
            alert = self._maybe_quiet[fingerprint]
            if not alert.firing or not self._step.registry.inhibited_anew(alert):
                continue
            if alert.held == "inhibited":
                self._again[fingerprint] = alert
            elif alert.incident:
                self._looked_at[alert.incident] = None
        fresh = {alert.fingerprint for alert in self._fresh}
        return [self._again[one] for one in sorted(self._again) if one not in fresh and self._again[one].firing]

    def _admit(self, alerts: Sequence[AlertState], *, again: bool) -> None:
        """Through the gates: what is held is noted, what passes belongs to an incident."""
        held: dict[_Alike, list[AlertState]] = {}
        freed: list[tuple[e.Disposition, tuple[str, ...], str, str]] = []
        passed: list[AlertState] = []
        for alert in alerts:
            if again and alert.incident:
                continue  # it belongs to an incident, a storm's perhaps, and stays there
            ruled = ruled_by(alert, self._step) if again else self._ruled.get(alert.fingerprint)
            hold = gates.hold_of(alert, ruled, self._step)
            if hold is None:
                if alert.held and alert.held != "storm":
                    freed.append((alert.held, alert.held_by, alert.scope, alert.fingerprint))
                passed.append(alert)
            elif (alert.held, alert.held_by) != (hold.disposition, hold.by):
                alike = (alert.scope, hold.disposition, hold.by, hold.sources, again)
                held.setdefault(alike, []).append(alert)
                self._hold(alert, hold)
            if hold is not None and not again:
                self.add(hold.disposition)
        self._log_held(held)
        self._release(freed, "ended")
        for alert in passed:
            alert.held, alert.held_by = "", ()
        self._join(passed, again=again)

    def _hold(self, alert: AlertState, hold: Hold) -> None:
        alert.held, alert.held_by, alert.incident = hold.disposition, hold.by, ""
        if hold.until_ms:
            self._step.timers.set(hold.until_ms, "release", alert.fingerprint)
        self._step.hit(hold.by)

    def _log_held(self, held: Mapping[_Alike, list[AlertState]]) -> None:
        step = self._step
        for (scope, disposition, by, sources, again), alerts in held.items():
            refs = [joining.ref_of(alert) for alert in alerts]
            data = e.AlertsHeld(disposition, list(by), refs, list(sources), again, step.state.rules_version)
            step.log(data, scope=scope, subject="intake", actor="system" if again else self._actor)

    def _release(self, freed: Sequence[tuple[e.Disposition, tuple[str, ...], str, str]], why: WhyReleased) -> None:
        step = self._step
        alike: dict[tuple[e.Disposition, tuple[str, ...], str], list[str]] = {}
        for disposition, by, scope, fingerprint in freed:
            alike.setdefault((disposition, by, scope), []).append(fingerprint)
        for (disposition, by, scope), fingerprints in alike.items():
            data = e.AlertsReleased(disposition, list(by), fingerprints, why, step.state.rules_version)
            step.log(data, scope=scope, subject="intake", actor=self._actor if why == "healed" else "system")

    def _join(self, passed: Sequence[AlertState], *, again: bool) -> None:
        groups: dict[str, list[AlertState]] = {}
        for alert in passed:
            groups.setdefault(alert.group_key, []).append(alert)
        if not again:
            storms.learn(passed, self._step)
        for group_key, newcomers in groups.items():
            joined = joining.join(group_key, newcomers, self._actor, self._step)
            if not again:
                for disposition, number in joined.items():
                    self.add(disposition, number)
            self._looked_at[newcomers[0].incident] = None


def ruled_by(alert: AlertState, step: Step) -> Hold | None:
    """Apply the rules about alerts: sets the labels, the severity and the group by which the alert is judged."""
    labels, rules = joining.original_labels(alert), step.ruleset.alert_rules
    severity = joining.severity_of(labels, step)
    hold = None
    judged: Mapping[str, str] = labels
    if not rules.is_empty and alert.source != OWN_SOURCE:
        annotations = joining.annotations_of(alert)
        ruling = rules.rule_on(labels, annotations, severity, alert.source, "firing" if alert.firing else "resolved")
        judged = ruling.labels
        severity = ruling.severity or joining.severity_of(judged, step)
        if ruling.verdict != "pass":
            disposition: e.Disposition = "dropped_by_rule" if ruling.verdict == "drop" else "noise"
            hold = Hold(disposition, (f"rule/{ruling.rule}",))
        else:
            step.hit([f"rule/{name}" for name in ruling.applied])
    alert.judged_raw = b"" if judged == labels else msgspec.json.encode(dict(sorted(judged.items())))
    alert.severity = severity
    alert.scope, alert.group_key = joining.belongs_to(judged, step)
    return hold
