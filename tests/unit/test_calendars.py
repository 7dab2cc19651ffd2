"""Working time (R10.1, R11, R12): days, hours, zones, and how they are counted."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import chinese_calendar
import holidays
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.calendars import (
    OFFICE_HOURS,
    ROUND_THE_CLOCK,
    WorkingTime,
    add_working,
    add_working_days,
    chinese_working_days,
    working_between,
    working_days_between,
)

HOUR = 3_600_000
MIDNIGHT_SHIFTS = WorkingTime(timezone="America/New_York", hours=("00:30-03:30", "22:00-24:00"))
CHINA = WorkingTime(weekdays=(1, 2, 3, 4, 5), hours=("09:00-12:00", "13:30-17:30"), china=True)
CALENDARS = st.sampled_from([ROUND_THE_CLOCK, OFFICE_HOURS, CHINA, MIDNIGHT_SHIFTS])
MOMENTS = st.integers(1_704_067_200_000, 1_798_761_600_000)  # 2024 to 2026
SPANS = st.integers(0, 40 * 24 * HOUR)


def at(text: str, zone: str = "Asia/Shanghai") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * 1000


def test_chinese_days_agree_with_two_libraries() -> None:
    """2024 to 2026, each day: two libraries made by others say the same as the frozen days."""
    calendar, other, day = chinese_working_days(), holidays.China(years=(2024, 2025, 2026)), date(2024, 1, 1)
    while day.year < 2027:
        works = calendar.is_working_day(day)
        assert works == chinese_calendar.is_workday(day) == other.is_working_day(day), day
        day += timedelta(days=1)


def test_what_is_not_announced_is_provisional() -> None:
    """2027 has its statutory days, and says that they may change."""
    calendar = chinese_working_days()
    assert [calendar.is_provisional(date(year, 5, 1)) for year in (2025, 2026, 2027)] == [False, False, True]
    statutory = sorted(day for day in holidays.China(years=2027) if day.weekday() < 5 and day.year == 2027)
    assert [day for day in calendar.holidays if day.year == 2027] == statutory
    assert not ROUND_THE_CLOCK.is_provisional(date(2027, 5, 1))


def test_a_journalled_calendar_keeps_its_days() -> None:
    """What was read once is read again as it was written, though the release should know other days by then."""
    written = chinese_working_days().model_copy(update={"holidays": (date(2026, 3, 3),), "workdays": ()})
    again = WorkingTime.model_validate_json(written.model_dump_json())
    assert again == written
    assert not again.is_working_day(date(2026, 3, 3))
    assert again.is_working_day(date(2026, 10, 1))


def test_own_days_come_on_top_of_chinas() -> None:
    """A company's own day of rest joins the public ones, and a working day of its own wins over them."""
    given = {"china": True, "weekdays": [1, 2, 3, 4, 5], "holidays": ["2026-03-03"], "workdays": ["2026-10-01"]}
    calendar = WorkingTime.model_validate(given)
    days = (date(2026, 3, 3), date(2026, 10, 1), date(2026, 10, 2))
    assert [calendar.is_working_day(day) for day in days] == [False, True, False]


@pytest.mark.parametrize(
    ("day", "days", "due"),
    [
        ("2026-06-30", 15, "2026-07-21"),  # three weeks without a holiday
        ("2026-09-30", 1, "2026-10-08"),  # National Day is over on the 8th
        ("2026-10-08", 2, "2026-10-10"),  # a Saturday that is worked on
        ("2026-10-09", 2, "2026-10-12"),
        ("2025-12-31", 15, "2026-01-22"),  # 1 and 2 January off, Sunday the 4th worked on
        ("2026-10-03", 0, "2026-10-08"),  # a Saturday of rest: the next one that is worked on
        ("2026-10-10", 0, "2026-10-10"),
    ],
)
def test_due_dates_in_working_days(day: str, days: int, due: str) -> None:
    """Due dates counted by hand on the State Council's calendar."""
    first, last, calendar = date.fromisoformat(day), date.fromisoformat(due), chinese_working_days()
    assert add_working_days(calendar, first, days) == last
    assert days == 0 or working_days_between(calendar, first, last) == days


@pytest.mark.parametrize(
    ("calendar", "begins", "hours", "due"),
    [
        (ROUND_THE_CLOCK, "2026-10-01T23:30", 2, "2026-10-02T01:30"),
        (OFFICE_HOURS, "2026-11-20T16:00", 2, "2026-11-23T10:00"),  # Friday to Monday
        (OFFICE_HOURS, "2026-11-23T11:30", 1, "2026-11-23T13:30"),  # over lunch
        (OFFICE_HOURS, "2026-11-21T03:00", 7, "2026-11-23T17:00"),  # a whole day of 5×7
        (CHINA, "2026-09-30T17:00", 1, "2026-10-08T09:30"),
        (CHINA, "2026-10-09T17:30", 1, "2026-10-10T10:00"),  # Saturday, worked on
    ],
)
def test_due_times_in_working_hours(calendar: WorkingTime, begins: str, hours: int, due: str) -> None:
    """Due times counted by hand."""
    assert add_working(calendar, at(begins), hours * HOUR) == at(due)


def test_summer_time_counts_real_hours() -> None:
    """The night in which New York loses an hour (2026-03-08, at two) has two working hours from 00:30 to 03:30."""
    midnight = at("2026-03-08T00:00", "America/New_York")
    assert working_between(MIDNIGHT_SHIFTS, midnight, midnight + 6 * HOUR) == 2 * HOUR


@given(CALENDARS, MOMENTS, SPANS, SPANS)
def test_a_period_split_in_two_has_the_same_sum(calendar: WorkingTime, begins: int, first: int, second: int) -> None:
    """Splitting a period changes no sum."""
    middle, ends = begins + first, begins + first + second
    parts = working_between(calendar, begins, middle) + working_between(calendar, middle, ends)
    assert parts == working_between(calendar, begins, ends)


@given(CALENDARS, MOMENTS, SPANS.map(lambda span: span // 10))
def test_adding_is_measuring_backwards(calendar: WorkingTime, begins: int, span: int) -> None:
    """As much working time as was added lies between the two moments, and not a millisecond of work earlier."""
    due = add_working(calendar, begins, span)
    assert working_between(calendar, begins, due) == span
    assert due == begins or working_between(calendar, begins, due - 1) == span - 1


@given(CALENDARS, MOMENTS, SPANS)
def test_work_is_never_longer_than_time(calendar: WorkingTime, begins: int, span: int) -> None:
    """Working time is between nothing and the time that passed; round the clock it is all of it."""
    worked = working_between(calendar, begins, begins + span)
    assert 0 <= worked <= span
    assert working_between(ROUND_THE_CLOCK, begins, begins + span) == span
    assert working_between(calendar, begins + span, begins) == 0


def test_bad_calendars_are_refused() -> None:
    """Overlapping hours, hours that run backwards, unknown zones and weeks without work are refused."""
    for wrong in (
        {"hours": ["09:00-12:00", "11:00-13:00"]},
        {"hours": ["12:00-09:00"]},
        {"hours": ["9-12"]},
        {"timezone": "Asia/Nowhere"},
        {"weekdays": []},
        {"weekdays": [0]},
        {"china": True, "holidays": ["soon"]},
    ):
        with pytest.raises(ValidationError):
            WorkingTime.model_validate(wrong)


def test_negative_and_endless_spans_are_refused() -> None:
    """Time is counted forwards, and a calendar on which nobody works for over a year ends in an error."""
    day = date(2026, 1, 1)
    idle = WorkingTime(weekdays=(1,), holidays=tuple(day + timedelta(days=on) for on in range(900)))
    begins = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * 1000
    for impossible in (
        lambda: add_working(OFFICE_HOURS, begins, -1),
        lambda: add_working(idle, begins, HOUR),
        lambda: add_working_days(idle, day, 1),
        lambda: add_working_days(OFFICE_HOURS, day, -1),
    ):
        with pytest.raises(ValueError, match="working"):
            impossible()
