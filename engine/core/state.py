"""What the core remembers between records: all of it can be written to a snapshot and read back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from detectors.inhibition import Inhibitor
from detectors.storms import Arrivals
from engine.core.timers import Timer
from engine.machines.delivery import Delivery
from engine.machines.dispatch import Group
from engine.machines.incident import Incident
from engine.machines.sla import Clocks
from schemas.alerts import labels_of
from schemas.config import Rules
from schemas.events import Disposition, NoticeKind, Severity
from schemas.silences import Silence

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


Books = dict[str, dict[Disposition, int]]
"""Alerts counted by source and disposition."""


class DispatchState(msgspec.Struct):
    """The notification groups by id, and the number of the latest one."""

    groups: dict[str, Group] = {}
    number: int = 0


class State(msgspec.Struct):
    """Everything that later decisions depend on."""

    now_ms: int = 0
    rules_json: bytes = msgspec.field(default_factory=lambda: Rules().canonical())
    rules_version: int = 0
    alerts: dict[str, AlertState] = {}
    groups: dict[str, str] = {}
    """Group key → the latest incident of that group."""
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
    hits: dict[str, int] = {}
    """How many alerts each silence, window and rule has held."""
    unrolled_hits: dict[str, int] = {}
    timers: list[Timer] = []
    dispatch: DispatchState = msgspec.field(default_factory=DispatchState)


encode_state = msgspec.msgpack.Encoder().encode
decode_state = msgspec.msgpack.Decoder(State).decode
