"""Logged events built by hand, for tests that start where the log ends. Hashes mean nothing here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import msgspec

from schemas import events as e
from schemas.alerts import fingerprint

T0 = 1_760_000_000_000
"""2025-10-09 08:53:20 UTC, 16:53:20 in Shanghai."""
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS


def alert(
    name: str = "DiskFull", *, severity: e.Severity = "critical", starts_ms: int = T0, **labels: str
) -> e.AlertRef:
    """An alert as an incident remembers it."""
    named = {"alertname": name, **labels}
    return e.AlertRef(
        fingerprint(named),
        severity,
        starts_ms,
        msgspec.Raw(json.dumps(named).encode()),
        msgspec.Raw(b'{"summary":"it is full"}'),
        "alertmanager",
        "http://prometheus.example/graph",
    )


def opened(incident: str = "INC-1", *alerts: e.AlertRef, **changes: object) -> e.IncidentOpened:
    """An incident that began with these alerts."""
    plain = e.IncidentOpened(
        incident=incident,
        title="Disk full on db-1",
        service="payments",
        severity="critical",
        urgency=1,
        impact=2,
        priority="P1",
        origin="alert",
        group_key="cluster=a",
        alerts=list(alerts),
    )
    return msgspec.structs.replace(plain, **changes)


def requested(
    delivery: str, incident: str = "INC-1", *, channels: Sequence[str] = ("mail",), kind: e.NoticeKind = "opened"
) -> e.DeliveryRequested:
    """The intent to tell the receiver ``oncall`` about an incident."""
    notice = e.Notice(kind, incident, "Disk full on db-1", "P1", "critical", "triggered", "payments", T0, T0, 1)
    return e.DeliveryRequested(delivery, "oncall", list(channels), notice)


def subject_of(data: e.EventData) -> str:
    """What an event is about, as the core names it."""
    if isinstance(data, e.IntakeRolledUp | e.PayloadRejected | e.RecordPoisoned | e.ChangeRecorded):
        return "intake"
    if isinstance(data, e.Configured):
        return "rules"
    delivery = getattr(data, "delivery", None)
    return f"delivery/{delivery}" if delivery else f"incident/{getattr(data, 'incident', '')}"


class EventLog:
    """A log in memory: numbers what is added, and reads like the real one."""

    def __init__(self, *data: e.EventData, partition: int = 0) -> None:
        """A log that holds `data`, one minute apart from T0 on."""
        self.events: list[e.LoggedEvent] = []
        self.partition = partition
        for each in data:
            self.add(each)

    def add(
        self, data: e.EventData, *, at_ms: int | None = None, actor: str = "user:li", scope: str = "default"
    ) -> e.LoggedEvent:
        """Append one event, one minute after the last unless `at_ms` says when."""
        seq = len(self.events)
        if at_ms is None:
            at_ms = self.events[-1].event.at_ms + MINUTE_MS if self.events else T0
        event = e.Event(at_ms, actor, scope, subject_of(data), data)
        self.events.append(e.LoggedEvent(self.partition, seq, seq, 0, event, b""))
        return self.events[-1]

    def read(self, partition: int, after_seq: int, limit: int) -> list[e.LoggedEvent]:
        """Up to `limit` events of `partition` after `after_seq`."""
        return self.events[after_seq + 1 : after_seq + 1 + limit] if partition == self.partition else []


def rolled_up(by_source: Mapping[str, dict[e.Disposition, int]]) -> e.IntakeRolledUp:
    """A roll-up whose books balance."""
    received = sum(sum(counts.values()) for counts in by_source.values())
    return e.IntakeRolledUp(T0, received, dict(by_source))


def whole_life(incident: str = "INC-1") -> list[e.EventData]:
    """An incident from the first alert to its closing, with its clocks, its delivery and the roll-up of its alerts."""
    first, second = alert(incident=incident), alert("DiskSlow", incident=incident, severity="warning")
    delivery = f"{incident}.1"
    return [
        opened(incident, first),
        e.SlaClockStarted(incident, "response", 600, T0 + 600_000),
        e.SlaClockStarted(incident, "resolution", 7200, T0 + 7_200_000),
        requested(delivery, incident),
        e.DeliveryDue(delivery, "mail", 1),
        e.DeliveryStarted(delivery, "mail", 1),
        e.DeliverySucceeded(delivery, "mail", 1, "250", "m-1"),
        e.AlertsAttached(incident, [second]),
        e.IncidentAcknowledged(incident, "user:li"),
        e.SlaClockStopped(incident, "response", 480_000, False),
        e.IncidentAssigned(incident, "wang"),
        e.NoteAdded(incident, "n1", "looking"),
        e.DiagnosisStarted(incident, "user:wang"),
        e.AlertsResolved(incident, [first.fingerprint, second.fingerprint], "sender"),
        e.IncidentResolved(incident, solution="freed space", cause_code="capacity"),
        e.SlaClockStopped(incident, "resolution", 840_000, False),
        rolled_up({"alertmanager": {"opened": 1, "attached": 1, "repeated": 7, "resolved": 2}}),
        e.ReviewStarted(incident, "user:wang"),
        e.IncidentClosed(incident),
    ]
