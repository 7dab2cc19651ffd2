"""Intake: what becomes of each received alert. Exactly one disposition each, so that the books balance.

A re-sent alert is recognised by the bytes of its labels: it writes no event and passes no gate. What has begun or ended
goes to `engine.core.settling`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from detectors import duplicates
from engine.core import gates
from engine.core.members import OWN_SOURCE
from engine.core.registry import Registry
from engine.core.settling import Settling, ruled_by
from engine.core.state import AlertState, State
from engine.core.step import Step
from schemas import events as e
from schemas.alerts import Alert, Rejected, fingerprint
from schemas.errors import InvalidPayload
from schemas.ports import Parser
from schemas.records import Received

LASTING = 86_400_000
"""An alert that Tocsin raises about itself is taken as over after a day without a repeat (milliseconds)."""


class Intake:
    """Judges alerts against the state. `parsers` are pure functions by format name."""

    def __init__(self, state: State, parsers: Mapping[str, Parser], registry: Registry) -> None:
        self._state = state
        self._parsers = parsers
        self._registry = registry

    def receive(self, record: Received, step: Step) -> None:
        """Judge one body; its dispositions are left in the step and added to the books."""
        batch = _Batch(self._registry, step, record.source)
        parse = self._parsers.get(record.format)
        try:
            if parse is None:
                raise InvalidPayload(f"no parser named {record.format!r}")
            items: Sequence[Alert | Rejected] = parse(record.body, record.at_ms)
        except InvalidPayload as unreadable:
            items = [Rejected(unreadable.place, unreadable.reason)]
        ttl_s = step.rules.expiry_s.get(record.source, step.rules.expiry_s.get(record.format, 300))
        batch.judge(items, step.at_ms + 1000 * ttl_s)
        batch.settling.settle()
        self._count(record.source, batch.settling.counts, step)

    def raise_own(self, labels: dict[str, str], summary: str, step: Step, *, firing: bool = True) -> None:
        """Raise an alert about Tocsin itself, or end one."""
        alert = Alert.of(labels, "firing" if firing else "resolved", step.at_ms, annotations={"summary": summary})
        batch = _Batch(self._registry, step, OWN_SOURCE)
        batch.judge([alert], step.at_ms + LASTING)
        batch.settling.settle()
        self._count(OWN_SOURCE, batch.settling.counts, step)

    def expire(self, alerts: list[AlertState], step: Step) -> list[AlertState]:
        """Resolve alerts whose sender has been silent for too long; none are left. Not received: not in the books."""
        if alerts:
            settling = Settling(step)
            for alert in alerts:
                gates.changed(alert, step)
                settling.heals(alert, step.at_ms)
            settling.settle("timeout")
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
            self._registry.forget(alert)

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
        if state.unrolled_hits:
            step.log(e.RulesHit(state.unrolled_since_ms, state.unrolled_hits), scope="default", subject="intake")
            state.unrolled_hits = {}


class _Batch:
    """The alerts of one body, judged one by one."""

    def __init__(self, registry: Registry, step: Step, source: str) -> None:
        self._registry, self._step, self._source = registry, step, source
        self.settling = Settling(step, source)

    def judge(self, items: Sequence[Alert | Rejected], silent_until_ms: int) -> None:
        """Judge each item; alerts without an end of their own expire at `silent_until_ms`. The hot path."""
        known_by, at_ms = self._registry.known, self._step.at_ms
        repeated = 0
        for item in items:
            if type(item) is Rejected:
                self._reject(item)
                continue
            assert type(item) is Alert
            known = known_by(item.labels_raw)
            if known is not None and known.firing == (item.status == "firing"):
                known.updated_ms, known.annotations_raw, known.generator_url = (
                    at_ms, item.annotations_raw, item.generator_url,
                )  # fmt: skip
                if known.firing:
                    expires_ms = item.ends_ms or silent_until_ms
                    if expires_ms > known.expires_ms:
                        known.expires_ms, known.ends_ms = expires_ms, item.ends_ms
                    elif item.ends_ms is not None and known.ends_ms is None:
                        # An end that a sender states beats one that only its silence would mean.
                        known.expires_ms = known.ends_ms = item.ends_ms
                        arm(known, self._step)
                    if item.starts_ms < known.starts_ms:
                        known.starts_ms = item.starts_ms
                elif item.ends_ms is not None and item.ends_ms > (known.ends_ms or known.resolved_ms):
                    known.ends_ms = item.ends_ms
                repeated += 1
                continue
            self._judge_change(item, known, silent_until_ms)
        if repeated:
            self.settling.add("repeated", repeated)

    def _judge_change(self, item: Alert, known: AlertState | None, silent_until_ms: int) -> None:
        step = self._step
        if known is not None and self.settling.has(known):
            self.settling.settle()
        window_s = step.rules.grouping.reorder_window_s
        match duplicates.verdict(known, item, step.at_ms, reorder_window_s=window_s):
            case "news" if item.status == "firing":
                self._fires(item, known, silent_until_ms)
            case "news":
                if known is None:
                    self._remember(item, silent_until_ms)
                else:
                    self._note(known, item)
                    gates.changed(known, step)
                    self.settling.heals(known, step.at_ms)
                self.settling.add("resolved")
            case "repeat" | "overtaken" | "earlier_end" as told:
                if told == "repeat" and known is not None:
                    known.expires_ms = max(known.expires_ms, item.ends_ms or silent_until_ms)
                self.settling.add("repeated")

    def _fires(self, item: Alert, known: AlertState | None, silent_until_ms: int) -> None:
        step = self._step
        if known is None:
            known = self._remember(item, silent_until_ms)
        else:
            known.firing = True
            known.starts_ms = item.starts_ms
            known.expires_ms = item.ends_ms or silent_until_ms
            known.source = self._source
            self._note(known, item)
            gates.changed(known, step)
        known.fired_ms = step.at_ms
        arm(known, step)
        self.settling.fires(known, ruled_by(known, step))

    def _note(self, known: AlertState, item: Alert) -> None:
        known.annotations_raw, known.generator_url = item.annotations_raw, item.generator_url
        known.ends_ms, known.updated_ms = item.ends_ms, self._step.at_ms

    def _remember(self, item: Alert, silent_until_ms: int) -> AlertState:
        step, firing = self._step, item.status == "firing"
        alert = AlertState(
            fingerprint=fingerprint(item.labels),
            labels_raw=item.labels_raw,
            scope="",
            group_key="",
            severity="info",
            firing=firing,
            starts_ms=item.starts_ms,
            expires_ms=item.ends_ms or silent_until_ms,
            resolved_ms=0 if firing else step.at_ms,
            annotations_raw=item.annotations_raw,
            generator_url=item.generator_url,
            ends_ms=item.ends_ms,
            source=self._source,
            updated_ms=step.at_ms,
        )
        self._registry.remember(alert)
        if not firing:
            ruled_by(alert, step)
            step.timers.set(step.at_ms + 1000 * step.rules.resolved_kept_s, "forget", alert.fingerprint)
        return alert

    def _reject(self, item: Rejected) -> None:
        self.settling.add("invalid")
        rejected = e.PayloadRejected(self._source, item.place, item.reason)
        actor = f"source:{self._source}" if self._source else "system"
        self._step.log(rejected, scope="default", subject=f"source/{self._source}", actor=actor)


def arm(alert: AlertState, step: Step) -> None:
    """See to it that a timer rings when the alert expires; one that rings later anyway is looked at then."""
    if not alert.armed_ms or alert.expires_ms < alert.armed_ms:
        alert.armed_ms = alert.expires_ms
        step.timers.set(alert.expires_ms, "expire", alert.fingerprint)
