"""PagerDuty's Events API v2, for tools that already speak it: trigger and resolve become an alert.

The alert is known by its `dedup_key`. A resolve need not repeat the payload and so does not say the severity: it ends
the alert of each of the four. `acknowledge` is accepted and changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from schemas.alerts import Alert, Rejected
from schemas.errors import InvalidPayload
from schemas.wire.pagerduty import dedup_key
from sources.building import alert_of, decoded, object_at, text_at, texts_at
from sources.items import however_deep_the_caller, moment, rejected

SEVERITIES: Final = ("critical", "error", "warning", "info")


@however_deep_the_caller
def parse(body: bytes, at_ms: int) -> Sequence[Alert | Rejected]:
    """The alerts that one event begins or ends; raises InvalidPayload when the body is no object."""
    event = decoded(body)
    if not isinstance(event, dict):
        raise InvalidPayload("expected an object", place="$")
    try:
        return _alerts(event, at_ms)
    except InvalidPayload as bad:
        return [rejected("$", bad)]


def _alerts(event: dict[str, Any], at_ms: int) -> list[Alert | Rejected]:
    action, key = text_at(event, "event_action"), dedup_key(event)
    if action == "acknowledge":
        return []
    if action == "resolve":
        if not key:
            raise InvalidPayload("dedup_key is required to resolve", place="dedup_key")
        return [alert_of(_labels(key, severity), {}, ("resolved", None, None), at_ms) for severity in SEVERITIES]
    if action != "trigger":
        raise InvalidPayload("expected trigger, acknowledge or resolve", place="event_action")
    payload = object_at(event, "payload")
    severity = text_at(payload, "severity")
    if severity not in SEVERITIES:
        raise InvalidPayload("expected critical, error, warning or info", place="payload.severity")
    if not text_at(payload, "summary"):
        raise InvalidPayload("summary is required", place="payload.summary")
    annotations = texts_at(payload, "custom_details") if isinstance(payload.get("custom_details"), dict) else {}
    for field in ("summary", "source", "component", "group", "class"):
        annotations[field] = text_at(payload, field)
    starts_ms = moment(text_at(payload, "timestamp"), "payload.timestamp")
    span = ("firing", starts_ms, None)
    return [alert_of(_labels(key, severity), annotations, span, at_ms, text_at(event, "client_url"))]


def _labels(key: str, severity: str) -> dict[str, str]:
    return {"alertname": key, "dedup_key": key, "severity": severity}
