"""Independent small models of what the log may say: lives of incidents, clocks and deliveries.

Written from the requirements and not from the machines: what these refuse is a bug in one of the two.
"""

from __future__ import annotations

from typing import Any

import msgspec

from schemas import events as e
from tests.simulation.world import World

OPEN = frozenset({"triggered", "acknowledged", "assigned", "diagnosing", "mitigated"})
TAKEN = frozenset({"acknowledged", "assigned", "diagnosing", "mitigated"})
ARROWS: dict[type, tuple[frozenset[str], str]] = {
    e.IncidentAcknowledged: (frozenset({"triggered"}), "acknowledged"),
    e.DiagnosisStarted: (frozenset({"acknowledged", "assigned"}), "diagnosing"),
    e.IncidentMitigated: (frozenset({"acknowledged", "assigned", "diagnosing"}), "mitigated"),
    e.ReviewStarted: (frozenset({"resolved"}), "in_review"),
    e.IncidentClosed: (frozenset({"resolved", "in_review"}), "closed"),
    e.IncidentReopened: (frozenset({"resolved", "in_review", "closed", "false_alarm"}), "triggered"),
    e.IncidentMerged: (OPEN | {"resolved"}, "merged"),
    e.IncidentMarkedFalseAlarm: (OPEN | {"resolved"}, "false_alarm"),
}
"""From which states an event may come, and where it leads."""


class Life(msgspec.Struct):
    """One incident as the log tells it."""

    state: str = "triggered"
    origin: str = "alert"
    outage: str | None = None
    since_ms: int = 0
    into: str = ""
    firing: set[str] = msgspec.field(default_factory=set)
    clocks: dict[str, e.SlaClockStarted] = msgspec.field(default_factory=dict)
    clock_since: dict[str, int] = msgspec.field(default_factory=dict)
    breached: set[str] = msgspec.field(default_factory=set)
    proposed: set[tuple[int, int]] = msgspec.field(default_factory=set)
    by_hand: bool = False
    """Reopened by a person while nothing fired: only a person ends it."""


class Lives:
    """Every incident with its clocks."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.all: dict[str, Life] = {}

    def tell(self, event: e.Event) -> None:
        """One more event of an incident."""
        data: Any = event.data
        if isinstance(data, e.IncidentOpened):
            self._demand(data.incident not in self.all, f"{data.incident} is opened twice")
            life = Life(origin=data.origin, outage=data.outage, since_ms=event.at_ms)
            self.all[data.incident] = life
            self._join(life, data)
            return
        life = self.all[data.incident]
        before = life.state
        self._move(life, data)
        match data:
            case e.AlertsAttached():
                self._demand(before in OPEN, f"alerts join {data.incident}, which is {before}")
                self._join(life, data)
            case e.AlertsResolved():
                gone = set(data.fingerprints)
                self._demand(gone <= life.firing, f"{data.incident} heals of alerts that it has not")
                life.firing -= gone
                self._world.saw(f"alerts healed: {data.reason}")
            case e.IncidentSplit():
                gone = set(data.fingerprints)
                self._demand(before in OPEN and gone < life.firing, f"{data.incident} is split of what it has not")
                life.firing -= gone
                self._world.saw("split")
            case e.IncidentReopened():
                life.since_ms = event.at_ms
                life.by_hand = event.actor.startswith("user:") and not life.firing
                self._world.saw(f"reopened: {_why(event)}")
                self._join(life, data)
            case e.IncidentMerged():
                self._merge(life, data)
            case e.IncidentRaised():
                self._demand(before in OPEN, f"{data.incident} is raised while {before}")
                self._world.saw("raised by hand" if data.by_hand else "raised by alerts")

    def _move(self, life: Life, data: Any) -> None:
        arrow = ARROWS.get(type(data))
        if isinstance(data, e.IncidentResolved):
            again = life.state in ("resolved", "in_review") and not data.automatic
            arrow = (OPEN | {"resolved", "in_review"}, life.state if again else "resolved")
            self._demand(not data.automatic or not life.firing, f"{data.incident} heals by itself while alerts fire")
            if not data.automatic and life.firing and not again:
                self._world.saw("resolved by hand while alerts fire")
        elif isinstance(data, e.IncidentVerified):
            arrow = (frozenset({"resolved", "in_review"}), life.state)
        elif isinstance(data, e.IncidentAssigned | e.IncidentHandedOver):
            arrow = (TAKEN, "assigned" if life.state == "acknowledged" else life.state)
        if arrow is not None:
            legal, after = arrow
            self._demand(life.state in legal, f"{data.incident}: {type(data).__name__} from {life.state}")
            life.state = after

    def _join(self, life: Life, data: Any) -> None:
        joined = {ref.fingerprint for ref in data.alerts}
        self._demand(len(joined) == len(data.alerts) and not joined & life.firing, f"{data.incident} counts one twice")
        life.firing |= joined

    def _merge(self, life: Life, data: e.IncidentMerged) -> None:
        into = self.all[data.into]
        self._demand(into.state in OPEN and into is not life, f"{data.incident} is merged into {into.state}")
        self._demand(not life.firing & into.firing, f"{data.incident} and {data.into} share an alert")
        self._world.saw("merged while alerts fire" if life.firing else "merged")
        into.firing |= life.firing
        life.into = data.into

    def root(self, incident: str) -> str:
        """Where an incident's trouble goes on."""
        while self.all[incident].into:
            incident = self.all[incident].into
        return incident

    # --- clocks and proposals -----------------------------------------------------------------------------------

    def clock(self, event: e.Event) -> None:
        """A promise begins, is kept, or is broken."""
        data: Any = event.data
        life = self.all[data.incident]
        running = life.clocks.get(data.clock)
        what = f"{data.clock} of {data.incident}"
        match data:
            case e.SlaClockStarted():
                self._demand(running is None, f"{what} starts while it runs")
                self._demand(data.due_ms == event.at_ms + 1000 * data.target_s, f"{what} is due at a wrong time")
                life.clocks[data.clock], life.clock_since[data.clock] = data, event.at_ms
                life.breached.discard(data.clock)
            case e.SlaClockStopped():
                self._demand(running is not None, f"{what} stops and does not run")
                elapsed_ms = event.at_ms - life.clock_since[data.clock]
                late = data.clock in life.breached or elapsed_ms > 1000 * life.clocks[data.clock].target_s
                self._demand((data.elapsed_ms, data.breached) == (elapsed_ms, late), f"{what} is misjudged: {data}")
                del life.clocks[data.clock]
            case e.SlaClockBreached():
                self._demand(running is not None and event.at_ms >= data.due_ms, f"{what} breaches too early")
                self._demand(data.clock not in life.breached, f"{what} breaches twice")
                life.breached.add(data.clock)
                self._world.saw(f"breached: {data.clock}")

    def proposed(self, event: e.Event, data: e.AccidentProposed) -> None:
        """A deduction is proposed."""
        life = self.all[data.incident]
        lasted_ms = event.at_ms - life.since_ms
        self._demand(data.outage_since_ms == life.since_ms, f"{data.incident}: an outage of another time")
        self._demand(lasted_ms > 3_600_000 * data.outage_hours, f"{data.incident}: {data.outage_hours} h too early")
        self._demand(life.state in OPEN - {"mitigated"}, f"{data.incident}: an accident while {life.state}")
        key = (data.outage_hours, life.since_ms)
        self._demand(key not in life.proposed, f"{data.incident}: {data.outage_hours} h proposed twice")
        life.proposed.add(key)
        self._world.saw(f"outage proposed: {data.outage_hours} h")

    def settled(self, incident: str) -> None:
        """After a record: clocks run exactly while their promise is open."""
        life = self.all[incident]
        wanted = {"response"} if life.state == "triggered" else set()
        wanted |= {"resolution"} if life.state in OPEN else set()
        self._demand(set(life.clocks) == wanted, f"{incident} is {life.state} and its clocks are {set(life.clocks)}")
        healed = not life.firing and life.origin in ("alert", "internal") and not life.by_hand
        self._demand(not (healed and life.state in OPEN), f"{incident} is open and nothing fires")

    def _demand(self, holds: bool, invariant: str) -> None:
        self._world.demand(holds, invariant)


def _why(event: e.Event) -> str:
    data = event.data
    assert isinstance(data, e.IncidentReopened)
    if event.actor.startswith("user:"):
        return "by hand"
    return "fired again" if data.alerts else "still firing"


class Page(msgspec.Struct):
    """One delivery as the log tells it. `handed` are the attempts that a channel has got."""

    requested: e.DeliveryRequested
    phase: str = "requested"
    attempt: int = 0
    channel: str = ""
    handed: list[int] = []


ENDS: dict[type, str] = {
    e.DeliverySucceeded: "succeeded", e.DeliveryFailed: "failed", e.DeliveryUnconfirmed: "unconfirmed",
    e.DeliveryCancelled: "cancelled",
}  # fmt: skip


class Pages:
    """Every delivery, and what was handed to a channel for it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.all: dict[str, Page] = {}

    def tell(self, data: Any) -> None:
        """One more event of a delivery."""
        if isinstance(data, e.DeliveryRequested):
            self._demand(data.delivery not in self.all, f"{data.delivery} is requested twice")
            self.all[data.delivery] = Page(data, channel=data.channels[0])
            return
        page = self.all[data.delivery]
        self._demand(page.phase not in ENDS.values(), f"{data.delivery} goes on after it has {page.phase}")
        match data:
            case e.DeliveryDue():
                legal = page.phase in ("requested", "waiting") and data.channel == page.channel
                self._demand(legal and data.attempt == page.attempt + 1, f"{data.delivery}: {data} while {page.phase}")
                page.phase, page.attempt = "due", data.attempt
            case e.DeliveryStarted():
                legal = page.phase == "due" and (data.channel, data.attempt) == (page.channel, page.attempt)
                self._demand(legal, f"{data.delivery} starts while {page.phase}")
                page.phase = "started"
            case e.DeliveryRetryScheduled():
                self._demand(page.phase in ("due", "started"), f"{data.delivery} is retried while {page.phase}")
                page.phase, page.channel = "waiting", data.next_channel or page.channel
                self._world.saw("failover" if data.next_channel else "retry")
            case _:
                self._end(page, data)

    def _end(self, page: Page, data: Any) -> None:
        if isinstance(data, e.DeliveryCancelled):
            self._demand(page.phase != "started", f"{data.delivery} is cancelled under way")
        else:
            self._demand(page.phase in ("due", "started"), f"{data.delivery} ends while {page.phase}")
        page.phase = ENDS[type(data)]
        self._world.saw(f"page {page.phase}")

    def handed(self, channel: str, delivery: str) -> None:
        """A channel gets a message: only in an attempt that is on record, and only once in each."""
        page = self.all.get(delivery)
        if page is None:
            self._demand(False, f"{delivery} is handed over and was never requested")
            return
        at = f"{delivery} is handed to {channel} in attempt {page.attempt}"
        self._demand(page.phase == "started" and page.channel == channel, f"{at}, on record it is {page.phase}")
        self._demand(page.attempt not in page.handed, f"{at} a second time")
        page.handed.append(page.attempt)

    def _demand(self, holds: bool, invariant: str) -> None:
        self._world.demand(holds, invariant)
