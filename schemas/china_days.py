"""Mainland China's public holidays and the weekend days that are worked on for them (调休).

Source: the State Council's yearly notices on the arrangement of public holidays (国务院办公厅关于部分节假日安排的通知).
Only holidays on weekdays are listed. 2027 was not announced when this was written: its days are the statutory ones,
without 调休, and provisional.
"""

from __future__ import annotations

from datetime import date

PUBLISHED = (2024, 2025, 2026)
"""The years that were announced. Others are provisional."""

_HOLIDAYS = {
    2024: "01-01 02-12 02-13 02-14 02-15 02-16 04-04 04-05 05-01 05-02 05-03 06-10 09-16 09-17 10-01 10-02 10-03 10-04 "
    "10-07",
    2025: "01-01 01-28 01-29 01-30 01-31 02-03 02-04 04-04 05-01 05-02 05-05 06-02 10-01 10-02 10-03 10-06 10-07 10-08",
    2026: "01-01 01-02 02-16 02-17 02-18 02-19 02-20 02-23 04-06 05-01 05-04 05-05 06-19 09-25 10-01 10-02 10-05 10-06 "
    "10-07",
    2027: "01-01 02-05 02-08 02-09 02-10 04-05 05-03 05-04 06-09 09-15 10-01 10-04 10-05",
}
_WORKDAYS = {
    2024: "02-04 02-18 04-07 04-28 05-11 09-14 09-29 10-12",
    2025: "01-26 02-08 04-27 09-28 10-11",
    2026: "01-04 02-14 02-28 05-09 09-20 10-10",
}


def holidays_of() -> tuple[date, ...]:
    """Weekdays of rest, in order, of every year that is known."""
    return _dates(_HOLIDAYS)


def workdays_of() -> tuple[date, ...]:
    """Saturdays and Sundays that are worked on, in order."""
    return _dates(_WORKDAYS)


def _dates(years: dict[int, str]) -> tuple[date, ...]:
    return tuple(date.fromisoformat(f"{year}-{day}") for year, days in years.items() for day in days.split())
