"""Alerts from decoded JSON, for formats that are not hot: fields by name, labels from whatever scalars there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from schemas.alerts import Alert, Rejected
from schemas.errors import InvalidPayload
from sources.items import body_of, rejected, stated_span
from sources.label_sets import annotation_bytes, label_bytes, without_nul

_LATEST_S: Final = 253_402_300_800
"""The year 10000: later moments are mistaken units, not times."""

_anything: Final[msgspec.json.Decoder[Any]] = msgspec.json.Decoder(Any)


def decoded(body: bytes) -> Any:
    """The body as plain Python; raises InvalidPayload when it is not JSON."""
    return body_of(_anything, body)


def objects_of(body: bytes) -> tuple[list[Any], str]:
    """The items of an array, or the one object, and the place of the first item's parent."""
    whole = decoded(body)
    if isinstance(whole, list):
        return whole, "$[{}]"
    if not isinstance(whole, dict):
        raise InvalidPayload("expected an object or an array of objects", place="$")
    return [whole], "$"


def each_object(items: list[Any], place: str, judge: Callable[[dict[str, Any]], Alert]) -> list[Alert | Rejected]:
    """One answer per item, in order; `place` has ``{}`` where the index stands."""
    answers: list[Alert | Rejected] = []
    for index, item in enumerate(items):
        try:
            if not isinstance(item, dict):
                raise InvalidPayload("expected an object", place="")
            answers.append(judge(item))
        except InvalidPayload as bad:
            answers.append(rejected(place.format(index), bad))
    return answers


def text_at(item: Mapping[str, Any], field: str) -> str:
    """A scalar as text, empty when absent or null; raises InvalidPayload at `field` for anything else."""
    value = item.get(field)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return without_nul(value)
    if isinstance(value, int | float):
        return f"{value}"
    raise InvalidPayload("expected a string, a number, true or false", place=field)


def object_at(item: Mapping[str, Any], field: str) -> dict[str, Any]:
    """An object, empty when absent or null; raises InvalidPayload at `field`."""
    value = item.get(field)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidPayload("expected an object", place=field)
    return value


def texts_at(item: Mapping[str, Any], field: str) -> dict[str, str]:
    """The scalars of an object as texts; what is nested in it is left out."""
    found = object_at(item, field)
    return {without_nul(key): text_at(found, key) for key, value in found.items() if not isinstance(value, dict | list)}


def ms_of_seconds(item: Mapping[str, Any], field: str) -> int | None:
    """A moment given in Unix seconds, in ms; None when absent or 0; raises InvalidPayload at `field`."""
    value = item.get(field)
    if value is None or value == 0:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < _LATEST_S:
        raise InvalidPayload("expected Unix seconds", place=field)
    return int(value * 1000)


def alert_of(
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
    span: tuple[str | None, int | None, int | None],
    at_ms: int,
    url: str = "",
) -> Alert:
    """An alert from texts and its stated status, start and end; empty annotations are left out."""
    status, starts_ms, ends_ms = stated_span(*span, at_ms)
    present = {name: text for name, text in annotations.items() if text}
    return Alert(label_bytes(dict(labels)), status, starts_ms, ends_ms, annotation_bytes(present), url)
