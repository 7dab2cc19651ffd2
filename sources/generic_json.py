"""Our own small format, for scripts and tools that speak no other: one JSON object, or an array of them.

| field | | meaning |
| --- | --- | --- |
| `title` or `alertname` | required | what is wrong; becomes the label `alertname`, and so part of the identity: |
| | | keep changing figures out of it. With both, `title` becomes the annotation `summary` |
| `status` | `firing`, `resolved` | absent: resolved if `endsAt` has passed, else firing |
| `severity`, `service` | scalar | become labels of these names |
| `labels` | object | further labels; strings, and numbers, true, false as they are written |
| `annotations` | object of strings | further texts |
| `description` | string | becomes the annotation `description` |
| `startsAt`, `endsAt` | RFC 3339 | absent start: now (or the end if earlier) |
| `url` | string | leads back to the sender |

An alert is resolved by the same labels with the status `resolved`. Unknown fields are ignored.

>>> parse(b'{"title": "Disk full", "severity": "critical", "labels": {"host": "db1", "port": 5432}}', 0)[0].labels
{'alertname': 'Disk full', 'host': 'db1', 'port': '5432', 'severity': 'critical'}
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from schemas.alerts import Alert, Rejected
from schemas.errors import InvalidPayload
from schemas.wire.generic import GenericAlert
from sources.items import body_of, decode, each, however_deep_the_caller, moment, rejected, stated_span
from sources.label_sets import annotation_bytes, label_bytes, strings_of, without_nul

_shape = msgspec.json.Decoder(list[msgspec.Raw] | GenericAlert)
_one = msgspec.json.Decoder(GenericAlert)
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_string = msgspec.json.Decoder(str)
_other_scalar = msgspec.json.Decoder(int | float | bool)


@however_deep_the_caller
def parse(body: bytes, at_ms: int) -> Sequence[Alert | Rejected]:
    """The alerts of one object or array, in order; raises InvalidPayload when the body is neither."""
    shape = body_of(_shape, body)
    if isinstance(shape, list):
        return each(shape, _one, lambda item: _alert(item, at_ms), "$")
    try:
        return [_alert(shape, at_ms)]
    except InvalidPayload as bad:
        return [rejected("$", bad)]


def _alert(item: GenericAlert, at_ms: int) -> Alert:
    name = item.alertname or item.title
    if not name:
        raise InvalidPayload("title is required", place="title")
    labels = _labels(bytes(item.labels)) | {"alertname": without_nul(name)}
    for field, raw in (("severity", bytes(item.severity)), ("service", bytes(item.service))):
        if raw not in (b"", b"null"):
            labels[field] = _scalar(raw, field)
    raw = bytes(item.annotations)
    annotations = {} if raw in (b"", b"null") else strings_of(raw, "annotations")
    if item.description:
        annotations["description"] = without_nul(item.description)
    if item.alertname and item.title:
        annotations["summary"] = without_nul(item.title)
    starts_ms, ends_ms = moment(item.startsAt, "startsAt"), moment(item.endsAt, "endsAt")
    status, starts_ms, ends_ms = stated_span(item.status, starts_ms, ends_ms, at_ms)
    url = without_nul(item.url or "")
    return Alert(label_bytes(labels), status, starts_ms, ends_ms, annotation_bytes(annotations), url)


def _labels(raw: bytes) -> dict[str, str]:
    if raw in (b"", b"null"):
        return {}
    try:
        fields = decode(_fields, raw)
    except InvalidPayload as unreadable:
        raise InvalidPayload(unreadable.reason, place="labels") from None
    return {without_nul(name): _scalar(bytes(value), f"labels.{name}") for name, value in fields.items()}


def _scalar(raw: bytes, place: str) -> str:
    """A string, or a number or a truth value as it is written."""
    try:
        if raw.startswith(b'"'):
            return without_nul(_string.decode(raw))
        _other_scalar.decode(raw)
    except ValueError:
        raise InvalidPayload("expected a string, a number, true or false", place=place) from None
    return raw.decode()
