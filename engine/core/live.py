"""The live state for the outer rooms: views of alerts and silences, made when they are asked for."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence

from detectors.matchers import matches
from engine.core.dispatch import Dispatch
from engine.core.members import MAINTENANCE
from engine.core.registry import Registry, raw_probe
from engine.core.roster import StateRoster
from engine.core.state import AlertState, KeptSilence, State
from schemas.alerts import labels_of
from schemas.config import Rules
from schemas.live import AlertQuery, LiveAlert, LiveGroup, LiveSilence
from schemas.silences import SilenceState

EVERY = AlertQuery()
SOME = 512
"""Alerts that are looked through at a time."""
RARE = 20
"""What fewer than one in so many of them satisfies is looked for among all at once."""


class Live:
    """`schemas.live.LiveState` over one partition's state."""

    def __init__(self, state: State, registry: Registry, dispatch: Dispatch) -> None:
        self._state, self._registry, self._dispatch = state, registry, dispatch
        self._rules: tuple[bytes, Rules] | None = None

    def rules(self) -> Rules:
        """The rules in force."""
        if self._rules is None or self._rules[0] is not self._state.rules_json:
            self._rules = self._state.rules_json, Rules.model_validate_json(self._state.rules_json)
        return self._rules[1]

    def alerts(self, query: AlertQuery = EVERY) -> Iterator[LiveAlert]:
        """The alerts that a query asks for, by fingerprint. Lazy."""
        matchers = query.matchers
        for some in self._candidates(query):
            for alert in some:
                if _asked(alert, query) and (not matchers or matches(matchers, alert.labels)):
                    yield self._view(alert)

    def _candidates(self, query: AlertQuery) -> Iterator[list[AlertState]]:
        """Those that may be asked for, some at a time, by fingerprint: a page costs what it shows and skips."""
        alerts, probe, order = self._state.alerts, raw_probe(query.matchers), self._registry.in_order()

        def likely(some: Iterable[AlertState | None]) -> list[AlertState]:
            return [
                one
                for one in some
                if one is not None
                and probe in (one.judged_raw or one.labels_raw)
                and (query.active or one.is_quiet or not one.firing)
            ]

        place = bisect_right(order, query.after) if query.after else 0
        while place < len(order):
            found = likely(map(alerts.get, order[place : place + SOME]))
            yield found
            place += SOME
            if len(found) * RARE < SOME and place < len(order):
                # Looked for all over: several times quicker in the order in which they lie in memory.
                last = order[place - 1]
                rest = [one for one in likely(alerts.values()) if one.fingerprint > last]
                yield sorted(rest, key=lambda one: one.fingerprint)
                return

    def alert(self, fingerprint: str) -> LiveAlert | None:
        """One alert, or None when it is not remembered."""
        found = self._state.alerts.get(fingerprint)
        return self._view(found) if found is not None else None

    def silences(self) -> Sequence[LiveSilence]:
        """All silences, in the order in which they were made."""
        return [self._silence(kept) for kept in self._state.silences.values()]

    def silence(self, silence_id: str) -> LiveSilence | None:
        """One silence, or None."""
        kept = self._state.silences.get(silence_id)
        return self._silence(kept) if kept is not None else None

    def hits(self) -> Mapping[str, int]:
        """How many alerts each silence, window and rule has held."""
        return dict(self._state.hits)

    def open_windows(self) -> Mapping[str, int]:
        """The maintenance windows that are open now, each with its end."""
        return dict(self._state.windows)

    def groups(self) -> Sequence[LiveGroup]:
        """All notification groups, in the order in which they began."""
        return [
            LiveGroup(group.id, group.key, group.receiver, group.labels, list(group.alerts), tuple(group.by))
            for group in self._state.dispatch.groups.values()
        ]

    def receivers(self, fingerprint: str) -> Sequence[str]:
        """The receivers of dispatch to which an alert goes, in the order of the routes; none where it is off."""
        found = self._state.alerts.get(fingerprint)
        return self._dispatch.receivers_of(found) if found is not None else ()

    def oncall(self) -> StateRoster:
        """Who is on call, and who is being paged."""
        return StateRoster(self._state, self.rules)

    def _silence(self, kept: KeptSilence) -> LiveSilence:
        state: SilenceState = "expired" if kept.expired else "active" if kept.started else "pending"
        return LiveSilence(kept.silence, state, self._state.hits.get(kept.silence.id, 0))

    def _view(self, alert: AlertState) -> LiveAlert:
        owner = self._registry.members.owner(alert.incident) if alert.incident else ""
        return LiveAlert(
            fingerprint=alert.fingerprint,
            labels=alert.labels,
            annotations=labels_of(alert.annotations_raw),
            firing=alert.firing,
            state="suppressed" if alert.is_quiet else "active",
            severity=alert.severity,
            starts_ms=alert.starts_ms,
            ends_ms=alert.ends_ms,
            expires_ms=alert.expires_ms,
            updated_ms=alert.updated_ms,
            resolved_ms=alert.resolved_ms,
            generator_url=alert.generator_url,
            source=alert.source,
            scope=alert.scope,
            incident=owner,
            silenced_by=tuple([name for name in alert.muted_by if not name.startswith(MAINTENANCE)]),
            inhibited_by=tuple([one.fingerprint for one in alert.inhibited_by]),
            maintained_by=tuple([name[len(MAINTENANCE) :] for name in alert.muted_by if name.startswith(MAINTENANCE)]),
            held=alert.held,
            held_by=alert.held_by,
        )


def _asked(alert: AlertState, query: AlertQuery) -> bool:
    """Whether the query asks for alerts in the state of this one."""
    if not alert.firing and not query.resolved:
        return False
    if alert.held == "dropped_by_rule" and not query.dropped:
        return False
    if not alert.is_quiet:
        return query.active
    if alert.inhibited_by and not query.inhibited:
        return False
    if not alert.muted_by:
        return True
    in_window = any(name.startswith(MAINTENANCE) for name in alert.muted_by)
    silenced = any(not name.startswith(MAINTENANCE) for name in alert.muted_by)
    return (query.silenced or not silenced) and (query.in_maintenance or not in_window)
