"""What the core remembers between records: all of it can be written to a snapshot and read back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from detectors.correlation import Change
from detectors.inhibition import Inhibitor
from detectors.storms import Arrivals
from engine.core.channel_state import ChannelState
from engine.core.oncall_state import OncallState
from engine.core.timers import Timer
from engine.machines.delivery import Delivery
from engine.machines.dispatch import Group
from engine.machines.incident import Incident
from engine.machines.sla import Clocks
from schemas.alerts import labels_of
from schemas.assessment import Period
from schemas.config import Rules
from schemas.events import Disposition, NoticeKind, Severity
from schemas.silences import Silence
from schemas.tickets import Classification

CORE_VERSION = 2
"""Raised whenever the meaning of the state or of a decision changes: older snapshots are then not read."""

REMEMBERED_COMMANDS = 10_000
"""How many of the latest command ids are known, so that a command sent again is decided once."""


class AlertState(msgspec.Struct, gc=False):
    """One label set that the core has seen. Times are UTC milliseconds; `incident` is where it belongs."""

    fingerprint: str
    labels_raw: bytes
    scope: str
    group_key: str
    severity: Severity
    firing: bool
    starts_ms: int
    expires_ms: int
    resolved_ms: int = 0
    incident: str = ""
    armed_ms: int = 0
    """Due time of its expiry timer; 0 when none is set."""
    annotations_raw: bytes = b"{}"
    generator_url: str = ""
    ends_ms: int | None = None
    """The end that the sender stated."""
    source: str = ""
    updated_ms: int = 0
    """When it was last reported."""
    fired_ms: int = 0
    """When the present episode arrived, whatever start the sender states."""
    judged_raw: bytes = b""
    """Its labels after the rules about alerts, where these changed any."""
    held: Disposition | Literal[""] = ""
    """What keeps it out of incidents; ``storm`` keeps it in the incident of the storm."""
    held_by: tuple[str, ...] = ()
    """Names of what holds it, as in `schemas.held.AlertsHeld`."""
    muted_by: tuple[str, ...] = ()
    """The silences and open windows that it satisfies, in order of their names."""
    inhibited_by: tuple[Inhibitor, ...] = ()
    changes: tuple[int, ...] = ()
    """When it began and ended, as far as that counts for flapping."""
    flapping: bool = False

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels by which it is judged."""
        return labels_of(self.judged_raw or self.labels_raw)

    @property
    def is_quiet(self) -> bool:
        """Whether a silence, a window or another alert keeps it from paging."""
        return bool(self.muted_by or self.inhibited_by)


class KeptSilence(msgspec.Struct):
    """A silence, and which of its moments have been logged."""

    silence: Silence
    started: bool = False
    announced: bool = False
    expired: bool = False


class Storm(msgspec.Struct):
    """The new alerts of one scope, and the incident that takes them while there are far too many."""

    arrivals: Arrivals
    incident: str = ""
    since_ms: int = 0
    limit: int = 0
    """So many arrivals in one slot were a storm when it began."""
    absorbed: int = 0


Books = dict[str, dict[Disposition, int]]
"""Alerts counted by source and disposition."""


class DispatchState(msgspec.Struct):
    """The notification groups by id; and, by the scope of a group's first alert, the number of the latest one."""

    groups: dict[str, Group] = {}
    numbers: dict[str, int] = {}


class State(msgspec.Struct):
    """Everything that later decisions depend on."""

    now_ms: int = 0
    rules_json: bytes = msgspec.field(default_factory=lambda: Rules().canonical())
    rules_version: int = 0
    alerts: dict[str, AlertState] = {}
    groups: dict[str, str] = {}
    """Group key → the latest incident of that group."""
    joined: dict[str, list[str]] = {}
    """Incident → the keys of further groups whose latest incident it is, by correlation."""
    incidents: dict[str, Incident] = {}
    clocks: dict[str, Clocks] = {}
    deliveries: dict[str, Delivery] = {}
    told: dict[str, int] = {}
    """Incident → how many deliveries it has caused."""
    reached: dict[str, None] = {}
    """Incidents of which somebody has been told, or may have been."""
    numbers: dict[str, int] = {}
    """Scope → the number of its latest incident."""
    commands: dict[str, None] = {}
    books: Books = {}
    """Since the beginning."""
    unrolled: Books = {}
    """Since the latest roll-up."""
    unrolled_since_ms: int = 0
    silences: dict[str, KeptSilence] = {}
    windows: dict[str, int] = {}
    """The maintenance windows that are open, each with its end."""
    window_due: dict[str, int] = {}
    """When each window is looked at next."""
    storms: dict[str, Storm] = {}
    """By scope."""
    withheld: dict[str, NoticeKind] = {}
    """Incidents that would have paged if their alerts were not all quiet, and how."""
    changes: list[Change] = []
    """Changes of services that were reported of late."""
    hits: dict[str, int] = {}
    """How many alerts each silence, window and rule has held."""
    unrolled_hits: dict[str, int] = {}
    over: dict[str, int] = {}
    """Incidents that are over → when their latest event was (UTC milliseconds): in time they are forgotten."""
    channels: dict[str, ChannelState] = {}
    """By name: those that were looked at."""
    timers: list[Timer] = []
    dispatch: DispatchState = msgspec.field(default_factory=DispatchState)
    oncall: OncallState = msgspec.field(default_factory=OncallState)
    assessments: dict[str, Period] = {}
    """Contract/period → its assessment."""
    classified: dict[str, Classification] = {}
    """Alert and service → what people said last of where its incidents belong."""


encode_state = msgspec.msgpack.Encoder().encode
decode_state = msgspec.msgpack.Decoder(State).decode
