"""Recurring times as Alertmanager writes them: times of day, weekdays, days of the month, months, years, a location.

Source: Alertmanager `timeinterval/timeinterval.go`. Ranges stay texts in the model, checked; `detectors.time_intervals`
tells whether a moment lies within.
"""

from __future__ import annotations

import re
from typing import Annotated, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, model_validator

from schemas.sections import Section

WEEKDAYS: Final = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
MONTHS: Final = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
Span = tuple[int, int]
"""First and last, both included."""

_TIME = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d|24:00")
_SHORTEST_MONTH: Final = 28


def weekday_span(text: str) -> Span:
    """``monday:friday`` or ``sunday`` as numbers from 0 (Sunday). Raises ValueError.

    >>> weekday_span("monday:friday")
    (1, 5)
    """

    def number(word: str) -> int:
        if word not in WEEKDAYS:
            raise ValueError(f"{word} is not a valid weekday")
        return WEEKDAYS.index(word)

    begin, end = (number(word) for word in _ends(text))
    if begin > end:
        raise ValueError("the start day cannot be after the end day")
    return begin, end


def month_span(text: str) -> Span:
    """``january:3`` or ``12`` as numbers from 1. Raises ValueError.

    >>> month_span("january:3")
    (1, 3)
    """

    def number(word: str) -> int:
        found = MONTHS.index(word) + 1 if word in MONTHS else _whole(word, "month")
        if not 1 <= found <= 12:
            raise ValueError(f"{word} is not a valid month")
        return found

    begin, end = (number(word) for word in _ends(text))
    if begin > end:
        raise ValueError(f"end month {MONTHS[end - 1]} is before start month {MONTHS[begin - 1]}")
    return begin, end


def day_span(text: str) -> Span:
    """``1:5`` or ``-3:-1`` (from the end of the month) as numbers. Raises ValueError.

    >>> day_span("-3:-1")
    (-3, -1)
    """
    begin, end = (_whole(word, "day of the month") for word in _ends(text))
    for day in (begin, end):
        if day == 0 or not -31 <= day <= 31:
            raise ValueError(f"{day} is not a valid day of the month: out of range")
    if begin < 0 < end:
        raise ValueError("the end day must be negative if the start day is negative")
    first, last = (day + _SHORTEST_MONTH if day < 0 else day for day in (begin, end))
    if first > last:
        raise ValueError(f"end day {end} is always before start day {begin}")
    return begin, end


def year_span(text: str) -> Span:
    """``2026:2028`` as numbers. Raises ValueError."""
    begin, end = (_whole(word, "year") for word in _ends(text))
    if begin > end:
        raise ValueError(f"end year {end} is before start year {begin}")
    return begin, end


def minutes(text: str) -> int:
    """``HH:MM``, ``24:00`` at most, as minutes of the day. Raises ValueError.

    >>> minutes("09:30")
    570
    """
    if not _TIME.fullmatch(text):
        raise ValueError(f"expected a time of day as HH:MM, got {text!r}")
    return int(text[:2]) * 60 + int(text[3:])


def _ends(text: str) -> tuple[str, str]:
    words = text.lower().split(":")
    if len(words) > 2:
        raise ValueError(f"could not read the range {text}")
    return words[0], words[-1]


def _whole(word: str, what: str) -> int:
    if not re.fullmatch(r"[+-]?\d+", word):
        raise ValueError(f"{word} is not a valid {what}")
    return int(word)


def _as_text(given: object) -> object:
    return str(given) if isinstance(given, int) and not isinstance(given, bool) else given


def _weekdays(text: str) -> str:
    weekday_span(text)
    return text.lower()


def _days(text: str) -> str:
    day_span(text)
    return text


def _months(text: str) -> str:
    month_span(text)
    return text.lower()


def _years(text: str) -> str:
    year_span(text)
    return text


class TimeRange(Section):
    """From `start_time` until before `end_time` on the same day, as ``HH:MM``."""

    start_time: str
    """``09:30``, included."""
    end_time: str
    """``24:00`` at most, not included."""

    @model_validator(mode="after")
    def _in_order(self) -> TimeRange:
        if minutes(self.start_time) >= minutes(self.end_time):
            raise ValueError("the start time cannot be equal to or after the end time")
        return self


class TimeInterval(Section):
    """Moments that satisfy every given field; a field is satisfied by any one of its ranges. Without location: UTC."""

    times: tuple[TimeRange, ...] | None = None
    """Times of day."""
    weekdays: tuple[Annotated[str, AfterValidator(_weekdays)], ...] | None = None
    """``monday:friday``; the week begins on Sunday."""
    days_of_month: tuple[Annotated[str, BeforeValidator(_as_text), AfterValidator(_days)], ...] | None = None
    """``1:5``; negative days count from the end of the month."""
    months: tuple[Annotated[str, BeforeValidator(_as_text), AfterValidator(_months)], ...] | None = None
    """``january:march`` or ``1:3``."""
    years: tuple[Annotated[str, BeforeValidator(_as_text), AfterValidator(_years)], ...] | None = None
    """``2026:2028`` or ``2026``."""
    location: str | None = None
    """A time zone, ``Asia/Shanghai`` for example."""

    @model_validator(mode="after")
    def _known_location(self) -> TimeInterval:
        if self.location == "Local":
            raise ValueError("location: Local would depend on the machine; name the time zone")
        if self.location:
            try:
                ZoneInfo(self.location)
            except (ZoneInfoNotFoundError, ValueError) as unknown:
                raise ValueError(f"location: no time zone named {self.location!r}") from unknown
        return self
