"""A year of on call, simulated: vacations, broken channels, storms, people who answer or do not; all by one seed."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from random import Random
from typing import Any

import msgspec

from engine.core import Core
from schemas import commands as c
from schemas import events as e
from schemas import records as r
from schemas.alerts import Alert
from schemas.config import Rules
from tests.scenario import NOON, PARSERS

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
YEAR_MS = 365 * DAY_MS
CHANNELS = ("robot", "mail", "sms")
PEOPLE = ("li", "wang", "zhao", "qian", "sun")
SHANGHAI, BERLIN = PEOPLE[:3], PEOPLE[3:]
STEPS_S = (300, 600, 600)

RULES = Rules.model_validate(
    {
        "receivers": {"office": {"channels": ["mail"]}},
        "routes": [{"policy": "page"}],
        "expiry_s": {"test": 31_536_000},
        "delivery": {"attempts": 2, "deadline_s": {"P1": 60}},
        "storm": {"enabled": False},
        "oncall": {
            "people": {
                name: {
                    "contacts": CHANNELS,
                    "quiet_hours": {"start": "23:00", "end": "06:00"},
                    "timezone": "Asia/Shanghai" if name in SHANGHAI else "Europe/Berlin",
                }
                for name in PEOPLE
            },
            "teams": {"all": {"members": PEOPLE}},
            "schedules": {
                "day": {
                    "layers": [{"name": "china", "people": SHANGHAI, "starts": "2026-01-01T09:00"}],
                },
                "night": {
                    "timezone": "Europe/Berlin",
                    "layers": [{"name": "berlin", "people": BERLIN, "starts": "2026-01-01T08:00", "handover": "daily"}],
                },
            },
            "policies": {
                "page": {
                    "steps": [
                        {"schedules": ["day"], "wait_s": STEPS_S[0]},
                        {"schedules": ["night"], "wait_s": STEPS_S[1]},
                        {"teams": ["all"], "wait_s": STEPS_S[2]},
                    ],
                    "repeat": 1,
                    "fallback": ["office"],
                }
            },
        },
    }
)
"""Three in China and two in Germany; a week each there, a day each here; then everybody."""


@dataclass
class Year:
    """What happens, and what the core made of it."""

    seed: int
    core: Core = field(default_factory=lambda: Core(PARSERS))
    log: list[e.Event] = field(default_factory=list)
    broken: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    """By channel: when it took no message."""
    away: list[tuple[str, int, int]] = field(default_factory=list)
    _queue: list[tuple[int, int, str, Any]] = field(default_factory=list)
    _number: int = 0
    _ignored: dict[str, bool] = field(default_factory=dict)
    """Incidents that nobody answers, whoever is paged."""

    def run(self) -> Year:
        """Live through it."""
        self._dice = Random(self.seed)
        self._feed(r.Configured(NOON, "test", RULES.canonical()))
        self._plan()
        while self._queue:
            due_ms = self.core.next_due_ms()
            if due_ms is not None and due_ms <= self._queue[0][0]:
                self._feed(r.Tick(max(due_ms, self.core.now_ms)))
                continue
            at_ms, _, kind, what = heapq.heappop(self._queue)
            if at_ms > NOON + YEAR_MS:
                break
            self._happen(max(at_ms, self.core.now_ms), kind, what)
        return self

    def _plan(self) -> None:
        dice = self._dice
        for name in PEOPLE:
            for _ in range(3):
                start = NOON + dice.randrange(YEAR_MS)
                self.away.append((name, start, start + dice.randrange(1, 15) * DAY_MS))
        for name, start, end in self.away:
            self._at(NOON, "command", (f"user:{name}", c.SetVacation(person=name, starts_ms=start, ends_ms=end)))
        outages = [(NOON + dice.randrange(YEAR_MS), dice.randrange(1, 72) * HOUR_MS, channel)
                   for channel in CHANNELS for _ in range(12)]  # fmt: skip
        for _ in range(4):  # everything is down at once
            start, length = NOON + dice.randrange(YEAR_MS), dice.randrange(1, 5) * HOUR_MS
            outages += [(start, length, channel) for channel in CHANNELS]
        for start, length, channel in outages:
            self.broken.setdefault(channel, []).append((start, start + length))
            self._trouble(start + length // 2)  # some trouble in each outage, or nothing would be tried
        for _ in range(250):
            self._trouble(NOON + dice.randrange(YEAR_MS))
        for _ in range(6):
            start = NOON + dice.randrange(YEAR_MS)
            for _ in range(40):
                self._trouble(start + dice.randrange(MINUTE_MS))

    def _trouble(self, at_ms: int) -> None:
        self._number += 1
        severity = self._dice.choice(["critical", "critical", "major", "warning"])
        labels = {"alertname": "Down", "service": f"s{self._number}", "severity": severity,
                  "impact": self._dice.choice("123")}  # fmt: skip
        self._at(at_ms, "alert", (labels, "firing"))
        self._at(at_ms + self._dice.randrange(2 * MINUTE_MS, 12 * HOUR_MS), "alert", (labels, "resolved"))

    def _at(self, at_ms: int, kind: str, what: Any) -> None:
        heapq.heappush(self._queue, (at_ms, len(self._queue) + self._number * 10_000 + len(self.log), kind, what))

    def _happen(self, at_ms: int, kind: str, what: Any) -> None:
        match kind:
            case "alert":
                labels, status = what
                alert = Alert.of(labels, status, at_ms, ends_ms=at_ms if status == "resolved" else None)
                self._feed(r.Received(at_ms, "prometheus", "test", msgspec.msgpack.encode([alert])))
            case "command":
                actor, command = what
                self._feed(r.Commanded(at_ms, f"c{len(self.log)}-{at_ms}", actor, c.COMMAND.dump_json(command)))
            case "attempt":
                if not self._feed(r.Attempting(at_ms, what.delivery, what.attempt)):
                    return
                self._at(at_ms + self._dice.randrange(200, 5000), "answer", what)
            case "answer":
                self._feed(r.Delivered(at_ms, what.delivery, what.attempt, self._outcome(what.channel, at_ms)))

    def _outcome(self, channel: str, at_ms: int) -> str:
        if any(start <= at_ms < end for start, end in self.broken.get(channel, ())):
            return self._dice.choice(["failed", "retry", "retry"])
        return self._dice.choices(["ok", "retry", "unknown"], [96, 3, 1])[0]

    def _feed(self, record: r.Record) -> bool:
        decided = self.core.handle(record).events
        self.log.extend(decided)
        for event in decided:
            if isinstance(event.data, e.DeliveryDue):
                self._at(record.at_ms + self._dice.randrange(50, 2000), "attempt", event.data)
            if isinstance(event.data, e.DeliverySucceeded) and self._dice.random() < 0.5:
                self._answers(event.data.delivery, record.at_ms)
        return bool(decided)

    def _answers(self, delivery: str, at_ms: int) -> None:
        incident = delivery.rpartition(".")[0]
        if self._ignored.setdefault(incident, self._dice.random() < 0.1):
            return
        pause = self._dice.randrange(20_000, 8 * MINUTE_MS)
        self._at(at_ms + pause, "command", ("user:somebody", c.Acknowledge(incident=incident)))
