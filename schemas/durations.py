"""Spans of time as Prometheus and Alertmanager write them: ``30s``, ``1h30m``, ``500ms``; in the model milliseconds."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import BeforeValidator, PlainSerializer

_UNITS: Final = {
    "y": 31_536_000_000,
    "w": 604_800_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1000,
    "ms": 1,
}
_SHAPE = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")
_GO = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_GO_MS: Final = {
    "h": 3_600_000.0,
    "m": 60_000.0,
    "s": 1000.0,
    "ms": 1.0,
    "us": 1e-3,
    "µs": 1e-3,
    "μs": 1e-3,
    "ns": 1e-6,
}
LONGEST_MS: Final = 100 * _UNITS["y"]


def duration_ms(text: str) -> int:
    """The milliseconds of a span, in Prometheus's units, each at most once and in falling order. Raises ValueError.

    Source: `prometheus/common`, `model.ParseDuration`.

    >>> duration_ms("1h30m"), duration_ms("0"), duration_ms("250ms")
    (5400000, 0, 250)
    """
    found = _SHAPE.fullmatch(text) if text else None
    if text == "0":
        return 0
    if found is None:
        raise ValueError(f"expected a duration such as 30s, 5m or 1h30m, got {text!r}")
    total = sum(int(part) * unit for part, unit in zip(found.groups(), _UNITS.values(), strict=True) if part)
    if total > LONGEST_MS:
        raise ValueError(f"expected a duration of at most 100y, got {text!r}")
    return total


def duration_text(span_ms: int) -> str:
    """The shortest text that `duration_ms` reads as the same span, without years and weeks.

    >>> duration_text(5_400_000), duration_text(0), duration_text(4900)
    ('1h30m', '0s', '4s900ms')
    """
    parts, left = [], span_ms
    for unit in ("d", "h", "m", "s", "ms"):
        count, left = divmod(left, _UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def go_duration_ms(text: str) -> int:
    """The milliseconds of a span as Go's `time.ParseDuration` reads it (fractions allowed). Raises ValueError.

    >>> go_duration_ms("1.5s"), go_duration_ms("500ms"), go_duration_ms("1m30s")
    (1500, 500, 90000)
    """
    if text == "0":
        return 0
    pieces = _GO.findall(text)
    if not pieces or "".join(number + unit for number, unit in pieces) != text:
        raise ValueError(f"expected a duration such as 500ms or 10s, got {text!r}")
    return round(sum(float(number) * _GO_MS[unit] for number, unit in pieces))


def _read(given: object) -> object:
    if isinstance(given, str):
        return duration_ms(given)
    if isinstance(given, int) and not isinstance(given, bool) and given == 0:
        return 0
    raise ValueError("expected a duration such as 30s, 5m or 1h30m")


Duration = Annotated[int, BeforeValidator(_read), PlainSerializer(duration_text, return_type=str)]
"""A span in milliseconds, written as a text with units."""
