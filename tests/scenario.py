"""A small language for tests of the core: given rules, when records arrive, then these events."""

from __future__ import annotations

from typing import Any, Self, TypeVar

import msgspec

from engine.core import Core, Decision
from schemas import commands as c
from schemas import events as e
from schemas import records as r
from schemas.alerts import Alert, Rejected
from schemas.config import Receiver, Route, Rules
from schemas.errors import CommandRejected

NOON = 1_767_585_600_000
"""2026-01-05 04:00 UTC, Monday noon in China: where every scenario starts."""

E = TypeVar("E")

_items = msgspec.msgpack.Decoder(list[Alert])


def parse(body: bytes, at_ms: int) -> list[Alert | Rejected]:
    """The format of these tests: alerts as msgpack. `boom` makes the core's parser fail, as a bug would."""
    if body == b"boom":
        raise ZeroDivisionError("boom")
    return list(_items.decode(body))


PARSERS = {"test": parse}

PAGED = Rules(
    receivers={"oncall": Receiver(channels=("dingtalk", "email"))},
    routes=(Route(receiver="oncall"),),
    expiry_s={"test": 999_999},
)
"""Rules under which everything pages somebody, and no alert expires by itself."""


def alert(name: str = "HighErrorRate", *, status: str = "firing", starts_ms: int = NOON, **labels: str) -> Alert:
    """An alert of service `shop` unless `labels` say otherwise."""
    every = {"alertname": name, "service": "shop", "severity": "critical", **labels}
    ends_ms = starts_ms + 60_000 if status == "resolved" else None
    return Alert.of(every, "firing" if status == "firing" else "resolved", starts_ms, ends_ms=ends_ms)


class Scenario:
    """A core, its clock, and everything it has decided."""

    def __init__(self, rules: Rules | None = None) -> None:
        self.core = Core(PARSERS)
        self.at_ms = NOON
        self.records: list[r.Record] = []
        self.events: list[e.Event] = []
        self.last = Decision()
        self._ids = 0
        if rules is not None:
            self.feed(r.Configured(self.at_ms, "test", rules.canonical()))

    def feed(self, record: r.Record) -> Decision:
        """Hand one record to the core."""
        self.records.append(record)
        self.last = self.core.handle(record)
        self.events.extend(self.last.events)
        return self.last

    def receive(self, *alerts: Alert, source: str = "prometheus") -> Self:
        """A body of alerts arrives now."""
        self.feed(r.Received(self.at_ms, source, "test", msgspec.msgpack.encode(list(alerts))))
        return self

    def command(self, command: c.Command, *, actor: str = "user:li", command_id: str = "") -> Self:
        """Somebody commands something now; a rejection raises."""
        self._ids += 1
        body = c.COMMAND.dump_json(command)
        decision = self.feed(r.Commanded(self.at_ms, command_id or f"c{self._ids}", actor, body))
        if decision.rejected is not None:
            raise decision.rejected
        return self

    def rejected(self, command: c.Command) -> CommandRejected:
        """Somebody commands something now, and it is rejected."""
        body = c.COMMAND.dump_json(command)
        self._ids += 1
        decision = self.feed(r.Commanded(self.at_ms, f"c{self._ids}", "user:li", body))
        assert decision.rejected is not None
        assert not decision.events
        return decision.rejected

    def wait(self, seconds: float) -> Self:
        """Time passes; every timer that falls due meanwhile rings at its time."""
        end_ms = self.at_ms + round(1000 * seconds)
        events: list[e.Event] = []
        while (due_ms := self.core.next_due_ms()) is not None and due_ms <= end_ms:
            events.extend(self.feed(r.Tick(max(due_ms, self.at_ms))).events)
        self.at_ms = end_ms
        self.last = Decision(events)
        return self

    def answer(self, outcome: str, **words: Any) -> Self:
        """The outbox makes the oldest ordered attempt, and the channel answers."""
        pending = self.core.pending_deliveries()[0]
        self.feed(r.Attempting(self.at_ms, pending.delivery, pending.attempt))
        self.feed(r.Delivered(self.at_ms, pending.delivery, pending.attempt, outcome, **words))
        return self

    def then(self, *kinds: type[Any]) -> Self:
        """The last step decided events of exactly these kinds, in this order."""
        assert [type(event.data) for event in self.last.events] == list(kinds)
        return self

    def of(self, kind: type[E]) -> list[E]:
        """All events of one kind so far."""
        return [event.data for event in self.events if isinstance(event.data, kind)]

    def one(self, kind: type[E]) -> E:
        """The only event of a kind so far."""
        found = self.of(kind)
        assert len(found) == 1, found
        return found[0]
