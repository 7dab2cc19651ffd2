"""`tocsin explain`: the whole chain of decisions for one alert, from the journal and the log alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated

import typer

from engine.cli.log import events_after
from engine.cli.options import ConfigOption, JsonOption, clock, print_json, reading, settings_of
from engine.store import Store
from schemas.alerts import Alert, fingerprint, labels_of
from schemas.errors import CommandRejected, InvalidPayload
from schemas.events import (
    AlertsAttached,
    AlertsResolved,
    DeliveryRequested,
    IncidentOpened,
    IncidentReopened,
    LoggedEvent,
)
from schemas.records import Received
from sources import PARSERS

_FINGERPRINT = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Step:
    """One thing that happened to the alert; `offset` is the journal record behind it."""

    offset: int
    at_ms: int
    what: str
    why: str


def explain(
    alert: Annotated[str, typer.Argument(metavar="FINGERPRINT", help="16 hex digits, as Alertmanager counts them")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Every arrival of one alert, every decision about it, and what came of it. 解释一条告警。"""
    if not _FINGERPRINT.fullmatch(alert):
        raise typer.BadParameter("expected 16 hex digits", param_hint="FINGERPRINT")
    settings = settings_of(config)
    store = reading(settings)
    try:
        labels, steps = chain_of(store, alert)
    finally:
        store.close()
    if as_json:
        print_json({"fingerprint": alert, "labels": labels, "steps": [vars(step) for step in steps]})
        return
    typer.echo(f"{alert}  " + " ".join(f"{name}={value}" for name, value in sorted(labels.items())))
    for step in steps:
        typer.echo(f"{step.offset:>8}  {clock(step.at_ms, settings)}  {step.what:<26} {step.why}")


def chain_of(store: Store, alert: str) -> tuple[Mapping[str, str], list[Step]]:
    """The labels of an alert and the steps of its life, in order. Raises CommandRejected (``not_found``)."""
    decided = _decisions(store, alert)
    incidents = {incident for event in decided for incident in [getattr(event.event.data, "incident", "")]}
    labels: Mapping[str, str] = {}
    steps = [_decision(event) for event in events_after(store, -1) if _belongs(event, incidents)]
    at_offset = {event.offset for event in decided}
    repeats: list[Step] = []
    for offset, at_ms, source, found in _arrivals(store, alert):
        labels = labels or found.labels
        arrival = Step(offset, at_ms, f"received {found.status}", f"from {source}")
        if offset in at_offset:
            steps.extend([*_rolled(repeats), arrival])
            repeats = []
        else:
            repeats.append(arrival)
    if not labels:
        raise CommandRejected("not_found", f"no alert with fingerprint {alert} has been received")
    steps.extend(_rolled(repeats))
    # An arrival stands before what was decided about it: the sort is stable and decisions of an offset come later.
    return labels, sorted(steps, key=lambda step: (step.offset, not step.what.startswith(("received", "repeated"))))


def _arrivals(store: Store, alert: str) -> Iterator[tuple[int, int, str, Alert]]:
    """(offset, at_ms, source, alert) of each time the alert came."""
    for offset, record in store.journal():
        if not isinstance(record, Received) or record.format not in PARSERS:
            continue
        try:
            items = PARSERS[record.format](record.body, record.at_ms)
        except InvalidPayload:
            continue
        for item in items:
            if isinstance(item, Alert) and _fingerprint_of(item.labels_raw) == alert:
                yield offset, record.at_ms, record.source, item


@cache
def _fingerprint_of(labels_raw: bytes) -> str:
    return fingerprint(labels_of(labels_raw))


def _decisions(store: Store, alert: str) -> list[LoggedEvent]:
    """The events that name this alert."""
    return [event for event in events_after(store, -1) if alert in _named(event)]


def _named(event: LoggedEvent) -> list[str]:
    """The fingerprints that an event names."""
    match event.event.data:
        case IncidentOpened(alerts=alerts) | AlertsAttached(alerts=alerts) | IncidentReopened(alerts=alerts):
            return [alert.fingerprint for alert in alerts]
        case AlertsResolved(fingerprints=fingerprints):
            return fingerprints
        case _:
            return []


def _belongs(event: LoggedEvent, incidents: set[str]) -> bool:
    data = event.event.data
    incident = data.notice.incident if isinstance(data, DeliveryRequested) else getattr(data, "incident", "")
    if not incident and hasattr(data, "delivery"):
        incident = data.delivery.rpartition(".")[0]
    return incident in incidents and bool(incident)


def _decision(event: LoggedEvent) -> Step:
    hidden = {"type", "alerts", "labels", "notice", "fingerprints"}
    fields = {
        name: value
        for name in event.event.data.__struct_fields__
        if name not in hidden and (value := getattr(event.event.data, name)) not in ("", [], None)
    }
    why = " ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in fields.items())
    return Step(event.offset, event.event.at_ms, event.type, f"{why} ({event.event.actor})")


def _rolled(repeats: list[Step]) -> list[Step]:
    """Arrivals that changed nothing, as one step."""
    if not repeats:
        return []
    first, last = repeats[0], repeats[-1]
    until = f", the last at record {last.offset}" if len(repeats) > 1 else ""
    return [Step(first.offset, first.at_ms, f"repeated {len(repeats)} x", f"{first.why}: nothing new{until}")]
