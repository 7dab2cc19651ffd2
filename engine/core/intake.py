"""Intake: what becomes of each received alert. Exactly one disposition each, so that the books balance.

A re-sent alert is recognised by the bytes of its labels and writes no event. What changes is gathered per incident,
so that a body of many alerts makes few events.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from detectors import duplicates, grouping
from engine.core import triage
from engine.core.state import AlertState, State
from engine.core.step import Step
from schemas import events as e
from schemas.alerts import Alert, Rejected, fingerprint
from schemas.errors import InvalidPayload
from schemas.ports import Parser
from schemas.records import Received

Newcomer = tuple[AlertState, Alert]

LASTING = 86_400_000
"""An alert that Tocsin raises about itself is taken as over after a day without a repeat (milliseconds)."""


class Intake:
    """Judges alerts against the state. `parsers` are pure functions by format name."""

    def __init__(self, state: State, parsers: Mapping[str, Parser]) -> None:
        self._state = state
        self._parsers = parsers
        self._by_labels = {alert.labels_raw: alert for alert in state.alerts.values()}

    def receive(self, record: Received, step: Step) -> None:
        """Judge one body; its dispositions are left in the step and added to the books."""
        batch = _Batch(self, step, record.source)
        parse = self._parsers.get(record.format)
        try:
            if parse is None:
                raise InvalidPayload(f"no parser named {record.format!r}")
            items: Sequence[Alert | Rejected] = parse(record.body, record.at_ms)
        except InvalidPayload as unreadable:
            items = [Rejected(unreadable.place, unreadable.reason)]
        ttl_s = step.rules.expiry_s.get(record.source, step.rules.expiry_s.get(record.format, 300))
        batch.judge(items, step.at_ms + 1000 * ttl_s)
        batch.settle()
        self._count(record.source, batch.counts, step)

    def raise_own(self, labels: dict[str, str], summary: str, step: Step) -> None:
        """Raise an alert about Tocsin itself."""
        alert = Alert.of(labels, "firing", step.at_ms, annotations={"summary": summary})
        batch = _Batch(self, step, "tocsin")
        batch.judge([alert], step.at_ms + LASTING)
        batch.settle()
        self._count("tocsin", batch.counts, step)

    def expire(self, alerts: list[AlertState], step: Step) -> list[AlertState]:
        """Resolve alerts whose sender has been silent for too long; none are left. Not received: not in the books."""
        if alerts:
            batch = _Batch(self, step, "")
            for alert in alerts:
                batch.heal(alert, step.at_ms)
            batch.settle(reason="timeout")
        return []

    def is_silent(self, fingerprint_: str, due_ms: int, step: Step) -> AlertState | None:
        """The alert whose expiry timer of `due_ms` rang, if its sender has really fallen silent; else wait on."""
        alert = self._state.alerts.get(fingerprint_)
        if alert is None or alert.armed_ms != due_ms:
            return None
        alert.armed_ms = 0  # also of a healed one: should it fire again, it needs another timer
        if not alert.firing:
            return None
        if alert.expires_ms <= step.at_ms:
            return alert
        arm(alert, step)
        return None

    def forget(self, fingerprint_: str, step: Step) -> None:
        """Forget an alert that has been resolved for long enough."""
        alert = self._state.alerts.get(fingerprint_)
        kept_ms = 1000 * step.rules.resolved_kept_s
        if alert is not None and not alert.firing and alert.resolved_ms + kept_ms <= step.at_ms:
            del self._state.alerts[alert.fingerprint]
            self._by_labels.pop(alert.labels_raw, None)

    def known(self, labels_raw: bytes) -> AlertState | None:
        """The alert with these labels, if it is remembered; labels are canonical bytes."""
        return self._by_labels.get(labels_raw)

    def remember(self, alert: AlertState) -> None:
        """Know this alert from now on."""
        self._state.alerts[alert.fingerprint] = alert
        self._by_labels[alert.labels_raw] = alert

    def _count(self, source: str, counts: dict[e.Disposition, int], step: Step) -> None:
        state = self._state
        step.dispositions = counts
        if not state.unrolled:
            state.unrolled_since_ms = step.at_ms
            step.timers.set(step.at_ms + 1000 * step.rules.rollup_s, "rollup", "")
        for books in (state.books, state.unrolled):
            page = books.setdefault(source, {})
            for disposition, number in counts.items():
                page[disposition] = page.get(disposition, 0) + number

    def roll_up(self, step: Step) -> None:
        """Write to the log what was counted since the last time."""
        state = self._state
        if not state.unrolled:
            return
        received = sum(sum(page.values()) for page in state.unrolled.values())
        step.log(e.IntakeRolledUp(state.unrolled_since_ms, received, state.unrolled), scope="default", subject="intake")
        state.unrolled = {}


class _Batch:
    """The alerts of one body: judged one by one, then settled together per incident."""

    def __init__(self, intake: Intake, step: Step, source: str) -> None:
        self._intake, self._step, self._source = intake, step, source
        self.counts: dict[e.Disposition, int] = {}
        self._fresh: dict[str, list[Newcomer]] = {}
        self._healed: dict[str, list[str]] = {}
        self._touched: set[str] = set()

    def judge(self, items: Sequence[Alert | Rejected], silent_until_ms: int) -> None:
        """Judge each item; alerts without an end of their own expire at `silent_until_ms`. The hot path."""
        known_by = self._intake.known
        repeated = 0
        for item in items:
            if type(item) is Rejected:
                self._reject(item)
                continue
            assert type(item) is Alert
            known = known_by(item.labels_raw)
            if known is not None and known.firing == (item.status == "firing"):
                if known.firing:
                    expires_ms = item.ends_ms or silent_until_ms
                    if expires_ms > known.expires_ms:
                        known.expires_ms = expires_ms
                repeated += 1
                continue
            self._judge_change(item, known, silent_until_ms)
        if repeated:
            self._add("repeated", repeated)

    def _judge_change(self, item: Alert, known: AlertState | None, silent_until_ms: int) -> None:
        step = self._step
        if known is not None and known.fingerprint in self._touched:
            self.settle()
        window_s = step.rules.grouping.reorder_window_s
        match duplicates.verdict(known, item, step.at_ms, reorder_window_s=window_s):
            case "news" if item.status == "firing":
                self._fires(item, known, silent_until_ms)
            case "news":
                if known is None:
                    self._remember(item, silent_until_ms, firing=False)
                else:
                    self.heal(known, step.at_ms)
                    known.ends_ms = item.ends_ms
                self._add("resolved")
            case "repeat" | "overtaken" | "earlier_end" as told:
                if told == "repeat" and known is not None:
                    known.expires_ms = max(known.expires_ms, item.ends_ms or silent_until_ms)
                self._add("repeated")

    def _fires(self, item: Alert, known: AlertState | None, silent_until_ms: int) -> None:
        if known is None:
            known = self._remember(item, silent_until_ms, firing=True)
        else:
            known.firing = True
            known.starts_ms = item.starts_ms
            known.expires_ms = item.ends_ms or silent_until_ms
        arm(known, self._step)
        known.annotations_raw, known.generator_url = item.annotations_raw, item.generator_url
        known.ends_ms = item.ends_ms
        self._step.changed[known.fingerprint] = known
        self._touched.add(known.fingerprint)
        self._fresh.setdefault(known.group_key, []).append((known, item))

    def _remember(self, item: Alert, silent_until_ms: int, *, firing: bool) -> AlertState:
        step, labels = self._step, item.labels
        alert = AlertState(
            fingerprint=fingerprint(labels),
            labels_raw=item.labels_raw,
            scope=grouping.scope_of(labels, step.rules.grouping),
            group_key=grouping.group_key_of(labels, step.rules),
            severity=triage.severity_of(labels, step.rules.triage),
            firing=firing,
            starts_ms=item.starts_ms,
            expires_ms=item.ends_ms or silent_until_ms,
            resolved_ms=0 if firing else step.at_ms,
        )
        self._intake.remember(alert)
        if not firing:
            step.timers.set(step.at_ms + 1000 * step.rules.resolved_kept_s, "forget", alert.fingerprint)
        return alert

    def heal(self, alert: AlertState, at_ms: int) -> None:
        """The alert no longer fires."""
        alert.firing = False
        alert.resolved_ms = at_ms
        self._step.changed[alert.fingerprint] = alert
        self._touched.add(alert.fingerprint)
        self._step.timers.set(at_ms + 1000 * self._step.rules.resolved_kept_s, "forget", alert.fingerprint)
        owner = self._step.root(alert.incident)
        if owner is not None:
            self._healed.setdefault(owner.id, []).append(alert.fingerprint)

    def _reject(self, item: Rejected) -> None:
        self._add("invalid")
        rejected = e.PayloadRejected(self._source, item.place, item.reason)
        self._step.log(rejected, scope="default", subject=f"source/{self._source}", actor=self._actor)

    def _add(self, disposition: e.Disposition, number: int = 1) -> None:
        self.counts[disposition] = self.counts.get(disposition, 0) + number

    @property
    def _actor(self) -> str:
        return f"source:{self._source}" if self._source else "system"

    # --- settling -----------------------------------------------------------------------------------------------

    def settle(self, reason: str = "sender") -> None:
        """Turn what was gathered into events of incidents."""
        for group_key, newcomers in self._fresh.items():
            self._join(group_key, newcomers)
        for incident_id, fingerprints in self._healed.items():
            self._heal_incident(incident_id, fingerprints, reason)
        self._fresh, self._healed = {}, {}
        self._touched.clear()

    def _join(self, group_key: str, newcomers: list[Newcomer]) -> None:
        step = self._step
        refs = [self._ref(state, alert) for state, alert in newcomers]
        latest = step.root(step.state.groups.get(group_key, ""))
        if latest is not None and latest.is_open:
            incident_id, opened = latest.id, 0
            step.incident(e.AlertsAttached(latest.id, refs), scope=latest.scope, actor=self._actor)
        elif latest is not None and self._just_resolved(latest.state, latest.resolved_ms):
            incident_id, opened = latest.id, 0
            reopened = e.IncidentReopened(latest.id, "fired again soon after it was resolved", refs)
            step.incident(reopened, scope=latest.scope, actor=self._actor)
        else:
            incident_id, opened = self._open(group_key, newcomers, refs, latest.id if latest else ""), 1
        for state, _ in newcomers:
            state.incident = incident_id
        self._add("opened", opened) if opened else None
        self._add("attached", len(newcomers) - opened) if len(newcomers) > opened else None
        if not opened:
            self._reassess(incident_id, newcomers)

    def _just_resolved(self, state: e.IncidentState, resolved_ms: int) -> bool:
        within_ms = 1000 * self._step.rules.grouping.reopen_within_s
        return state in ("resolved", "in_review") and self._step.at_ms - resolved_ms <= within_ms

    def _open(self, group_key: str, newcomers: list[Newcomer], refs: list[e.AlertRef], recurrence_of: str) -> str:
        step, rules = self._step, self._step.rules
        worst_state, worst = min(newcomers, key=lambda pair: triage.urgency_of(pair[0].severity))
        labels, scope = worst.labels, worst_state.scope
        number = step.state.numbers[scope] = step.state.numbers.get(scope, 0) + 1
        urgency = triage.urgency_of(worst_state.severity)
        impact = triage.impact_of(labels, len(newcomers), rules.triage)
        opened = e.IncidentOpened(
            incident=triage.incident_id(scope, number),
            title=triage.title_of(labels, worst.annotations),
            service=grouping.first_present(labels, rules.grouping.service),
            severity=worst_state.severity,
            urgency=urgency,
            impact=impact,
            priority=triage.priority_of(urgency, impact, rules.triage),
            origin="internal" if self._source == "tocsin" else "alert",
            group_key=group_key,
            alerts=refs,
            labels=_common(newcomers),
            description=worst.annotations.get("description", ""),
            recurrence_of=recurrence_of,
            outage=grouping.outage_of(labels, rules),
            rules_version=step.state.rules_version,
        )
        step.state.groups[group_key] = opened.incident
        step.incident(opened, scope=scope, actor=self._actor)
        return opened.incident

    def _reassess(self, incident_id: str, newcomers: list[Newcomer]) -> None:
        """More or worse alerts can raise urgency and impact; they never lower what was judged before."""
        step = self._step
        incident = step.state.incidents[incident_id]
        worst_state, worst = min(newcomers, key=lambda pair: triage.urgency_of(pair[0].severity))
        worse = triage.urgency_of(worst_state.severity) < triage.urgency_of(incident.severity)
        if incident.judged_by_hand and not worse:
            return
        urgency = min(incident.urgency, triage.urgency_of(worst_state.severity))
        impact = min(incident.impact, triage.impact_of(worst.labels, incident.firing, step.rules.triage))
        priority = triage.priority_of(urgency, impact, step.rules.triage)
        if not worse and priority == incident.priority:
            return
        severity = worst_state.severity if worse else incident.severity
        reason = f"{worst_state.severity} alert joined" if worse else f"{incident.firing} alerts fire at once"
        raised = e.IncidentRaised(incident_id, severity, urgency, impact, priority, reason)
        step.incident(raised, scope=incident.scope, actor=self._actor)

    def _heal_incident(self, incident_id: str, fingerprints: list[str], reason: str) -> None:
        step = self._step
        scope = step.state.incidents[incident_id].scope
        healed = e.AlertsResolved(incident_id, fingerprints, "timeout" if reason == "timeout" else "sender")
        after = step.incident(healed, scope=scope, actor=self._actor)
        if after.firing == 0 and after.is_open and after.origin in ("alert", "internal"):
            step.incident(e.IncidentResolved(incident_id, automatic=True), scope=scope)

    def _ref(self, state: AlertState, alert: Alert) -> e.AlertRef:
        return e.AlertRef(
            fingerprint=state.fingerprint,
            severity=state.severity,
            starts_ms=state.starts_ms,
            labels=msgspec.Raw(alert.labels_raw),
            annotations=msgspec.Raw(alert.annotations_raw),
            source=self._source,
            generator_url=alert.generator_url,
        )


def arm(alert: AlertState, step: Step) -> None:
    """See to it that a timer rings when the alert expires; one that rings later anyway is looked at then."""
    if not alert.armed_ms or alert.expires_ms < alert.armed_ms:
        alert.armed_ms = alert.expires_ms
        step.timers.set(alert.expires_ms, "expire", alert.fingerprint)


def _common(newcomers: list[Newcomer]) -> dict[str, str]:
    """The labels that all newcomers share."""
    common = dict(newcomers[0][1].labels.items())
    for _, alert in newcomers[1:]:
        labels = alert.labels
        for name in [name for name, value in common.items() if labels.get(name) != value]:
            del common[name]
    return common
