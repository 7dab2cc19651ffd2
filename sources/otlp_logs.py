"""OpenTelemetry logs (OTLP/HTTP, JSON): each record of severity ERROR or above is an alert; others are none.

Known by service, kind of the event and severity, not by its text: ``event.name``, else ``exception.type``, else the
name of the scope. It ends by silence. Protobuf bodies are not read: set the exporter to ``json`` encoding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from schemas.alerts import Alert, Rejected
from schemas.errors import InvalidPayload
from sources.building import alert_of, decoded, each_object, object_at, text_at
from sources.items import however_deep_the_caller
from sources.label_sets import without_nul

_ERROR: Final = 17
_FATAL: Final = 21
_SCALARS: Final = ("stringValue", "boolValue", "intValue", "doubleValue")
_RESOURCE_LABELS: Final = {
    "service.name": "service", "service.namespace": "namespace", "deployment.environment.name": "environment",
    "k8s.cluster.name": "cluster", "host.name": "host",
}  # fmt: skip


@however_deep_the_caller
def parse(body: bytes, at_ms: int) -> Sequence[Alert | Rejected]:
    """The alerts of one export, in order; raises InvalidPayload when the body is no export of logs."""
    whole = decoded(body)
    if not isinstance(whole, dict) or not isinstance(whole.get("resourceLogs"), list):
        raise InvalidPayload("expected an object with resourceLogs", place="$.resourceLogs")
    answers: list[Alert | Rejected] = []
    for place, resource, scope, records in _groups(whole["resourceLogs"]):
        answers += each_object(
            [record for record in records if _matters(record)],
            place + "[{}]",
            lambda record, resource=resource, scope=scope: _alert(record, resource, scope, at_ms),  # type: ignore[misc]
        )
    return answers


def _groups(resources: list[Any]) -> Iterator[tuple[str, dict[str, str], str, list[Any]]]:
    """Where records stand, the attributes of their resource, the name of their scope, and they themselves."""
    for at, resource in enumerate(resources):
        place = f"$.resourceLogs[{at}]"
        if not isinstance(resource, dict) or not isinstance(resource.get("scopeLogs", []), list):
            raise InvalidPayload("expected an object with scopeLogs", place=place)
        attributes = _attributes(_objects(resource, "resource", place), place)
        for index, scope in enumerate(resource.get("scopeLogs", [])):
            inner = f"{place}.scopeLogs[{index}]"
            if not isinstance(scope, dict) or not isinstance(scope.get("logRecords", []), list):
                raise InvalidPayload("expected an object with logRecords", place=inner)
            name = _objects(scope, "scope", inner).get("name")
            records = scope.get("logRecords", [])
            yield f"{inner}.logRecords", attributes, without_nul(name) if isinstance(name, str) else "", records


def _objects(parent: dict[str, Any], field: str, place: str) -> dict[str, Any]:
    try:
        return object_at(parent, field)
    except InvalidPayload as bad:
        raise InvalidPayload(bad.reason, place=f"{place}.{field}") from None


def _matters(record: Any) -> bool:
    number = record.get("severityNumber", 0) if isinstance(record, dict) else _ERROR
    return not isinstance(number, int) or number >= _ERROR


def _alert(record: dict[str, Any], resource: dict[str, str], scope: str, at_ms: int) -> Alert:
    number = record.get("severityNumber")
    if not isinstance(number, int) or not _ERROR <= number <= 24:
        raise InvalidPayload("expected a number from 1 to 24", place="severityNumber")
    attributes = _attributes(record, "")
    name = text_at(record, "eventName") or attributes.get("event.name") or attributes.get("exception.type") or scope
    labels = {label: resource.get(key, "") for key, label in _RESOURCE_LABELS.items()}
    labels |= {"alertname": name or "LogError", "severity": "critical" if number >= _FATAL else "major"}
    annotations = {"summary": _scalar(record.get("body")), "trace_id": text_at(record, "traceId")}
    annotations |= {key: value for key, value in attributes.items() if key.startswith("exception.")}
    return alert_of(labels, annotations, ("firing", _ms(record), None), at_ms)


def _ms(record: dict[str, Any]) -> int | None:
    text = text_at(record, "timeUnixNano") or text_at(record, "observedTimeUnixNano")
    if text in ("", "0"):
        return None
    if not text.isdecimal() or not text.isascii() or len(text) > 19:
        raise InvalidPayload("expected nanoseconds since the epoch", place="timeUnixNano")
    return int(text) // 1_000_000


def _attributes(parent: dict[str, Any], place: str) -> dict[str, str]:
    pairs = parent.get("attributes") or []
    if not isinstance(pairs, list) or not all(isinstance(p, dict) and isinstance(p.get("key"), str) for p in pairs):
        raise InvalidPayload("expected a list of key and value", place=f"{place}.attributes".lstrip("."))
    return {without_nul(pair["key"]): _scalar(pair.get("value")) for pair in pairs}


def _scalar(value: Any) -> str:
    """The text of a scalar AnyValue; empty for lists and maps."""
    if not isinstance(value, dict):
        return ""
    return next((text_at(value, kind) for kind in _SCALARS if not isinstance(value.get(kind), dict | list | None)), "")
