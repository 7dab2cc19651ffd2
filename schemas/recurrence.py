"""Recurrence rules (RFC 5545, section 3.3.10): which are read, and their occurrences. Pure: no clock is asked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from dateutil.rrule import rrule, rrulestr

FREQUENCIES: Final = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_PARTS: Final = {
    "FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "BYMONTH", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYSETPOS",
    "BYHOUR", "WKST",
}  # fmt: skip
_UNTIL = re.compile(r"UNTIL=(\d{8})(T\d{6})?Z?")
HORIZON: Final = timedelta(days=9 * 366)
"""The rarest rule that is met, February 29 over a century, comes back within eight years."""


def check_recurrence(text: str, starts: datetime) -> None:
    """Raise ValueError where a rule is none, is too fine, or never happens."""
    parts = dict(part.partition("=")[::2] for part in text.upper().removeprefix("RRULE:").split(";"))
    if unknown := [name for name in parts if name not in _PARTS]:
        raise ValueError(f"{unknown[0]} is not read here, expected some of {', '.join(sorted(_PARTS))}")
    if parts.get("FREQ") not in FREQUENCIES:
        raise ValueError(f"expected FREQ to be one of {', '.join(FREQUENCIES)}, got {parts.get('FREQ', 'none')!r}")
    if not parts.get("INTERVAL", "1").isdecimal() or int(parts.get("INTERVAL", "1")) < 1:
        raise ValueError(f"expected INTERVAL to be at least 1, got {parts['INTERVAL']!r}")
    if starts.year < 1971 or starts.year > 2200:
        raise ValueError(f"expected a first beginning between 1971 and 2200, got {starts.isoformat()}")
    if next(occurrences(text, starts.replace(tzinfo=None), starts.replace(tzinfo=None)), None) is None:
        raise ValueError("it never happens")


def occurrences(text: str, starts: datetime, after: datetime) -> Iterator[datetime]:
    """The occurrences from `after` on (it included), in order, all in one local time without offset."""
    body = _UNTIL.sub(r"UNTIL=\1\2", text.upper().removeprefix("RRULE:"))
    try:
        rule = rrulestr(body, dtstart=_nearer(body, starts, after))
    except (ValueError, KeyError, TypeError) as wrong:
        raise ValueError(f"bad recurrence rule: {wrong}") from None
    assert isinstance(rule, rrule)  # a set of rules needs several lines
    last = after + HORIZON
    for moment in rule:
        if moment >= after:
            yield moment
        if moment > last:
            return


def _nearer(body: str, starts: datetime, after: datetime) -> datetime:
    """A later first beginning with the same occurrences, so that not all of the past is walked through."""
    if "COUNT=" in body or "INTERVAL=" in body or not ("FREQ=DAILY" in body or "FREQ=WEEKLY" in body):
        return starts
    weeks = (after - starts).days // 7 - 60
    return starts + timedelta(weeks=weeks) if weeks > 0 else starts
