"""The journal of a period under other rules: the real core on a virtual clock, every delivery taken at once.

Journalled ticks, attempts and answers belong to the rules of their time: they are left out, timers ring exactly when
they are due, and whatever falls due to be sent is started and confirmed in the same millisecond. A command goes to
the incident that holds the alert that joined the one that it was meant for last, and still fires here: the one that
made the person look.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from pydantic import ValidationError

from engine.core import Core, Decision
from engine.whatif.tally import Life, Tally
from schemas import commands as c
from schemas import events as e
from schemas import records as r
from schemas.config import Rules


class Rerun:
    """One core under other rules, and what comes of it."""

    def __init__(self, core: Core, rules: Rules, tally: Tally, *, actual: Tally, at_ms: int) -> None:
        """`core` stands where the period begins; `actual` follows what really happened, record by record."""
        self._core, self.tally, self._actual = core, tally, actual
        self._reported: dict[str, str] = {}
        """What people reported by hand: its incident then → its incident here."""
        self.commands = self.left_out = 0
        for pending in core.pending_deliveries():
            self._send(pending.delivery, pending.attempt, at_ms)
        decided = self._handle(r.Configured(at_ms, "whatif", rules.canonical()))
        if decided.rejected is not None:
            raise decided.rejected

    def take(self, record: r.Record, logged: Sequence[e.Event]) -> None:
        """The next record, and what was really decided about it (which `actual` has followed already)."""
        self.advance(record.at_ms)
        match record:
            case r.Received() | r.Changed():
                self.tally.received(self._handle(record).dispositions)
            case r.Commanded():
                self._command(record, logged)
            case _:
                pass

    def advance(self, until_ms: int) -> None:
        """Let every timer ring that is due by then, each at its own time."""
        while (due_ms := self._core.next_due_ms()) is not None and due_ms <= until_ms:
            self._handle(r.Tick(max(due_ms, self._core.now_ms)))

    def _handle(self, record: r.Record) -> Decision:
        decision = self._core.handle(record)
        self.tally.follow(decision.events)
        for one in [event.data for event in decision.events if isinstance(event.data, e.DeliveryDue)]:
            self._send(one.delivery, one.attempt, self._core.now_ms)
        return decision

    def _send(self, delivery: str, attempt: int, at_ms: int) -> None:
        """A channel takes it at once."""
        for answer in (r.Attempting(at_ms, delivery, attempt), r.Delivered(at_ms, delivery, attempt, "ok")):
            self.tally.follow(self._core.handle(answer).events)

    # --- what people asked for ------------------------------------------------------------------------------------

    def _command(self, record: r.Commanded, logged: Sequence[e.Event]) -> None:
        self.commands += 1
        try:
            command = self._mapped(c.COMMAND.validate_json(record.body))
        except ValidationError:
            command = None
        if command is None:
            self.left_out += 1
            return
        decision = self._handle(msgspec.structs.replace(record, body=c.COMMAND.dump_json(command)))
        self.left_out += decision.rejected is not None
        self._reported.update(zip(_opened(logged), _opened(decision.events), strict=False))

    def _mapped(self, command: c.Command) -> c.Command | None:
        """The command for the incidents here, or None where there is none."""
        changed: dict[str, str] = {}
        for name in ("incident", "into"):
            there = getattr(command, name, "")
            if there in self._actual.lives or there in self._reported:
                here = self.counterpart(there)
                if here is None:
                    return None
                changed[name] = here.id  # one that is older than both keeps its name
        if changed and changed.get("incident") == changed.get("into"):
            return None  # what was merged by hand is one here
        return command.model_copy(update=changed) if changed else command

    def counterpart(self, incident: str) -> Life | None:
        """The incident here that stands for one of the real past: that of the alert that joined it last and fires."""
        if incident in self._reported:
            return self.tally.life(self._reported[incident])
        real = self._actual.lives.get(incident)
        if real is None:
            return None
        homes = [alert for alert in reversed(real.alerts) if alert in self.tally.home]
        firing = [alert for alert in homes if self.tally.stays[alert][-1].until_ms is None]
        return self.tally.life(self.tally.home[(firing or homes)[0]]) if homes else None


def _opened(events: Iterable[e.Event]) -> list[str]:
    return [event.data.incident for event in events if isinstance(event.data, e.IncidentOpened)]
