"""Nightingale's callback and webhook: one `AlertCurEvent`, or an array of them (`models/alert_cur_event.go`).

Repeats carry the same tags and rule, and so are one alert. Severity 1 is its highest. Times are Unix seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from schemas.alerts import Alert, Rejected
from schemas.errors import InvalidPayload
from sources.building import alert_of, each_object, ms_of_seconds, objects_of, text_at, texts_at
from sources.items import however_deep_the_caller
from sources.label_sets import without_nul

_SEVERITIES = {"1": "critical", "2": "warning", "3": "info"}


@however_deep_the_caller
def parse(body: bytes, at_ms: int) -> Sequence[Alert | Rejected]:
    """The alerts of one callback, in order; raises InvalidPayload when the body is neither object nor array."""
    items, place = objects_of(body)
    return each_object(items, place, lambda item: _alert(item, at_ms))


def _alert(item: dict[str, Any], at_ms: int) -> Alert:
    name = text_at(item, "rule_name")
    if not name:
        raise InvalidPayload("rule_name is required", place="rule_name")
    severity = text_at(item, "severity")
    labels = _tags(item) | {"alertname": name, "severity": _SEVERITIES.get(severity, severity)}
    for field, label in (("cluster", "cluster"), ("rule_id", "rule_id"), ("target_ident", "ident")):
        labels.setdefault(label, text_at(item, field))
    annotations = texts_at(item, "annotations") | {
        "summary": name,
        "description": text_at(item, "rule_note"),
        "value": text_at(item, "trigger_value"),
        "runbook_url": text_at(item, "runbook_url"),
    }
    starts_ms = ms_of_seconds(item, "first_trigger_time") or ms_of_seconds(item, "trigger_time")
    if item.get("is_recovered") is True:
        ends_ms = ms_of_seconds(item, "recover_time") or ms_of_seconds(item, "last_eval_time")
        return alert_of(labels, annotations, ("resolved", starts_ms, ends_ms), at_ms)
    return alert_of(labels, annotations, ("firing", starts_ms, None), at_ms)


def _tags(item: dict[str, Any]) -> dict[str, str]:
    """`tags_map`, else the list ``["k=v"]`` of older senders."""
    if item.get("tags_map"):
        return texts_at(item, "tags_map")
    tags = item.get("tags") or []
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise InvalidPayload("expected a list of k=v", place="tags")
    pairs = (without_nul(tag).partition("=") for tag in tags)
    return {key: value for key, _, value in pairs if key}
