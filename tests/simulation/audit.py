"""The auditor: looks at every batch in the moment in which it becomes durable, and at every answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from engine.chain import GENESIS, PLAIN, Envelope
from engine.core.state import State, decode_state
from engine.store import Entry
from schemas import events as e
from schemas import records as r
from schemas.alerts import Rejected
from schemas.config import Rules
from schemas.errors import InvalidPayload
from schemas.ports import Outcome, Parser
from tests.simulation.fates import ENDS, Lives, Pages
from tests.simulation.groups import Groups
from tests.simulation.holding import Holding
from tests.simulation.memory_store import Disk
from tests.simulation.process import Process
from tests.simulation.world import World

LATE_S = 400.0
"""So long after the last disturbance, no timer may be overdue: the time between two looks at the clock, and some."""


class Auditor:
    """What holds at every step."""

    def __init__(self, world: World, disk: Disk, parsers: Mapping[str, Parser]) -> None:
        self._world, self._disk, self._parsers = world, disk, parsers
        disk.committed = self.committed
        self.lives, self.pages, self.groups = Lives(world), Pages(world), Groups(world)
        self.holding = Holding(world)
        self.received: Counter[str] = Counter()
        self.rolled_up = 0
        self.answers: dict[int, r.Record] = {}
        self.bodies: Counter[tuple[str, bytes]] = Counter()
        """How often each body stands in the journal."""
        self.effects: Counter[str] = Counter()
        """How often each command id had an effect."""
        self._offset = self._seq = 0
        self._head, self._at_ms, self._rules = GENESIS, 0, Rules()

    # --- commits ------------------------------------------------------------------------------------------------

    def committed(self, entries: Sequence[Entry]) -> None:
        """A batch is durable now."""
        for entry in entries:
            self._world.demand(entry.offset == self._offset, f"record {entry.offset} stands at {self._offset}")
            self._offset += 1
            self._record(entry)
            touched: dict[str, None] = {}
            for logged in entry.events:
                self._linked(logged)
                self._event(logged.event, touched)
            for incident in touched:
                self.lives.settled(incident)
            self._routed(entry)
        kinds = [type(entry.record).__name__ for entry in entries]
        self._world.say(f"commit {self._offset - len(entries)}: {', '.join(kinds)}; head {self._head.hex()[:12]}")

    def _linked(self, logged: e.LoggedEvent) -> None:
        expected = PLAIN.link(self._head, Envelope.of(logged))
        self._world.demand((logged.seq, logged.hash) == (self._seq, expected), f"event {logged.id} breaks the chain")
        self._world.demand(logged.event.at_ms >= self._at_ms, f"time goes back in event {logged.id}")
        self._seq, self._head, self._at_ms = self._seq + 1, logged.hash, logged.event.at_ms

    def _record(self, entry: Entry) -> None:
        record, effect = entry.record, bool(entry.events)
        match record:
            case r.Received():
                self.bodies[record.source, record.body] += 1
                self._recount(record)
            case r.Commanded():
                self.effects[record.command_id] += effect
                self._world.demand(self.effects[record.command_id] <= 1, f"command {record.command_id} acts twice")
            case r.Attempting() if not effect:
                self._world.saw("attempt no longer wanted")
            case r.Configured() if effect:
                self._rules = Rules.model_validate_json(record.body)
                self._world.saw("rules changed")

    def _recount(self, record: r.Received) -> None:
        """Count the alerts of a body again, without the core."""
        try:
            items = self._parsers[record.format](record.body, record.at_ms)
        except InvalidPayload:
            items = [Rejected("$", "unreadable")]
        except ZeroDivisionError:
            self._world.saw("poison")
            self.received["tocsin"] += 1
            return
        self.received[record.source] += len(items)

    def _event(self, event: e.Event, touched: dict[str, None]) -> None:
        data: Any = event.data
        self.holding.tell(data)
        match data:
            case e.SlaClockStarted() | e.SlaClockStopped() | e.SlaClockBreached():
                self.lives.clock(event)
            case e.AccidentProposed():
                self.lives.proposed(event, data)
            case e.IntakeRolledUp():
                total = sum(sum(page.values()) for page in data.by_source.values())
                self._world.demand(total == data.received, "a roll-up does not add up")
                self.rolled_up += data.received
                for page in data.by_source.values():
                    for disposition in page:
                        self._world.saw(f"disposition: {disposition}")
            case e.PayloadRejected():
                self._world.saw("payload rejected")
            case e.GroupNotified():
                self.groups.notified(event, self._rules)
            case e.GroupSuppressed():
                self.groups.suppressed(data)
            case _ if hasattr(data, "delivery"):
                self.pages.tell(data)
                if type(data) in ENDS:
                    self.groups.ended(data)
            case _ if hasattr(data, "incident"):
                self.lives.tell(event)
                touched[data.incident] = None
                if isinstance(data, e.IncidentMerged):
                    touched[data.into] = None

    def _routed(self, entry: Entry) -> None:
        """Whatever opens is told to everyone whom the routes name, in the same record.

        Alerts of an open incident can be silenced; split off, they open one whose page is withheld.
        """
        split = {one.event.data.into for one in entry.events if isinstance(one.event.data, e.IncidentSplit)}
        kept_back = {one.event.data.incident for one in entry.events if isinstance(one.event.data, e.PageWithheld)}
        told = {
            (logged.event.data.notice.incident, logged.event.data.receiver)
            for logged in entry.events
            if isinstance(logged.event.data, e.DeliveryRequested) and logged.event.data.notice.kind == "opened"
        }
        for logged in entry.events:
            if isinstance(logged.event.data, e.IncidentOpened):
                wanted = {(logged.event.data.incident, name) for name in self._receivers(logged.event)}
                if logged.event.data.incident in split & kept_back:
                    wanted = set()
                own = {pair for pair in told if pair[0] == logged.event.data.incident}
                self._world.demand(own == wanted, f"{logged.event.data.incident} is told to {own}, not to {wanted}")

    def _receivers(self, event: e.Event) -> set[str]:
        data = event.data
        assert isinstance(data, e.IncidentOpened)
        known = {**data.labels, "severity": data.severity, "service": data.service, "scope": event.scope}
        named: set[str] = set()
        for route in self._rules.routes if "opened" in self._rules.delivery.notify else ():
            if data.priority in route.priorities and route.match.items() <= known.items():
                named.add(route.receiver)
                if not route.also:
                    break
        return named

    # --- answers ------------------------------------------------------------------------------------------------

    def answered(self, outcome: Outcome, what: r.Record) -> None:
        """A caller was told that `what` is accepted (its `at_ms` aside): it stands at its offset, for nobody else."""
        demand = self._world.demand
        demand(outcome.offset not in self.answers, f"offset {outcome.offset} was answered twice")
        demand(outcome.offset < self._offset, f"offset {outcome.offset} was answered and is not durable")
        self.answers[outcome.offset] = what
        self.holds(outcome.offset)

    def holds(self, offset: int) -> None:
        """What was answered with this offset stands there."""
        journal, asked = self._disk.partition().journal, self.answers[offset]
        stored = r.decode_record(journal[offset]) if offset < len(journal) else None
        same = type(stored) is type(asked) and all(
            getattr(stored, name) == getattr(asked, name) for name in asked.__struct_fields__ if name != "at_ms"
        )
        self._world.demand(same, f"what was answered at offset {offset} does not stand there")

    # --- between the steps --------------------------------------------------------------------------------------

    def step(self, process: Process | None) -> None:
        """Between two steps of the history."""
        if process is None or not process.alive:
            return
        world = self._world
        world.demand(not process.ended(), f"a part of Tocsin ended by itself: {process.ended()}")
        since_s, since_ms = process.steady
        now_ms = process.clock.now_ms()
        if world.now_s - since_s > 10:
            went_s = (now_ms - since_ms) / 1000
            goes_on = now_ms == world.wall_ns() // 1_000_000 or went_s >= 0.4 * (world.now_s - since_s)
            world.demand(goes_on, f"Tocsin's clock stands still: {went_s} s passed")
            process.steady = (world.now_s, now_ms)
        if process.is_quiet and self._seq == process.runtime._judge.position.next_seq:
            self._overdue(process, now_ms)
            self.agrees(decode_state(process.core.snapshot()))

    def _overdue(self, process: Process, now_ms: int) -> None:
        due_ms = process.core.next_due_ms()
        quiet_s = self._world.now_s - max(self._world.disturbed_s, process.started_s)
        if due_ms is not None and quiet_s > LATE_S:
            late_s = (now_ms - due_ms) / 1000
            self._world.demand(late_s < LATE_S, f"a timer is {late_s:.0f} s overdue")

    def agrees(self, state: State) -> None:
        """The core's own state says what the log says."""
        demand, firing = self._world.demand, Counter[str]()
        armed = {(due_ms, key) for due_ms, kind, key in state.timers if kind == "expire"}
        for alert in state.alerts.values():
            if alert.firing:
                if alert.incident and alert.held in ("", "storm"):
                    firing[self.lives.root(alert.incident)] += 1
                watched = (alert.armed_ms, alert.fingerprint) in armed and alert.armed_ms <= alert.expires_ms
                demand(watched, f"alert {alert.fingerprint} of {alert.incident} fires and would never expire")
        demand(set(state.incidents) == set(self.lives.all), "the core knows other incidents than the log")
        for name, incident in state.incidents.items():
            life = self.lives.all[name]
            count = life.firing if not life.into else ()
            demand(incident.state == life.state, f"{name} is {incident.state}, in the log {life.state}")
            if not life.into:
                demand(incident.firing == len(count) == firing[name], f"{name} fires {incident.firing}: {len(count)}")
            demand(set(state.clocks.get(name, {})) == set(life.clocks), f"{name} has other clocks than in the log")
        phases = {name: page.phase for name, page in self.pages.all.items() if page.phase not in ENDS.values()}
        demand({name: one.phase for name, one in state.deliveries.items()} == phases, "deliveries differ from the log")
        self.groups.agrees(state, self._rules)
        self.holding.agrees(state)
        books = {source: sum(page.values()) for source, page in state.books.items()}
        demand(Counter(books) == self.received, f"the books say {books}, received was {dict(self.received)}")
