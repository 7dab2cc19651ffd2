"""The core: a deterministic function from a record to events. No clock, no I/O, no dice.

Replaying the same records over the same parsers gives the same events, byte for byte.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, assert_never

import msgspec
from pydantic import ValidationError

from detectors.correlation import Change
from detectors.rule_checks import problems
from engine.core import (
    channel_care,
    correlating,
    escalating,
    forgetting,
    gates,
    orders,
    reconfiguring,
    rota,
    silences,
    storms,
    windows,
)
from engine.core.dispatch import Dispatch
from engine.core.intake import Intake
from engine.core.live import Live
from engine.core.registry import Registry
from engine.core.ruleset import RuleSet
from engine.core.settling import Settling
from engine.core.state import AlertState, Books, State, decode_state, encode_state
from engine.core.step import Step
from engine.core.timers import Timers
from engine.machines import delivery
from schemas import events as e
from schemas import records as r
from schemas.config import Rules, digest_of
from schemas.deliveries import PendingDelivery
from schemas.errors import CommandRejected
from schemas.ports import Parser


class Decision(msgspec.Struct, frozen=True):
    """What the core made of one record. A rejected command is journalled but causes no event."""

    events: Sequence[e.Event] = ()
    dispositions: Mapping[e.Disposition, int] = {}
    rejected: CommandRejected | None = None


class Core:
    """One partition's decisions. Feed it records in journal order; timers fall due on `Tick` records only."""

    def __init__(self, parsers: Mapping[str, Parser], state: State | None = None, *, partition: int = 0) -> None:
        self._state = state or State()
        self._partition = partition
        self._timers = Timers(self._state.timers)
        self._parsers = parsers
        self._rules = Rules.model_validate_json(self._state.rules_json)
        self._ruleset = RuleSet(self._rules)
        self._registry = Registry(self._state, self._ruleset)
        self._intake = Intake(self._state, parsers, self._registry)
        self._dispatch = Dispatch(self._state, self._rules)
        self._live = Live(self._state, self._registry, self._dispatch)

    # --- snapshots ----------------------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """The whole state as bytes, for `from_snapshot`."""
        self._state.timers = self._timers.pending()
        return encode_state(self._state)

    @classmethod
    def from_snapshot(cls, state: bytes, parsers: Mapping[str, Parser], *, partition: int = 0) -> Core:
        """The core as it was when `snapshot` was taken."""
        return cls(parsers, decode_state(state), partition=partition)

    # --- what others may look at --------------------------------------------------------------------------------

    @property
    def now_ms(self) -> int:
        """The time of the latest record (UTC milliseconds)."""
        return self._state.now_ms

    @property
    def rules_digest(self) -> str:
        """The digest of the rules in force, empty before the first `Configured`."""
        return digest_of(self._state.rules_json) if self._state.rules_version else ""

    def next_due_ms(self) -> int | None:
        """When a `Tick` record is wanted, or None while no timer is pending."""
        return self._timers.next_due_ms()

    def books(self) -> Books:
        """Alerts received since the beginning, by source and disposition."""
        return {source: dict(page) for source, page in self._state.books.items()}

    def live(self) -> Live:
        """The alerts and silences as they stand now."""
        return self._live

    def pending_deliveries(self) -> list[PendingDelivery]:
        """The attempts that were ordered and have no answer yet, oldest first."""
        return [
            PendingDelivery(one.id, one.channel, one.attempt, self._notice(one), started=one.phase == "started")
            for one in self._state.deliveries.values()
            if one.phase in ("due", "started")
        ]

    def pending_delivery(self, delivery_id: str) -> PendingDelivery | None:
        """The ordered attempt of one delivery, or None when there is none."""
        one = self._state.deliveries.get(delivery_id)
        if one is None or one.phase != "due":
            return None
        return PendingDelivery(one.id, one.channel, one.attempt, self._notice(one))

    def _notice(self, one: delivery.Delivery) -> e.Notice:
        """What the channel gets: of a notification group, with its alerts."""
        return self._dispatch.filled_in(one) if one.notice.group is not None else one.notice

    # --- deciding -----------------------------------------------------------------------------------------------

    def handle(self, record: r.Record) -> Decision:
        """Decide one record. Anything but a Decision is a bug: the caller restores the state and calls `poison`."""
        step = self._step(record)
        match record:
            case r.Received():
                self._intake.receive(record, step)
            case r.Tick():
                self._tick(step)
            case r.Commanded():
                orders.decide(record, step)
            case r.Attempting():
                self._attempt(record, step)
            case r.Delivered():
                self._answer(record, step)
            case r.Configured():
                self._configure(record, step)
            case r.Changed():
                _change(record, step)
            case _:
                assert_never(record)
        self._finish(step)
        return Decision(step.events, step.dispositions, step.rejected)

    def poison(self, record: r.Record, error: str) -> Decision:
        """Mark a record on which `handle` failed, on a state restored to before it. A failing timer is dropped."""
        step = self._step(record)
        kind = str(record.__struct_config__.tag)
        if isinstance(record, r.Tick):
            for _, timer, _ in self._timers.due(step.at_ms):
                kind = f"timer {timer}"
                break
        step.log(e.RecordPoisoned(kind, error), scope="default", subject="poison")
        labels = {"alertname": "TocsinRecordPoisoned", "service": "tocsin", "severity": "critical", "kind": kind}
        if self._partition and self._rules.grouping.scope:
            # The scope `default` lives in partition 0; elsewhere its incident ids would come twice.
            labels[self._rules.grouping.scope[0]] = f"tocsin.partition-{self._partition}"
        self._intake.raise_own(labels, f"Tocsin could not judge a record: {error}", step)
        self._finish(step)
        return Decision(step.events, step.dispositions)

    def _finish(self, step: Step) -> None:
        """What follows from a record's own events: pages of escalations, alerts about Tocsin, notification groups."""
        escalating.take(step)
        while step.own:
            labels, summary, firing = step.own.pop(0)
            self._intake.raise_own(labels, summary, step, firing=firing)
            escalating.take(step)
        self._dispatch.take(step)

    def _step(self, record: r.Record) -> Step:
        state = self._state
        state.now_ms = max(state.now_ms, record.at_ms)
        return Step(state, self._rules, self._timers, self._registry, self._ruleset)

    def _tick(self, step: Step) -> None:  # noqa: C901 - one case per kind of timer
        silent: list[AlertState] = []
        for due_ms, kind, key in self._timers.due(step.at_ms):
            match kind:
                case "expire":
                    if (alert := self._intake.is_silent(key, due_ms, step)) is not None:
                        silent.append(alert)
                case "forget":
                    self._intake.forget(key, step)
                case "retire":
                    forgetting.retire(key, step.state, step.rules, step.timers)
                case "rollup":
                    self._intake.roll_up(step)
                case "retry" | "deadline" | "probe":
                    self._ring(kind, key, due_ms, step)
                case "escalate" | "oncall":
                    silent = self._expire_of(key, silent, step)
                    _call_on(kind, key, due_ms, step)
                case "group":
                    silent = self._intake.expire(silent, step)
                    self._dispatch.ring(key, due_ms, step)
                case "silence" | "window" | "release" | "calm" | "storm":
                    silent = self._intake.expire(silent, step)
                    _wake(kind, key, due_ms, step)
                case _:
                    silent = self._expire_of(key, silent, step)
                    step.wake(kind, key)
        self._intake.expire(silent, step)

    def _expire_of(self, key: str, silent: list[AlertState], step: Step) -> list[AlertState]:
        """After a long gap much falls due at once: what expired earlier counts before an incident is woken.

        Only in its scope, so that a scope is decided alike whatever else its partition has. `key` begins with the
        incident's id, or is of no incident; returns who is still to expire.
        """
        found = self._state.incidents.get(key.partition("|")[0])
        if found is None:
            return self._intake.expire(silent, step)
        self._intake.expire([alert for alert in silent if alert.scope == found.scope], step)
        return [alert for alert in silent if alert.scope != found.scope]

    def _ring(self, kind: Literal["retry", "deadline", "probe"], key: str, due_ms: int, step: Step) -> None:
        if kind == "probe":
            channel_care.ring(key, due_ms, step)
            return
        delivery_id, _, channel = key.partition("|")
        pending = self._state.deliveries.get(delivery_id)
        late = kind == "deadline"
        events = delivery.too_late(pending, channel, step.at_ms) if late else delivery.retry_due(pending)
        for event in events:
            step.delivery(event, scope=pending.scope if pending else "default")

    def _attempt(self, record: r.Attempting, step: Step) -> None:
        pending = self._state.deliveries.get(record.delivery_id)
        for event in delivery.start(pending, record.attempt):
            step.delivery(event, scope=pending.scope if pending else "default")

    def _answer(self, record: r.Delivered, step: Step) -> None:
        pending = self._state.deliveries.get(record.delivery_id)
        answer = delivery.Answer(
            attempt=record.attempt,
            outcome=record.outcome,
            vendor_code=record.vendor_code,
            vendor_message_id=record.vendor_message_id,
            reason=record.reason,
            retry_after_s=record.retry_after_s,
        )
        events = delivery.answered(pending, answer, self._rules.delivery, step.at_ms)
        for event in events:
            step.delivery(event, scope=pending.scope if pending else "default")
        if events and pending is not None:
            told = channel_care.answered(pending.channel, answer.outcome, answer.reason, step)
            if told is not None:
                labels, summary, firing = told
                self._intake.raise_own(labels, summary, step, firing=firing)

    def _configure(self, record: r.Configured, step: Step) -> None:
        try:
            rules = Rules.model_validate_json(record.body)
        except ValidationError as malformed:
            step.rejected = CommandRejected("invalid", str(malformed))
            return
        if wrong := [f"rules.{'.'.join(map(str, place))}: {text}" for place, text in problems(rules)]:
            step.rejected = CommandRejected("invalid", "\n".join(wrong))
            return
        # Of the body as it was journalled: what a later release adds to the rules changes no digest of the past.
        digest = digest_of(record.body)
        if digest == self.rules_digest:
            return
        forgetting.reconsider(self._state, self._rules, rules, self._timers)
        self._rules = step.rules = rules
        self._dispatch.configure(rules, step)
        self._state.rules_json = record.body
        self._state.rules_version += 1
        event = e.Configured(self._state.rules_version, digest)
        step.log(event, scope="default", subject="rules", actor=record.actor)
        self._ruleset = step.ruleset = RuleSet(rules)
        reconfiguring.reconfigure(step)
        channel_care.configure(step)
        rota.configure(step)


def _call_on(kind: Literal["escalate", "oncall"], key: str, due_ms: int, step: Step) -> None:
    """The next step of an escalation, or the daily look for gaps."""
    if kind == "escalate":
        escalating.ring(key, due_ms, step)
        escalating.take(step)
    else:
        rota.ring(due_ms, step)


Denoising = Literal["silence", "window", "release", "calm", "storm"]


def _wake(kind: Denoising, key: str, due_ms: int, step: Step) -> None:
    """Something that holds alerts begins or ends by itself."""
    settling = Settling(step)
    match kind:
        case "silence":
            silences.wake(key, step)
        case "window":
            windows.wake(key, due_ms, step)
        case "release":
            alert = step.state.alerts.get(key)
            settling.judge_again([alert] if alert is not None and alert.held == "noise" else [])
        case "calm":
            calmed = gates.has_calmed(key, step)
            settling.judge_again([calmed] if calmed is not None and calmed.held == "flapping" else [])
        case "storm":
            taken = storms.ring(key, step)
            if taken is not None:
                settling.end_storm(taken)
    settling.settle()


def _change(record: r.Changed, step: Step) -> None:
    try:
        change = msgspec.json.decode(record.body, type=_Change)
        event: e.EventData = e.ChangeRecorded(record.source, change.title, change.service, change.version, change.url)
        correlating.remember_change(Change(step.at_ms, change.service, change.title), step.state)
    except (msgspec.DecodeError, UnicodeDecodeError) as unreadable:
        event = e.PayloadRejected(record.source, "$", str(unreadable))
    step.log(event, scope="default", subject=f"source/{record.source}", actor=f"source:{record.source}")


class _Change(msgspec.Struct):
    title: str
    service: str = ""
    version: str = ""
    url: str = ""
