"""Maintenance windows over recurrences, changes of the clocks and calendars: tables made by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from detectors.windows import Window
from schemas.denoise import Calendar, Maintenance

CALENDAR = Calendar(holidays=(date(2026, 10, 1),), workdays=(date(2026, 10, 10),))


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def _window(zone: str, starts: str, minutes: int, rrule: str = "", days: str = "all") -> Window:
    rule = Maintenance.model_validate(
        {"name": "w", "matchers": ("a=b",), "starts": starts, "duration_s": 60 * minutes, "rrule": rrule, "days": days}
    )
    return Window(rule, (), zone, CALENDAR)


YEARS = "2026-03-01T02:30"
TABLE = [
    # zone, starts, minutes, rrule, days, asked at (UTC), opens, closes
    ("UTC", "2026-01-05T12:00", 60, "", "all", "2026-01-01T00:00", "2026-01-05T12:00", "2026-01-05T13:00"),
    ("UTC", "2026-01-05T12:00", 60, "", "all", "2026-01-05T12:59", "2026-01-05T12:00", "2026-01-05T13:00"),
    ("UTC", "2026-01-05T12:00", 60, "", "all", "2026-01-05T13:00", None, None),
    ("UTC", "2026-01-05T12:00+08:00", 60, "", "all", "2026-01-01T00:00", "2026-01-05T04:00", "2026-01-05T05:00"),
    ("Asia/Shanghai", YEARS, 60, "FREQ=DAILY", "all", "2026-03-01T00:00", "2026-03-01T18:30", "2026-03-01T19:30"),
    # Berlin leaves out 02:30 on March 29 and has it twice on October 25.
    ("Europe/Berlin", YEARS, 60, "FREQ=DAILY", "all", "2026-03-29T00:00", "2026-03-29T01:30", "2026-03-29T02:30"),
    ("Europe/Berlin", YEARS, 60, "FREQ=DAILY", "all", "2026-10-25T00:00", "2026-10-25T00:30", "2026-10-25T01:30"),
    ("Europe/Berlin", YEARS, 60, "FREQ=DAILY", "all", "2026-10-26T00:00", "2026-10-26T01:30", "2026-10-26T02:30"),
    # Openings that touch are one.
    ("UTC", "2026-01-05T00:00", 720, "FREQ=DAILY;BYHOUR=0,12;UNTIL=20260106T235959Z", "all", "2026-01-05T01:00",
     "2026-01-05T00:00", "2026-01-07T00:00"),
    ("UTC", "2026-01-31T10:00", 60, "FREQ=MONTHLY;BYMONTHDAY=-1", "all", "2026-02-01T00:00",
     "2026-02-28T10:00", "2026-02-28T11:00"),
    # A holiday on a Thursday is a day of rest; a Saturday in its place is worked on.
    ("UTC", "2026-09-28T10:00", 60, "FREQ=DAILY", "rest", "2026-09-28T00:00", "2026-10-01T10:00", "2026-10-01T11:00"),
    ("UTC", "2026-09-28T10:00", 60, "FREQ=DAILY", "business", "2026-10-09T12:00",
     "2026-10-10T10:00", "2026-10-10T11:00"),
    ("UTC", "2020-02-29T10:00", 60, "FREQ=YEARLY", "all", "2026-10-09T12:00", "2028-02-29T10:00", "2028-02-29T11:00"),
    ("UTC", "2026-01-05T12:00", 60, "FREQ=DAILY;COUNT=2", "all", "2026-01-06T13:00", None, None),
]  # fmt: skip


@pytest.mark.parametrize("row", TABLE)
def test_the_next_opening(row: tuple[str, str, int, str, str, str, str | None, str | None]) -> None:
    """The time for which it is open, else the next one, else none."""
    zone, starts, minutes, rrule, days, at, opens, closes = row
    found = _window(zone, starts, minutes, rrule, days).next_opening(_ms(at))
    wanted = (_ms(opens), _ms(closes)) if opens and closes else None
    assert (found and (found.starts_ms, found.ends_ms)) == wanted
