"""Does a moment lie within a recurring time? Pure; the rules of Alertmanager's `timeinterval`."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from schemas.time_intervals import (
    Span,
    TimeInterval,
    TimeRange,
    day_span,
    minutes,
    month_span,
    weekday_span,
    year_span,
)


def contains(interval: TimeInterval, at_ms: int) -> bool:
    """Whether `at_ms` (UTC milliseconds) lies within.

    >>> contains(TimeInterval(weekdays=("monday:friday",)), 0)  # 1970-01-01 was a Thursday
    True
    """
    zone = ZoneInfo(interval.location) if interval.location else UTC
    at = datetime.fromtimestamp(at_ms / 1000, zone)
    return (
        _in_times(interval.times, at.hour * 60 + at.minute)
        and _in_days(interval.days_of_month, at)
        and _within(interval.months, month_span, at.month)
        and _within(interval.weekdays, weekday_span, at.isoweekday() % 7)
        and _within(interval.years, year_span, at.year)
    )


def _in_times(times: Iterable[TimeRange] | None, minute: int) -> bool:
    return times is None or any(minutes(one.start_time) <= minute < minutes(one.end_time) for one in times)


def _within(ranges: Iterable[str] | None, span: Callable[[str], Span], value: int) -> bool:
    if ranges is None:
        return True
    return any(begin <= value <= end for begin, end in map(span, ranges))


def _in_days(ranges: Iterable[str] | None, at: datetime) -> bool:
    if ranges is None:
        return True
    length = calendar.monthrange(at.year, at.month)[1]
    for begin, end in map(day_span, ranges):
        first = length + begin + 1 if begin < 0 else begin
        last = length + end + 1 if end < 0 else end
        if first <= length and first <= at.day <= min(last, length):
            return True
    return False
