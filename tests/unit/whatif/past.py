"""A past on a virtual clock: alerts come, people act on them, channels take everything, and all of it is stored."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from engine.core import Core
from engine.runtime.judge import Judge
from engine.store import Entry, Store
from schemas import commands as c
from schemas import events as e
from schemas import records as r
from schemas.alerts import Alert, fingerprint
from schemas.config import Rules
from tests.scenario import NOON, PARSERS, alert

MINUTE = 60_000
LOOKED_AT = "HighErrorRate"
"""The alerts that people act on. That they look at others where these are dropped or held is beyond any prediction."""


@dataclass(frozen=True)
class Happening:
    """Something outside of Tocsin: a body of alerts, or a person who acts on whatever incident holds an alert."""

    at_ms: int
    alerts: tuple[Alert, ...] = ()
    verb: str = ""
    about: str = ""
    """Fingerprint of the alert that the person looks at."""


class Past:
    """One Tocsin under `rules` from the beginning of time on, with a store of its own."""

    def __init__(self, folder: Path, rules: Rules) -> None:
        self.store = Store.open(f"sqlite:///{folder / 'past.db'}")
        self._judge = Judge(self.store, PARSERS)
        self._entries: list[Entry] = []
        self.events: list[e.Event] = []
        self.home: dict[str, str] = {}
        self._into: dict[str, str] = {}
        self.at_ms = NOON
        self._feed(r.Configured(NOON, "system", rules.canonical()))

    @property
    def core(self) -> Core:
        """The core as it stands."""
        return self._judge.core

    def live(self, happenings: Sequence[Happening], until_ms: int) -> None:
        """Let all of it happen, each timer at its own time, until then."""
        for one in happenings:
            self._wait(one.at_ms)
            if one.alerts:
                self._feed(r.Received(one.at_ms, "prometheus", "test", msgspec.msgpack.encode(list(one.alerts))))
            else:
                self._act(one)
        self._wait(until_ms)
        self.store.append(self._entries)
        self._judge.committed()
        self._entries = []

    def _wait(self, until_ms: int) -> None:
        while (due_ms := self._judge.core.next_due_ms()) is not None and due_ms <= until_ms:
            self._feed(r.Tick(max(due_ms, self.at_ms)))
        self.at_ms = until_ms

    def _act(self, one: Happening) -> None:
        incident = self.home.get(one.about)
        while incident in self._into:
            incident = self._into[incident]
        if incident is None:
            return
        command: c.Command = {
            "acknowledge": c.Acknowledge(incident=incident),
            "assign": c.Assign(incident=incident, assignee="li"),
            "resolve": c.Resolve(incident=incident, solution="fixed"),
            "mark_false_alarm": c.MarkFalseAlarm(incident=incident, reason="none"),
        }[one.verb]
        self._feed(r.Commanded(one.at_ms, f"{one.at_ms}/{one.verb}", "user:li", c.COMMAND.dump_json(command)))

    def _feed(self, record: r.Record) -> None:
        self.at_ms = record.at_ms
        entry, decision = self._judge.judge(record)
        self._entries.append(entry)
        self.events.extend(decision.events)
        for event in decision.events:
            data = event.data
            if isinstance(data, e.IncidentOpened | e.AlertsAttached | e.IncidentReopened):
                self.home.update({ref.fingerprint: data.incident for ref in data.alerts})
            elif isinstance(data, e.IncidentMerged):
                self._into[data.incident] = data.into
        for event in decision.events:
            if isinstance(event.data, e.DeliveryDue):
                due = event.data
                self._feed(r.Attempting(self.at_ms, due.delivery, due.attempt))
                self._feed(r.Delivered(self.at_ms, due.delivery, due.attempt, "ok"))


def history(seed: int, *, services: int = 4, steps: int = 120) -> list[Happening]:
    """A made-up past: alerts of some services that come and go, and a person who takes up most of one kind."""
    dice = random.Random(seed)
    return list(_happenings(dice, services, steps))


def _happenings(dice: random.Random, services: int, steps: int) -> Iterator[Happening]:
    at_ms = NOON
    firing: dict[tuple[str, str, str], Alert] = {}
    for _ in range(steps):
        at_ms += dice.randrange(5_000, 4 * MINUTE)
        name, service = dice.choice(("HighErrorRate", "DiskFull", "Slow")), f"s{dice.randrange(services)}"
        instance, severity = f"i{dice.randrange(3)}", dice.choice(("critical", "warning"))
        key = (name, service, instance)
        if key in firing:
            ended = firing.pop(key)
            labels = {key: value for key, value in ended.labels.items() if key != "alertname"}
            yield Happening(at_ms, (alert(name, status="resolved", starts_ms=ended.starts_ms, **labels),))
        else:
            new = alert(name, starts_ms=at_ms, service=service, instance=instance, severity=severity)
            firing[key] = new
            yield Happening(at_ms, (new,))
            if name == LOOKED_AT and dice.random() < 0.8:
                at_ms += dice.randrange(1_000, MINUTE)
                verb = dice.choice(("acknowledge", "assign", "resolve", "mark_false_alarm"))
                yield Happening(at_ms, verb=verb, about=_fingerprint(new))


def _fingerprint(one: Alert) -> str:
    return fingerprint(one.labels)
