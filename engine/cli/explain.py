"""`tocsin explain`: the chain of decisions about an alert, an incident or a receiver, from journal and log alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from datetime import time as clock_time
from functools import cache
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
import typer

from engine import bootstrap
from engine.cli.log import events_after
from engine.cli.options import ConfigOption, JsonOption, clock, print_json, reading, settings_of
from engine.explaining import FINGERPRINT, incident_of, named
from engine.store import Store, partitions
from schemas.alerts import Alert, fingerprint, labels_of
from schemas.config import Settings
from schemas.errors import CommandRejected, InvalidPayload
from schemas.events import LoggedEvent
from schemas.records import Received
from sources import PARSERS

_CLOCK = re.compile(r"(?:(\d{4}-\d\d-\d\d)[ T])?(\d\d):(\d\d)(?::(\d\d))?")


@dataclass(frozen=True)
class Step:
    """One thing that happened to the alert; `offset` is the journal record behind it."""

    offset: int
    at_ms: int
    what: str
    why: str


def explain(
    subject: Annotated[str, typer.Argument(metavar="SUBJECT", help="an alert's fingerprint, INC-7, or a receiver")],
    at: Annotated[str, typer.Option(help="when: 03:12, or 2026-03-01 03:12, in the time zone of the rules")] = "",
    around: Annotated[int, typer.Option(min=1, max=10_000, help="minutes before and after --at")] = 15,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Why: each arrival of an alert and each decision about it; an incident; why a receiver was told, or not. 解释。"""
    settings = settings_of(config)
    at_ms = _moment(at, settings) if at else None
    store = reading(settings)
    try:
        if FINGERPRINT.fullmatch(subject) and at_ms is None:
            _explain_alert(store, subject, settings, as_json=as_json)
            return
        desk = bootstrap.rules_desk(settings, store)
        found = desk.explain(subject, at_ms=at_ms, around_ms=around * 60_000)
    finally:
        store.close()
    if as_json:
        print_json(msgspec.to_builtins(found))
        return
    for step in found.steps:
        told = f"{step.incident} {step.type}".strip()
        typer.echo(f"{clock(step.at_ms, settings)}  {told:<34} {step.text}{_by(step.rule, step.rules_version)}")
    if found.not_told:
        typer.echo("not told of:")
    for one in found.not_told:
        what = f"{one.incident} {one.title}".strip()
        typer.echo(f"{clock(one.at_ms, settings)}  {what}: {one.reason}{_by(one.rule, one.rules_version)}")


def _by(rule: str, version: int) -> str:
    parts = [part for part in (rule, f"rules version {version}" if version else "") if part]
    return f" [{', '.join(parts)}]" if parts else ""


def _moment(text: str, settings: Settings) -> int:
    """A time of day (the latest that has been), or a date and time, in UTC milliseconds."""
    found = _CLOCK.fullmatch(text)
    if found is None:
        raise typer.BadParameter("expected 03:12, or 2026-03-01 03:12", param_hint="--at")
    zone = ZoneInfo(settings.rules.timezone)
    now = datetime.now(zone)
    try:
        day = date.fromisoformat(found[1]) if found[1] else now.date()
        moment = datetime.combine(day, clock_time(int(found[2]), int(found[3]), int(found[4] or 0)), zone)
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong), param_hint="--at") from None
    if not found[1] and moment > now:
        moment -= timedelta(days=1)
    return int(moment.timestamp() * 1000)


def _explain_alert(store: Store, alert: str, settings: Settings, *, as_json: bool) -> None:
    labels, steps = chain_of(store, alert)
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
    partition = decided[0].partition if decided else 0
    seqs = {event.seq for event in decided}
    every = events_after(store, -1, partition)
    steps = [_decision(event) for event in every if event.seq in seqs or _belongs(event, incidents)]
    at_offset = {event.offset for event in decided}
    repeats: list[Step] = []
    for offset, at_ms, source, found in _arrivals(store, alert, partition):
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


def _arrivals(store: Store, alert: str, partition: int) -> Iterator[tuple[int, int, str, Alert]]:
    """(offset, at_ms, source, alert) of each time the alert came."""
    for offset, record in store.journal(partition=partition):
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
    """The events that name this alert: those of the partition that its scope belongs to."""
    for partition in partitions(store):
        found = [event for event in events_after(store, -1, partition) if alert in named(event.event.data)]
        if found:
            return found
    return []


def _belongs(event: LoggedEvent, incidents: set[str]) -> bool:
    incident = incident_of(event.event.data)
    return bool(incident) and incident in incidents


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
