"""Events: every decision the core takes, as a closed union of small frozen structs.

An event's identity is where it came from: `(partition, offset, index)`, offset being the journal record's. `seq`
numbers the events of a partition from 0 without gaps, so that a missing one shows. `hash` chains them.
Times are UTC milliseconds since the epoch.

A field that is added gets a default and keeps the version; anything else bumps `version` and needs an upcaster.
"""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

from schemas.alert_refs import AlertRef as AlertRef
from schemas.assessment import AssessmentEvent
from schemas.channel_care import ChannelFailing as ChannelFailing
from schemas.channel_care import ChannelRecovered as ChannelRecovered
from schemas.clocks import AccidentProposed as AccidentProposed
from schemas.clocks import SlaClockBreached as SlaClockBreached
from schemas.clocks import SlaClockStarted as SlaClockStarted
from schemas.clocks import SlaClockStopped as SlaClockStopped
from schemas.drills import DrillRecorded as DrillRecorded
from schemas.groups import GroupNotice as GroupNotice
from schemas.groups import GroupNotified as GroupNotified
from schemas.groups import GroupSuppressed as GroupSuppressed
from schemas.held import AlertsHeld as AlertsHeld
from schemas.held import AlertsReleased as AlertsReleased
from schemas.held import FlappingEnded as FlappingEnded
from schemas.held import FlappingStarted as FlappingStarted
from schemas.held import HeldEvent
from schemas.held import PageWithheld as PageWithheld
from schemas.held import RulesHit as RulesHit
from schemas.held import StormEnded as StormEnded
from schemas.held import StormStarted as StormStarted
from schemas.held import WindowClosed as WindowClosed
from schemas.held import WindowOpened as WindowOpened
from schemas.notices import DeliveryCancelled as DeliveryCancelled
from schemas.notices import DeliveryDue as DeliveryDue
from schemas.notices import DeliveryFailed as DeliveryFailed
from schemas.notices import DeliveryRequested as DeliveryRequested
from schemas.notices import DeliveryRetryScheduled as DeliveryRetryScheduled
from schemas.notices import DeliveryStarted as DeliveryStarted
from schemas.notices import DeliverySucceeded as DeliverySucceeded
from schemas.notices import DeliveryUnconfirmed as DeliveryUnconfirmed
from schemas.notices import Notice as Notice
from schemas.oncall_changes import OncallEvent
from schemas.silences import SilenceCreated as SilenceCreated
from schemas.silences import SilenceEvent
from schemas.silences import SilenceExpired as SilenceExpired
from schemas.silences import SilenceExpiring as SilenceExpiring
from schemas.silences import SilenceStarted as SilenceStarted
from schemas.silences import SilenceUpdated as SilenceUpdated
from schemas.tickets import ClassificationSuggested as ClassificationSuggested
from schemas.tickets import IncidentClassified as IncidentClassified
from schemas.tickets import IncidentHandedOver as IncidentHandedOver
from schemas.tickets import IncidentLinked as IncidentLinked
from schemas.tickets import IncidentSplit as IncidentSplit
from schemas.tickets import IncidentUnlinked as IncidentUnlinked
from schemas.tickets import IncidentVerified as IncidentVerified
from schemas.tickets import TicketEvent
from schemas.vocabulary import DISPOSITIONS as DISPOSITIONS
from schemas.vocabulary import AccidentLevel as AccidentLevel
from schemas.vocabulary import Clock as Clock
from schemas.vocabulary import Disposition as Disposition
from schemas.vocabulary import Fact as _Data
from schemas.vocabulary import IncidentState as IncidentState
from schemas.vocabulary import NoticeKind as NoticeKind
from schemas.vocabulary import Outage as Outage
from schemas.vocabulary import Priority as Priority
from schemas.vocabulary import Severity as Severity

# --- intake -----------------------------------------------------------------------------------------------------


class Configured(_Data, frozen=True):
    """The core decides by rules `version` from now on; `digest` is the SHA-256 of their canonical JSON."""

    version: int
    digest: str


class PayloadRejected(_Data, frozen=True):
    """A body, or one alert of it, could not be understood; the body is in the journal at this event's offset."""

    source: str
    place: str
    reason: str


class IntakeRolledUp(_Data, frozen=True):
    """Alerts received since the last roll-up, by source and disposition; the sums are exact."""

    since_ms: int
    received: int
    by_source: dict[str, dict[Disposition, int]]


class RecordPoisoned(_Data, frozen=True):
    """The core itself failed on this record; it was kept and skipped, the state before it stands."""

    kind: str
    error: str


class ChangeRecorded(_Data, frozen=True):
    """A release or another change to the watched systems was reported."""

    source: str
    title: str
    service: str = ""
    version: str = ""
    url: str = ""


# --- incident ---------------------------------------------------------------------------------------------------


class IncidentOpened(_Data, frozen=True):
    """Trouble became an incident. `origin` is how it was found (R1.4)."""

    incident: str
    title: str
    service: str
    severity: Severity
    urgency: int
    impact: int
    priority: Priority
    origin: Literal["alert", "manual", "inspection", "user_report", "internal"]
    group_key: str = ""
    alerts: list[AlertRef] = []
    labels: dict[str, str] = {}
    description: str = ""
    recurrence_of: str = ""
    outage: Outage | None = None
    rules_version: int = 0


class AlertsAttached(_Data, frozen=True):
    """More alerts joined an open incident: of its group, or by a correlation rule, as `reason` then says."""

    incident: str
    alerts: list[AlertRef]
    reason: str = ""
    rules_version: int = 0


class AlertsResolved(_Data, frozen=True):
    """Alerts of an incident healed: the sender said so, or it fell silent past the stated time (`timeout`).

    With ``storm_over`` they have not healed but leave the incident of the storm, to be judged again.
    """

    incident: str
    fingerprints: list[str]
    reason: Literal["sender", "timeout", "storm_over"]


class IncidentRaised(_Data, frozen=True):
    """Urgency, impact or severity went up (or a person set them), and with them perhaps the priority."""

    incident: str
    severity: Severity
    urgency: int
    impact: int
    priority: Priority
    reason: str
    by_hand: bool = False


class IncidentAcknowledged(_Data, frozen=True):
    """A person took notice; the response clock stops here (R11.1)."""

    incident: str
    by: str


class IncidentAssigned(_Data, frozen=True):
    """The incident has an owner (责任人)."""

    incident: str
    assignee: str


class DiagnosisStarted(_Data, frozen=True):
    """Somebody is looking for the cause."""

    incident: str
    by: str


class NoteAdded(_Data, frozen=True):
    """A free-text entry on the timeline."""

    incident: str
    note_id: str
    text: str


class IncidentMitigated(_Data, frozen=True):
    """Users no longer suffer; the cause may still stand."""

    incident: str
    note: str = ""


class IncidentResolved(_Data, frozen=True):
    """The trouble is over. `automatic` when every alert healed by itself."""

    incident: str
    automatic: bool = False
    solution: str = ""
    cause_code: str = ""


class ReviewStarted(_Data, frozen=True):
    """The root-cause review (复盘) is under way."""

    incident: str
    by: str


class IncidentClosed(_Data, frozen=True):
    """Nothing more is to be done."""

    incident: str
    note: str = ""


class IncidentReopened(_Data, frozen=True):
    """It came back, or it was never over."""

    incident: str
    reason: str
    alerts: list[AlertRef] = []


class IncidentMerged(_Data, frozen=True):
    """This incident is the same trouble as `into` and goes on there."""

    incident: str
    into: str
    reason: str = ""


class IncidentMarkedFalseAlarm(_Data, frozen=True):
    """There was no trouble (误报)."""

    incident: str
    reason: str


EventData = (
    Configured | PayloadRejected | IntakeRolledUp | RecordPoisoned | ChangeRecorded
    | IncidentOpened | AlertsAttached | AlertsResolved | IncidentRaised | IncidentAcknowledged | IncidentAssigned
    | DiagnosisStarted | NoteAdded | IncidentMitigated | IncidentResolved | ReviewStarted | IncidentClosed
    | IncidentReopened | IncidentMerged | IncidentMarkedFalseAlarm
    | SlaClockStarted | SlaClockStopped | SlaClockBreached | AccidentProposed
    | DeliveryRequested | DeliveryDue | DeliveryStarted | DeliverySucceeded | DeliveryRetryScheduled
    | DeliveryFailed | DeliveryUnconfirmed | DeliveryCancelled | DrillRecorded
    | GroupNotified | GroupSuppressed | HeldEvent | SilenceEvent | ChannelFailing | ChannelRecovered
    | OncallEvent | AssessmentEvent | TicketEvent
)  # fmt: skip

IncidentEvent = (
    IncidentOpened | AlertsAttached | AlertsResolved | IncidentRaised | IncidentAcknowledged | IncidentAssigned
    | DiagnosisStarted | NoteAdded | IncidentMitigated | IncidentResolved | ReviewStarted | IncidentClosed
    | IncidentReopened | IncidentMerged | IncidentMarkedFalseAlarm | TicketEvent
)  # fmt: skip
"""The events of one incident's own life, in the order of `schemas.events`."""


class Event(msgspec.Struct, frozen=True):
    """One decision as the core returns it.

    `actor` is who caused it (``user:li``, ``source:alertmanager``, ``system``), `subject` what it is about
    (``incident/INC-7``, ``delivery/INC-7.1``, ``intake``, ``rules``), `scope` its partition key.
    """

    at_ms: int
    actor: str
    scope: str
    subject: str
    data: EventData


class LoggedEvent(msgspec.Struct, frozen=True):
    """An event with its place in the log and its link in the hash chain (see `engine.chain`)."""

    partition: int
    seq: int
    offset: int
    index: int
    event: Event
    hash: bytes
    version: int = 1

    @property
    def id(self) -> str:
        """The event's identity as people and documents cite it: ``partition-offset-index``."""
        return f"{self.partition}-{self.offset}-{self.index}"

    @property
    def type(self) -> str:
        """The literal type of the data, ``incident_opened`` for example."""
        return event_type(self.event.data)


def event_type(data: EventData) -> str:
    """The literal type name of an event's data."""
    tag = type(data).__struct_config__.tag
    assert isinstance(tag, str)
    return tag


EVENT_TYPES: dict[str, type[EventData]] = {
    event_type_.__struct_config__.tag: event_type_ for event_type_ in get_args(EventData)
}
"""Every event type by its literal name."""

encode_data = msgspec.json.Encoder(order="deterministic").encode
"""Canonical JSON bytes of an event's data: the bytes that are stored and hashed."""
decode_data = msgspec.json.Decoder(EventData).decode
"""Event data from its canonical bytes; raises msgspec.ValidationError on anything unknown."""
