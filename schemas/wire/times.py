"""Moments on the wire: RFC 3339 text to UTC milliseconds since the epoch."""

from __future__ import annotations

import functools
from datetime import UTC, datetime, timedelta

import msgspec

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_ZERO_MS = (datetime(1, 1, 1, tzinfo=UTC) - _EPOCH) // _MILLISECOND
"""Go's zero time, ``0001-01-01T00:00:00Z``: senders written in Go mean "not set" by it."""
_LONGEST = 64
"""Characters; the longest sensible form has 35. It bounds what the cache can hold."""


@functools.lru_cache(maxsize=65_536)
def moment_ms(text: str) -> int | None:
    """The moment in UTC milliseconds since the epoch, or None for Go's zero time, which means "not set".

    Raises ValueError for anything but an RFC 3339 date and time with its offset. Fractions below 1 ms are cut.

    >>> moment_ms("2026-01-02T03:04:05.678Z"), moment_ms("0001-01-01T00:00:00Z")
    (1767323045678, None)
    """
    if len(text) > _LONGEST:
        raise ValueError("expected an RFC 3339 time, got a much longer text")
    try:
        moment = msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        raise ValueError(f"expected an RFC 3339 time such as 2026-01-02T03:04:05Z, got {text!r}") from None
    if moment.tzinfo is None:
        raise ValueError(f"expected an RFC 3339 time with its offset (Z or +08:00), got {text!r}")
    at_ms = (moment - _EPOCH) // _MILLISECOND
    return at_ms if at_ms > _ZERO_MS else None
