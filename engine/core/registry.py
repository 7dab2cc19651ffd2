"""What is to be found quickly in the state: alerts by their labels, by incident, by what keeps them quiet.

All of it follows from the state and the rules; nothing here is kept in a snapshot.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from detectors.inhibition import Inhibition
from detectors.matchers import MatcherIndex, Matchers, beginning_of, matches
from engine.core.members import MAINTENANCE, OWN_SOURCE, Members
from engine.core.open_incidents import OpenIncidents
from engine.core.ruleset import RuleSet
from engine.core.state import AlertState, State


class Registry:
    """Look-ups over one partition's state. Whoever changes an alert tells it here."""

    def __init__(self, state: State, rules: RuleSet) -> None:
        self._state = state
        self._by_labels = {alert.labels_raw: alert for alert in state.alerts.values()}
        self._order: list[str] = list(state.alerts)
        self._ordered = False
        self._mutes: MatcherIndex[str] = MatcherIndex()
        self._muted: dict[str, dict[str, None]] = {}
        self.members = Members(state)
        self.open_incidents = OpenIncidents(state)
        for kept in state.silences.values():
            if kept.started and not kept.expired:
                self._mutes.add(kept.silence.id, kept.silence.matchers)
        for name in state.windows:
            if name in rules.windows:
                self._mutes.add(MAINTENANCE + name, rules.windows[name].matchers)
        self._inhibition = Inhibition(rules.inhibit)
        for alert in self._firing():
            self._register(alert)
            if alert.incident and alert.held in ("", "storm"):
                self.members.join(alert)

    def _firing(self) -> Iterator[AlertState]:
        return (alert for alert in self._state.alerts.values() if alert.firing)

    # --- alerts -------------------------------------------------------------------------------------------------

    def known(self, labels_raw: bytes) -> AlertState | None:
        """The alert with these labels, if it is remembered; labels are canonical bytes."""
        return self._by_labels.get(labels_raw)

    def remember(self, alert: AlertState) -> None:
        """Know this alert from now on."""
        self._state.alerts[alert.fingerprint] = alert
        self._by_labels[alert.labels_raw] = alert
        self._order.append(alert.fingerprint)
        self._ordered = False

    def forget(self, alert: AlertState) -> None:
        """Know it no longer."""
        del self._state.alerts[alert.fingerprint]
        self._by_labels.pop(alert.labels_raw, None)

    def in_order(self) -> list[str]:
        """The fingerprints of all alerts, sorted; among them some that are forgotten. Quick where few are new."""
        if not self._ordered or len(self._order) > 2 * len(self._state.alerts) + 1000:
            if len(self._order) != len(self._state.alerts):
                self._order = list(dict.fromkeys(one for one in self._order if one in self._state.alerts))
            self._order.sort()
            self._ordered = True
        return self._order

    def fires(self, alert: AlertState) -> list[AlertState]:
        """An alert begins to fire: finds what keeps it quiet; returns those that it may keep quiet."""
        if alert.source == OWN_SOURCE:
            return []
        if self._mutes:
            alert.muted_by = tuple(sorted(self._mutes.matching(alert.labels)))
        self._register(alert)
        if not self._inhibition:
            return []
        alert.inhibited_by = self._inhibition.inhibitors(alert.labels)
        return self._targets(alert)

    def ends(self, alert: AlertState) -> list[AlertState]:
        """An alert fires no longer; returns those that it may have kept quiet."""
        for name in alert.muted_by:
            self._muted.get(name, {}).pop(alert.fingerprint, None)
        alert.muted_by, alert.inhibited_by = (), ()
        if not self._inhibition:
            return []
        self._inhibition.remove(alert.fingerprint, alert.labels)
        return self._targets(alert)

    def _register(self, alert: AlertState) -> None:
        for name in alert.muted_by:
            self._muted.setdefault(name, {})[alert.fingerprint] = None
        if self._inhibition and alert.source != OWN_SOURCE:
            self._inhibition.add(alert.fingerprint, alert.labels)

    def _targets(self, alert: AlertState) -> list[AlertState]:
        found = (self._state.alerts.get(one) for one in self._inhibition.targets_of(alert.labels))
        return [one for one in found if one is not None and one.firing]

    def inhibited_anew(self, alert: AlertState) -> bool:
        """Find again what inhibits a firing alert; whether that is something else than before."""
        before = alert.inhibited_by
        alert.inhibited_by = self._inhibition.inhibitors(alert.labels, before)
        return alert.inhibited_by != before

    # --- what keeps quiet ---------------------------------------------------------------------------------------

    def mute(self, name: str, matchers: Matchers) -> list[AlertState]:
        """A silence or a window holds from now on; returns the firing alerts that it keeps quiet."""
        self._mutes.add(name, matchers)
        probe = raw_probe(matchers)
        found = []
        for alert in self._state.alerts.values():
            if not alert.firing or probe not in (alert.judged_raw or alert.labels_raw) or alert.source == OWN_SOURCE:
                continue
            if name not in alert.muted_by and matches(matchers, alert.labels):
                alert.muted_by = tuple(sorted((*alert.muted_by, name)))
                self._muted.setdefault(name, {})[alert.fingerprint] = None
                found.append(alert)
        return found

    def unmute(self, name: str) -> list[AlertState]:
        """A silence or a window holds no longer; returns the firing alerts that it kept quiet, by fingerprint."""
        self._mutes.remove(name)
        found = [self._state.alerts[one] for one in sorted(self._muted.pop(name, {}))]
        for alert in found:
            alert.muted_by = tuple([one for one in alert.muted_by if one != name])
        return found

    def mutes_by(self, name: str) -> Matchers | None:
        """What a silence or a window that holds now keeps quiet."""
        return self._mutes.get(name)

    def muted_by(self, name: str) -> int:
        """How many firing alerts a silence or a window keeps quiet."""
        return len(self._muted.get(name, ()))

    def use(self, rules: RuleSet) -> list[AlertState]:
        """Other rules hold now: find for each firing alert what keeps it quiet; returns those for which it changed."""
        self._inhibition = Inhibition(rules.inhibit)
        self._muted.clear()
        changed = []
        before = {alert.fingerprint: (alert.muted_by, alert.inhibited_by) for alert in self._firing()}
        for alert in self._firing():
            if alert.source != OWN_SOURCE:
                alert.muted_by = tuple(sorted(self._mutes.matching(alert.labels)))
            self._register(alert)
        for alert in self._firing():
            if alert.source != OWN_SOURCE:
                self.inhibited_anew(alert)
            if (alert.muted_by, alert.inhibited_by) != before[alert.fingerprint]:
                changed.append(alert)
        return changed


def raw_probe(matchers: Matchers) -> bytes:
    """Bytes that stand in the canonical labels of whatever satisfies the matchers: far quicker to see than labels."""
    for matcher in matchers:
        if matcher.op == "=" and matcher.value:
            return msgspec.json.encode({matcher.name: matcher.value})[1:-1]
    needed = [matcher for matcher in matchers if not matcher.matches("")]
    if not needed:
        return b""
    beginnings = [(beginning_of(matcher), matcher) for matcher in needed]
    beginning, matcher = max(beginnings, key=lambda one: len(one[0]))
    return msgspec.json.encode({matcher.name: beginning})[1:-2]
