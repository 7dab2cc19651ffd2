"""CloudEvents 1.0: structured, or a batch; binary events are made structured where they arrive (`web.ingest`).

An event whose `data` looks like our own format (`title` or `alertname`) is read as that. Any other becomes an alert
named by its `type`, known by source and subject, which ends only by ``data.status: resolved`` or by silence. `source`
and `id` stay with it as annotations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from schemas.alerts import Alert, Rejected
from schemas.errors import InvalidPayload
from sources.building import alert_of, each_object, objects_of, text_at, texts_at
from sources.items import however_deep_the_caller, moment
from sources.label_sets import without_nul


@however_deep_the_caller
def parse(body: bytes, at_ms: int) -> Sequence[Alert | Rejected]:
    """The alerts of one event or of a batch, in order; raises InvalidPayload when the body is neither."""
    items, place = objects_of(body)
    return each_object(items, place, lambda item: _alert(item, at_ms))


def _alert(event: dict[str, Any], at_ms: int) -> Alert:
    for field in ("id", "source", "type"):
        if not text_at(event, field):
            raise InvalidPayload(f"{field} is required", place=field)
    if text_at(event, "specversion") != "1.0":
        raise InvalidPayload("expected 1.0", place="specversion")
    data = event.get("data")
    said = data if isinstance(data, dict) else {}
    labels = texts_at(said, "labels") | {name: text_at(said, name) for name in ("severity", "service")}
    named = text_at(said, "alertname") or text_at(said, "title")
    labels["alertname"] = named or text_at(event, "type")
    labels |= {"ce_source": text_at(event, "source"), "ce_subject": text_at(event, "subject")}
    annotations = texts_at(said, "annotations") | {"ce_id": text_at(event, "id"), "ce_type": text_at(event, "type")}
    annotations["description"] = without_nul(data) if isinstance(data, str) else text_at(said, "description")
    if text_at(said, "alertname"):
        annotations["summary"] = text_at(said, "title")
    starts_ms = moment(text_at(said, "startsAt") or text_at(event, "time"), "time")
    status = text_at(said, "status")
    span = (status if status in ("firing", "resolved") else None, starts_ms, moment(text_at(said, "endsAt"), "endsAt"))
    if span[0] == "resolved" and not span[2]:
        span = ("resolved", None, starts_ms)
    return alert_of(labels, annotations, span, at_ms, text_at(said, "url"))
