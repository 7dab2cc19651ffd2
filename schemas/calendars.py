"""Working time: which days are worked on, in which hours, in which zone; and how it is counted.

A calendar carries its own days. China's are filled in from `schemas.china_days` when the configuration is read, so that
the journalled rules keep what was known then, whatever later releases know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from schemas.china_days import PUBLISHED, holidays_of, workdays_of
from schemas.sections import Section

DAY_MS = 86_400_000
LONGEST_REST_DAYS = 400
"""A calendar without working time for so many days in a row is a mistake, not a rest."""
_SPAN = re.compile(r"(?P<from>([01]\d|2[0-3]):[0-5]\d)-(?P<to>([01]\d|2[0-3]):[0-5]\d|24:00)")

Weekday = Annotated[int, Field(ge=1, le=7)]
"""As ISO 8601 counts: Monday is 1."""


class WorkingTime(Section):
    """When people work. Without any key: at all times (24×7)."""

    timezone: str = "Asia/Shanghai"
    weekdays: Annotated[tuple[Weekday, ...], Field(max_length=7)] = (1, 2, 3, 4, 5, 6, 7)
    """ISO weekdays that are worked on, Monday is 1."""
    hours: Annotated[tuple[str, ...], Field(min_length=1, max_length=12)] = ("00:00-24:00",)
    """Times of a working day, such as ``09:00-12:00``, in order and apart."""
    china: bool = False
    """Holidays and working Saturdays and Sundays (调休) of mainland China, for the years that this release knows."""
    holidays: tuple[date, ...] = ()
    """Days of rest, whatever their weekday."""
    workdays: tuple[date, ...] = ()
    """Days that are worked on, whatever their weekday; they win over `holidays`."""
    published: tuple[int, ...] = ()
    """The years whose Chinese days were announced when this was read; in others they are provisional."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in_china(cls, given: Any) -> Any:
        """Days that stand there already are left alone: journalled rules are read as they were written."""
        if not isinstance(given, dict) or not given.get("china") or given.get("published"):
            return given
        holidays = {*holidays_of(), *(_a_date(day) for day in given.get("holidays", ()))}
        workdays = {*workdays_of(), *(_a_date(day) for day in given.get("workdays", ()))}
        filled = {"holidays": tuple(sorted(holidays, key=str)), "workdays": tuple(sorted(workdays, key=str))}
        return {**given, **filled, "published": PUBLISHED}

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as unknown:
            raise ValueError(f"no time zone named {name!r}") from unknown
        return name

    @field_validator("hours")
    @classmethod
    def _in_order_and_apart(cls, hours: tuple[str, ...]) -> tuple[str, ...]:
        before = "00:00"
        for one in hours:
            span = _SPAN.fullmatch(one)
            if span is None or span["from"] >= span["to"]:
                raise ValueError(f"{one!r} is no span of a day, expected one such as 09:00-12:00")
            if span["from"] < before:
                raise ValueError(f"{one!r} begins before the one that stands in front of it has ended")
            before = span["to"]
        return hours

    @model_validator(mode="after")
    def _somebody_works(self) -> Self:
        if not self.weekdays:
            raise ValueError("weekdays: at least one day is worked on")
        return self

    def is_working_day(self, day: date) -> bool:
        """Whether `day` is worked on."""
        holidays, workdays = _days_of(self.holidays, self.workdays)
        return day in workdays or (day.isoweekday() in self.weekdays and day not in holidays)

    def is_provisional(self, day: date) -> bool:
        """Whether the Chinese days of that year had not been announced when this calendar was read."""
        return self.china and day.year not in self.published


ROUND_THE_CLOCK = WorkingTime()
"""24×7."""
OFFICE_HOURS = WorkingTime(weekdays=(1, 2, 3, 4, 5), hours=("09:00-12:00", "13:00-17:00"))
"""5×7: five days of seven hours (R10.1)."""


def chinese_working_days() -> WorkingTime:
    """Whole working days of mainland China, as this release knows them: for due dates that are counted in days."""
    return WorkingTime(weekdays=(1, 2, 3, 4, 5), china=True)


def add_working_days(calendar: WorkingTime, day: date, days: int) -> date:
    """The `days`-th working day after `day`; with 0, `day` itself if it is one, else the next.

    Raises ValueError for negative `days`, and where the calendar has no working day for more than a year.

    >>> add_working_days(chinese_working_days(), date(2026, 9, 30), 1)
    datetime.date(2026, 10, 8)
    """
    if days < 0:
        raise ValueError("working days are counted forwards")
    left, rest = days, 0
    while True:
        if calendar.is_working_day(day) and left == 0:
            return day
        if rest > LONGEST_REST_DAYS:
            raise ValueError(f"no working day in the {LONGEST_REST_DAYS} days before {day}")
        day += timedelta(days=1)
        works = calendar.is_working_day(day)
        left, rest = left - (works and left > 0), 0 if works else rest + 1


def working_days_between(calendar: WorkingTime, after: date, until: date) -> int:
    """The working days after `after`, up to and with `until`; 0 where `until` is not later."""
    return sum(calendar.is_working_day(after + timedelta(days=day)) for day in range(1, (until - after).days + 1))


def working_between(calendar: WorkingTime, from_ms: int, until_ms: int) -> int:
    """Working milliseconds from `from_ms` to before `until_ms` (UTC); 0 where that is not later."""
    return sum(
        max(0, min(ends, until_ms) - max(begins, from_ms)) for begins, ends in _spans(calendar, from_ms, until_ms)
    )


def add_working(calendar: WorkingTime, at_ms: int, span_ms: int) -> int:
    """The first moment (UTC ms) at which `span_ms` of working time have passed since `at_ms`.

    With 0, it is `at_ms` itself. Raises ValueError for a negative span, and where no work is done for over a year.
    """
    if span_ms < 0:
        raise ValueError("a span of working time is not negative")
    if span_ms == 0:
        return at_ms
    left, worked_ms = span_ms, at_ms
    for begins, ends in _spans(calendar, at_ms, None):
        if begins - worked_ms > LONGEST_REST_DAYS * DAY_MS:
            break
        begins = max(begins, at_ms)
        if ends - begins >= left:
            return begins + left
        left, worked_ms = left - max(0, ends - begins), ends
    raise ValueError(f"no working time in {LONGEST_REST_DAYS} days")


def _spans(calendar: WorkingTime, from_ms: int, until_ms: int | None) -> Iterator[tuple[int, int]]:
    """The working spans that may touch the time from `from_ms` to `until_ms`, in order."""
    zone = ZoneInfo(calendar.timezone)
    day = datetime.fromtimestamp(from_ms / 1000, zone).date() - timedelta(days=1)
    worked = day
    while until_ms is None or _moment(day, "00:00", zone) < until_ms:
        if calendar.is_working_day(day):
            worked = day
            for one in calendar.hours:
                begins, _, ends = one.partition("-")
                yield _moment(day, begins, zone), _moment(day, ends, zone)
        elif until_ms is None and (day - worked).days > LONGEST_REST_DAYS:
            return
        day += timedelta(days=1)


def _moment(day: date, clock: str, zone: ZoneInfo) -> int:
    if clock == "24:00":
        day, clock = day + timedelta(days=1), "00:00"
    local = datetime.combine(day, time.fromisoformat(clock), zone)
    return int(local.astimezone(UTC).timestamp()) * 1000


@lru_cache(maxsize=256)
def _days_of(holidays: tuple[date, ...], workdays: tuple[date, ...]) -> tuple[frozenset[date], frozenset[date]]:
    return frozenset(holidays), frozenset(workdays)


def _a_date(day: object) -> object:
    """A date that a YAML or JSON document gave as text; anything else is left for the model to judge."""
    if not isinstance(day, str):
        return day
    try:
        return date.fromisoformat(day)
    except ValueError:
        return day
