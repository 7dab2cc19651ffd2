"""Grafana Alerting's webhook contact point: Alertmanager's shape, and links to dashboard, panel and silence.

The links become annotations; `values` too, as the text that Grafana sends. The version is not looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from schemas.alerts import Alert, Rejected
from schemas.errors import InvalidPayload
from sources.building import alert_of, decoded, each_object, text_at, texts_at
from sources.items import however_deep_the_caller, moment

_LINKS = {"dashboardURL": "dashboard", "panelURL": "panel", "silenceURL": "silence", "imageURL": "image"}


@however_deep_the_caller
def parse(body: bytes, at_ms: int) -> Sequence[Alert | Rejected]:
    """The alerts of one notification, in order; raises InvalidPayload when there is no list of alerts."""
    whole = decoded(body)
    alerts = whole.get("alerts") if isinstance(whole, dict) else None
    if not isinstance(alerts, list):
        raise InvalidPayload("expected an object with a list of alerts", place="$.alerts")
    return each_object(alerts, "$.alerts[{}]", lambda item: _alert(item, at_ms))


def _alert(item: dict[str, Any], at_ms: int) -> Alert:
    annotations = texts_at(item, "annotations")
    annotations |= {name: text_at(item, field) for field, name in _LINKS.items()}
    annotations["values"] = text_at(item, "valueString")
    starts_ms = moment(text_at(item, "startsAt"), "startsAt")
    ends_ms = moment(text_at(item, "endsAt"), "endsAt")
    span = (text_at(item, "status"), starts_ms, ends_ms)
    return alert_of(texts_at(item, "labels"), annotations, span, at_ms, text_at(item, "generatorURL"))
