"""What a stream of events comes to: counts, and for each alert which incident held it and when somebody was told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, TypeVar

import msgspec

from schemas import events as e
from schemas.whatif import Consequences

Key = TypeVar("Key", bound=str)

PAGES: Final[frozenset[e.NoticeKind]] = frozenset({"opened", "raised", "reopened", "breached"})
"""Kinds of notice that ask somebody to act."""


class Life(msgspec.Struct):
    """One incident as the tally knows it. Times are UTC milliseconds."""

    id: str
    title: str
    service: str
    priority: e.Priority
    opened_ms: int
    alerts: dict[str, None] = {}
    """Fingerprints of its alerts, those of incidents merged into it included; the one that joined last at the end."""
    ended_ms: int | None = None
    paged_ms: int | None = None
    confirmed: bool = False
    false_alarm: bool = False
    merged_into: str = ""


class Stay(msgspec.Struct):
    """One alert in one incident, from when it joined until it healed (None: it still fires)."""

    incident: str
    from_ms: int
    until_ms: int | None = None


class Tally:
    """Follows events, in order. What happens before `since_ms` is not counted; incidents that it never saw begin are
    left out."""

    def __init__(self, since_ms: int) -> None:
        self.since_ms = since_ms
        self.counted = Consequences()
        self.lives: dict[str, Life] = {}
        self.home: dict[str, str] = {}
        """Fingerprint → the latest incident that took the alert."""
        self.stays: dict[str, list[Stay]] = {}
        self._wanted: dict[str, tuple[str, str, e.NoticeKind]] = {}

    def follow(self, events: Iterable[e.Event]) -> None:
        """The next events."""
        for event in events:
            self._one(event)

    def received(self, dispositions: Mapping[e.Disposition, int]) -> None:
        """What became of the alerts of one record of the period."""
        for disposition, number in dispositions.items():
            add(self.counted.dispositions, disposition, number)

    def life(self, incident: str) -> Life | None:
        """The incident that answers for `incident`: itself, or what it was merged into."""
        found = self.lives.get(incident)
        while found is not None and found.merged_into:
            found = self.lives.get(found.merged_into)
        return found

    def _one(self, event: e.Event) -> None:
        data, at_ms = event.data, event.at_ms
        if at_ms >= self.since_ms:
            self._count(data)
        match data:
            case e.IncidentOpened():
                life = Life(data.incident, data.title, data.service, data.priority, at_ms)
                self.lives[life.id] = life
                self._join(life, data.alerts, at_ms)
            case e.AlertsAttached() | e.IncidentReopened():
                if (life_ := self.lives.get(data.incident)) is not None:
                    life_.ended_ms = None if isinstance(data, e.IncidentReopened) else life_.ended_ms
                    self._join(life_, data.alerts, at_ms)
            case e.AlertsResolved():
                for alert in data.fingerprints:
                    if stays := self.stays.get(alert):
                        stays[-1].until_ms = at_ms
            case e.IncidentMerged():
                self._merge(data.incident, data.into)
            case _:
                self._people(data, event.actor, at_ms)
                self._delivery(data, at_ms)

    def _count(self, data: e.EventData) -> None:
        match data:
            case e.IncidentOpened():
                self.counted.incidents += 1
                add(self.counted.by_priority, data.priority)
            case e.IncidentReopened():
                self.counted.reopened += 1
            case e.SlaClockBreached():
                add(self.counted.breaches, data.clock)
            case _:
                pass

    def _join(self, life: Life, alerts: list[e.AlertRef], at_ms: int) -> None:
        for alert in alerts:
            life.alerts.pop(alert.fingerprint, None)
            life.alerts[alert.fingerprint] = None
            self.home[alert.fingerprint] = life.id
            self.stays.setdefault(alert.fingerprint, []).append(Stay(life.id, at_ms))

    def _merge(self, incident: str, into: str) -> None:
        merged, root = self.lives.get(incident), self.lives.get(into)
        if merged is None or root is None:
            return
        merged.merged_into = into
        root.alerts.update(merged.alerts)
        for alert in merged.alerts:
            if self.home.get(alert) == incident:
                self.home[alert] = into

    def _people(self, data: e.EventData, actor: str, at_ms: int) -> None:
        life = self.lives.get(getattr(data, "incident", ""))
        if life is None:
            return
        match data:
            case e.IncidentAcknowledged() | e.IncidentAssigned() | e.DiagnosisStarted():
                life.confirmed = True
            case e.IncidentResolved():
                life.ended_ms = at_ms if life.ended_ms is None else life.ended_ms
                life.confirmed |= not data.automatic and actor != "system"
            case e.IncidentMarkedFalseAlarm():
                life.false_alarm = True
            case e.IncidentRaised():
                life.priority = data.priority
            case _:
                pass

    def _delivery(self, data: e.EventData, at_ms: int) -> None:
        if isinstance(data, e.DeliveryRequested):
            self._wanted[data.delivery] = (data.notice.incident, data.receiver, data.notice.kind)
        elif isinstance(data, e.DeliveryStarted) and data.delivery in self._wanted:
            incident, receiver, kind = self._wanted.pop(data.delivery)
            life = self.lives.get(incident)
            if life is None:  # a channel's test, or older than what is followed
                return
            counts = at_ms >= self.since_ms
            self.counted.notices += counts
            if kind in PAGES:
                life.paged_ms = at_ms if life.paged_ms is None else life.paged_ms
                if counts:
                    self.counted.pages += 1
                    add(self.counted.pages_by_receiver, receiver)


def add(counts: dict[Key, int], key: Key, number: int = 1) -> None:
    """Add to one entry of a dictionary of counts."""
    counts[key] = counts.get(key, 0) + number
