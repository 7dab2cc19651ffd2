"""One record's way through the core: the events so far, and what each event sets off in the other machines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from engine.core import assessing, classifying, forgetting, notices, triage
from engine.core.registry import Registry
from engine.core.ruleset import RuleSet
from engine.core.signals import Call, Moved, OwnAlert, Signal
from engine.core.signals import Ended as DeliveryOver
from engine.core.state import AlertState, State
from engine.core.timers import Timers
from engine.machines import accident, delivery, incident, sla
from engine.machines.incident import Incident
from schemas import events as e
from schemas.config import Rules
from schemas.errors import CommandRejected

SYSTEM = "system"

Ended = tuple[delivery.Delivery, delivery.DeliveryEvent]
"""A delivery as it was, and the event that ended it."""


class Step:
    """Collects the events of one record. Logging an event changes the state at once, and so do its consequences."""

    def __init__(self, state: State, rules: Rules, timers: Timers, registry: Registry, ruleset: RuleSet) -> None:
        self.state, self.rules, self.timers = state, rules, timers
        self.registry, self.ruleset = registry, ruleset
        self.at_ms = state.now_ms
        self.events: list[e.Event] = []
        self.dispositions: dict[e.Disposition, int] = {}
        self.rejected: CommandRejected | None = None
        self.changed: dict[str, AlertState] = {}
        """Alerts that have begun to fire or ceased, by fingerprint: dispatch takes them up."""
        self.ended: list[Ended] = []
        """Deliveries about notification groups that are over."""
        self.signals: list[Signal] = []
        """What escalations have to know of."""
        self.own: list[OwnAlert] = []
        """Alerts about Tocsin itself that are to be raised or ended."""

    def log(self, data: e.EventData, *, scope: str, subject: str, actor: str = SYSTEM) -> None:
        """Add an event that sets off nothing."""
        self.events.append(e.Event(self.at_ms, actor, scope, subject, data))

    def hit(self, names: Iterable[str]) -> None:
        """Count that each of these silences, windows or rules has held an alert."""
        for hits in (self.state.hits, self.state.unrolled_hits):
            for name in names:
                hits[name] = hits.get(name, 0) + 1

    # --- incidents ----------------------------------------------------------------------------------------------

    def next_id(self, scope: str) -> str:
        """The id of the next incident of a scope."""
        number = self.state.numbers[scope] = self.state.numbers.get(scope, 0) + 1
        return triage.incident_id(scope, number)

    def incident(self, data: e.IncidentEvent, *, scope: str, actor: str = SYSTEM) -> Incident:
        """Log an event of an incident, with its consequences; returns the incident after it."""
        before = self.state.incidents.get(data.incident)
        after = incident.evolve(before, data, scope, self.at_ms, actor)
        self.state.incidents[after.id] = after
        self.log(data, scope=scope, subject=f"incident/{after.id}", actor=actor)
        forgetting.note(after, self.state, self.rules, self.timers)
        self.registry.open_incidents.note(after)
        if isinstance(data, e.IncidentMerged):
            self._take_over(after)
        self._clocks(after, data)
        self._watch(before, after, data)
        self._tell(before, after, data)
        if before is not None and before.state != after.state:
            self.signals.append(Moved(after.id, before.state, after.state))
        if isinstance(data, e.IncidentClassified):
            classifying.learn(after, self.state)
        if isinstance(data, e.IncidentOpened) and (suggested := classifying.suggest(after, self.state, self.rules)):
            self.incident(suggested, scope=scope)
        return after

    def _take_over(self, merged: Incident) -> None:
        """The incident merged into answers for the alerts of the other from now on."""
        into = self.state.incidents[merged.merged_into]
        self.state.incidents[into.id] = incident.absorb(into, merged)
        if merged.group_key:
            self.state.groups[merged.group_key] = into.id
        self.registry.members.merge(merged.id, into.id)

    def root(self, incident_id: str) -> Incident | None:
        """The incident that answers for `incident_id`: itself, or what it was merged into."""
        found = self.state.incidents.get(incident_id)
        while found is not None and found.merged_into:
            found = self.state.incidents.get(found.merged_into)
        return found

    def _watch(self, before: Incident | None, after: Incident, data: e.EventData) -> None:
        """Set the timers that an incident's event calls for."""
        if isinstance(data, e.IncidentOpened | e.IncidentReopened) and after.outage:
            for line in accident.LINES:
                due = after.since_ms + line.hours * accident.HOUR_MS + 1
                self.timers.set(due, "outage", f"{after.id}|{line.hours}|{after.since_ms}")
        if isinstance(data, e.IncidentResolved) and after.firing > 0 and before is not None and before.is_open:
            self.timers.set(self.at_ms + 1000 * self.rules.grouping.reopen_within_s, "recheck", after.id)
        if isinstance(data, e.IncidentMitigated | e.IncidentResolved | e.IncidentMerged | e.IncidentMarkedFalseAlarm):
            assessing.ended(after, self)

    def wake(self, kind: Literal["recheck", "outage", "sla"], key: str) -> None:
        """A timer of an incident is due."""
        match kind:
            case "recheck":
                self._recheck(key)
            case "outage":
                self._outage_due(key)
            case "sla":
                self._clock_due(key)

    def _recheck(self, incident_id: str) -> None:
        """A person resolved it while alerts were firing: if they still are, it was not over."""
        found = self.state.incidents.get(incident_id)
        if found is not None and found.state in incident.AFTER and found.firing > 0:
            self.incident(e.IncidentReopened(found.id, f"{found.firing} alerts are still firing"), scope=found.scope)

    def _outage_due(self, key: str) -> None:
        """An outage may have passed a line of annex 3."""
        incident_id, hours, since_ms = key.split("|")
        found = self.state.incidents.get(incident_id)
        if found is None or found.outage is None or not found.is_open or found.state == "mitigated":
            return
        if found.since_ms != int(since_ms):
            return
        line = next(line for line in accident.LINES if line.hours == int(hours))
        proposal = accident.propose(found.id, found.outage, found.since_ms, line)
        self.log(proposal, scope=found.scope, subject=f"incident/{found.id}")
        assessing.propose(proposal, found, self)

    # --- clocks -------------------------------------------------------------------------------------------------

    def _clocks(self, after: Incident, data: e.EventData) -> None:
        clocks = self.state.clocks.get(after.id, {})
        for event in sla.react(clocks, data, self.rules.sla_target(after.priority), self.at_ms):
            self._clock(event, after)

    def _clock(self, event: sla.SlaEvent, owner: Incident) -> None:
        clocks = sla.evolve(self.state.clocks.get(owner.id, {}), event, self.at_ms)
        if clocks:
            self.state.clocks[owner.id] = clocks
        else:
            self.state.clocks.pop(owner.id, None)
        self.log(event, scope=owner.scope, subject=f"incident/{owner.id}")
        if isinstance(event, e.SlaClockStarted):
            self.timers.set(event.due_ms, "sla", f"{owner.id}|{event.clock}")

    def _clock_due(self, key: str) -> None:
        """The due time of a clock has come."""
        incident_id, _, name = key.partition("|")
        owner = self.state.incidents.get(incident_id)
        if owner is None:
            return
        clock: e.Clock = "response" if name == "response" else "resolution"
        for event in sla.due(owner.id, self.state.clocks.get(owner.id, {}), clock, self.at_ms):
            self._clock(event, owner)
            self.page("breached", owner, reason=clock)

    # --- deliveries ---------------------------------------------------------------------------------------------

    def _tell(self, before: Incident | None, after: Incident, data: e.EventData) -> None:
        if after.state != "triggered":
            self.state.withheld.pop(after.id, None)
        match data:
            case e.IncidentOpened():
                self.page("opened", after, refs=data.alerts)
            case e.IncidentReopened():
                self.page("reopened", after, refs=data.alerts, reason=data.reason)
            case e.IncidentRaised() if before is not None and after.priority < before.priority and after.is_open:
                self.page("raised", after, reason=data.reason)
            case e.IncidentAcknowledged():
                self.cancel(after, "acknowledged")
            case e.IncidentResolved() if before is not None and before.is_open:
                self.cancel(after, "resolved")
                if after.id in self.state.reached:
                    self.page("resolved", after, reason=data.solution)
            case e.IncidentMerged() | e.IncidentMarkedFalseAlarm() | e.IncidentClosed():
                self.cancel(after, after.state)
            case _:
                pass

    def page(
        self, kind: e.NoticeKind, about: Incident, *, refs: list[e.AlertRef] | None = None, reason: str = ""
    ) -> None:
        """Tell everyone whom the routes name."""
        if kind not in self.rules.delivery.notify:
            return
        if kind in delivery.PAGES and (why := self.registry.members.why_quiet(about.id)) is not None:
            self.state.withheld.setdefault(about.id, kind)
            withheld = e.PageWithheld(about.id, kind, why[0], list(why[1]), self.state.rules_version)
            self.log(withheld, scope=about.scope, subject=f"incident/{about.id}")
            return
        notice = notices.notice_of(kind, about, self.rules, self.at_ms, refs=refs or [], reason=reason)
        for route in notices.routes_of(about, self.rules):
            if route.policy:
                self.signals.append(Call(about.id, route.policy, kind, reason, notice.alerts))
            else:
                self.request(route.receiver, self.rules.receivers[route.receiver].channels, notice, scope=about.scope)

    def request(self, receiver: str, channels: tuple[str, ...], notice: e.Notice, *, scope: str) -> None:
        """Log the intent to tell `receiver`, and order the first attempt."""
        requested = notices.request(self.state, self.rules, receiver, channels, notice)
        self.state.told[notice.incident] = self.state.told.get(notice.incident, 0) + 1
        self.delivery(requested, scope=scope)
        self.delivery(e.DeliveryDue(requested.delivery, requested.channels[0], 1), scope=scope)

    def cancel(self, about: Incident, reason: str) -> list[e.NoticeKind]:
        """Call off the pages of an incident that were not begun yet; their kinds, in order."""
        kinds: list[e.NoticeKind] = []
        for number in range(1, self.state.told.get(about.id, 0) + 1):
            pending = self.state.deliveries.get(f"{about.id}.{number}")
            if pending is not None and pending.notice.kind in delivery.PAGES:
                for event in delivery.cancel(pending, reason):
                    kinds.append(pending.notice.kind)
                    self.delivery(event, scope=about.scope)
        return kinds

    def delivery(self, event: delivery.DeliveryEvent, *, scope: str) -> None:
        """Log an event of a delivery, with its consequences."""
        before = self.state.deliveries.get(event.delivery)
        after = delivery.evolve(before, event, scope)
        if after is None:
            del self.state.deliveries[event.delivery]
            if before is not None and before.notice.group is not None:
                self.ended.append((before, event))
            elif before is not None:
                self.signals.append(DeliveryOver(before, event))
        else:
            self.state.deliveries[event.delivery] = after
        self.log(event, scope=scope, subject=f"delivery/{event.delivery}")
        if isinstance(event, e.DeliveryStarted) and after is not None:
            self.state.reached[after.incident] = None
        if isinstance(event, e.DeliveryRetryScheduled):
            self.timers.set(event.due_ms, "retry", event.delivery)
        if isinstance(event, e.DeliveryDue) and after is not None and after.on_channel == 1 and after.next_channel:
            limit_s = self.rules.delivery.deadline_s.get(after.notice.priority)
            if limit_s is not None:
                self.timers.set(self.at_ms + 1000 * limit_s, "deadline", f"{event.delivery}|{event.channel}")
