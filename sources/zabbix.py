"""Zabbix, by our media type `deploy/zabbix/media_tocsin.yaml`: one object of macros.

A macro that Zabbix could not resolve arrives as it is written (``{EVENT.TAGSJSON}``) and counts as absent. The alert is
known by trigger and host, with the trigger's own severity, so that problem and recovery agree. Zabbix sends local times
without a zone: the arrival counts instead.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from schemas.alerts import Alert, Rejected
from schemas.errors import InvalidPayload
from sources.building import alert_of, each_object, objects_of, text_at
from sources.items import however_deep_the_caller
from sources.label_sets import without_nul

_SEVERITIES: Final = ("info", "info", "warning", "warning", "major", "critical")
"""Not classified, information, warning, average, high, disaster."""
_UNRESOLVED: Final = re.compile(r"\{[A-Z][A-Z0-9.]*\}")


class _Tag(msgspec.Struct):
    tag: str
    value: str = ""


_tags = msgspec.json.Decoder(list[_Tag])


@however_deep_the_caller
def parse(body: bytes, at_ms: int) -> Sequence[Alert | Rejected]:
    """The alert of one message; raises InvalidPayload when the body is no object."""
    items, place = objects_of(body)
    return each_object(items, place, lambda item: _alert(item, at_ms))


def _alert(item: dict[str, Any], at_ms: int) -> Alert:
    known = {field: _resolved(text_at(item, field)) for field in item if not isinstance(item[field], dict | list)}
    name, value = known.get("trigger_name", ""), known.get("event_value", "")
    if not name:
        raise InvalidPayload("trigger_name is required", place="trigger_name")
    if value not in ("0", "1"):
        raise InvalidPayload("expected 1 (problem) or 0 (recovery)", place="event_value")
    severity = known.get("trigger_nseverity", "")
    labels = _tags_of(known.get("tags", "")) | {
        "alertname": name,
        "host": known.get("host", ""),
        "trigger_id": known.get("trigger_id", ""),
        "severity": _SEVERITIES[int(severity)] if severity in ("0", "1", "2", "3", "4", "5") else "",
    }
    annotations = {
        "summary": known.get("subject", ""),
        "description": known.get("message", ""),
        "zabbix_event": known.get("event_id", ""),
        "acknowledged": known.get("ack", ""),
    }
    span = ("firing" if value == "1" else "resolved", None, None)
    return alert_of(labels, annotations, span, at_ms, known.get("url", ""))


def _resolved(text: str) -> str:
    return "" if _UNRESOLVED.fullmatch(text) else text


def _tags_of(text: str) -> dict[str, str]:
    if not text:
        return {}
    try:
        return {without_nul(tag.tag): without_nul(tag.value) for tag in _tags.decode(text) if tag.tag}
    except ValueError:
        raise InvalidPayload("expected JSON like [{tag, value}]", place="tags") from None
