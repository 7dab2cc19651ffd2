"""The body of Alertmanager's webhook, version "4", as Go's encoder writes it.

Source: Alertmanager `template/template.go` (Data) and `notify/webhook/webhook.go` (Message). Fields in their order,
names of labels sorted, ``<``, ``>`` and ``&`` escaped, a line feed at the end.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
from msgspec import Raw

from schemas.alerts import labels_of
from schemas.events import Notice
from schemas.groups import GroupAlert, GroupNotice, NotifyReason

ZERO_TIME: Final = "0001-01-01T00:00:00Z"
"""Go's zero time: the end of an alert that fires."""
REASONS: Final[Mapping[NotifyReason, str]] = {
    "first": "first notification",
    "new_alerts": "new alerts added",
    "resolved_alerts": "some alerts resolved",
    "all_resolved": "all alerts resolved",
    "repeat": "repeat interval elapsed",
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ESCAPED: Final = ((b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026"))
_LINES: Final = (("\u2028".encode(), b"\\u2028"), ("\u2029".encode(), b"\\u2029"))
_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$]")


class _Alert(msgspec.Struct):
    status: str
    labels: Raw
    annotations: Raw
    startsAt: str
    endsAt: str
    generatorURL: str
    fingerprint: str


class _Message(msgspec.Struct):
    receiver: str
    status: str
    alerts: list[_Alert]
    notification_reason: str
    groupLabels: dict[str, str]
    commonLabels: dict[str, str]
    commonAnnotations: dict[str, str]
    routeLabels: dict[str, str]
    externalURL: str
    version: str
    groupKey: str
    truncatedAlerts: int


_encode = msgspec.json.Encoder(order=None).encode
_sorted = msgspec.json.Encoder(order="deterministic").encode


def message(group: GroupNotice, *, max_alerts: int = 0) -> bytes:
    """The body for a group; at most `max_alerts` of its alerts (0: all), as if there were no others but for a count."""
    shown = group.alerts[:max_alerts] if max_alerts else group.alerts
    firing = any(alert.status == "firing" for alert in shown)
    body = _encode(
        _Message(
            receiver=_SPECIAL.sub(r"\\\g<0>", group.receiver),
            status="firing" if firing else "resolved",
            alerts=[_alert(alert) for alert in shown],
            notification_reason=REASONS[group.reason],
            groupLabels=dict(sorted(group.labels.items())),
            commonLabels=_common([alert.labels for alert in shown]),
            commonAnnotations=_common([alert.annotations for alert in shown]),
            routeLabels={},
            externalURL=group.external_url,
            version="4",
            groupKey=group.key,
            truncatedAlerts=len(group.alerts) - len(shown),
        )
    )
    for character, escaped in (*_ESCAPED, *_LINES):
        body = body.replace(character, escaped)
    return body + b"\n"


def as_group(notice: Notice) -> GroupNotice:
    """The group of a notice; an incident or a test is made one alert, so that such receivers can be told of it."""
    if notice.group is not None:
        return notice.group
    labels = {"alertname": f"Tocsin{notice.kind.capitalize()}", "incident": notice.incident}
    labels |= {"priority": notice.priority, "severity": notice.severity}
    labels |= {"service": notice.service} if notice.service else {}
    over = notice.state in ("resolved", "closed", "false_alarm", "merged")
    alert = GroupAlert(
        fingerprint="",
        status="resolved" if over else "firing",
        starts_ms=notice.opened_ms,
        labels=Raw(_sorted(_whole(labels))),
        annotations=Raw(_sorted(_whole({"reason": notice.reason, "summary": notice.title}))),
        ends_ms=notice.at_ms if over else 0,
        generator_url=notice.url,
    )
    url, _, _ = notice.url.partition("/incidents/")
    return GroupNotice(
        key=f'{{}}:{{incident="{notice.incident}"}}', receiver="incidents", reason="all_resolved" if over else "first",
        labels={"incident": notice.incident}, external_url=url, alerts=[alert],
    )  # fmt: skip


def _whole(pairs: dict[str, str]) -> dict[str, str]:
    """Half an emoji is no UTF-8 and must not stop a message."""
    return {name: value.encode(errors="replace").decode() for name, value in pairs.items()}


def _alert(alert: GroupAlert) -> _Alert:
    return _Alert(
        status=alert.status,
        labels=alert.labels,
        annotations=alert.annotations,
        startsAt=go_time(alert.starts_ms),
        endsAt=go_time(alert.ends_ms) if alert.ends_ms else ZERO_TIME,
        generatorURL=alert.generator_url,
        fingerprint=alert.fingerprint,
    )


def go_time(at_ms: int) -> str:
    """UTC milliseconds as Go writes RFC 3339: no zeros at the end of the fraction.

    >>> go_time(1500), go_time(0)
    ('1970-01-01T00:00:01.5Z', '1970-01-01T00:00:00Z')
    """
    at = _EPOCH + timedelta(milliseconds=at_ms)
    fraction = f".{at_ms % 1000:03d}".rstrip("0").rstrip(".")
    return f"{at.isoformat()[:19]}{fraction}Z"


def _common(raws: Sequence[Raw]) -> dict[str, str]:
    """The pairs that all have in common."""
    if not raws:
        return {}
    common = dict(labels_of(bytes(raws[0])))
    for raw in raws[1:]:
        if not common:
            break
        other = labels_of(bytes(raw))
        common = {name: value for name, value in common.items() if other.get(name) == value}
    return common
