"""Recurring times: whether a moment lies within, by Alertmanager's rules."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from pydantic import ValidationError

from detectors.time_intervals import contains
from schemas.time_intervals import TimeInterval

WORKDAY: dict[str, Any] = {
    "times": [{"start_time": "09:00", "end_time": "17:00"}], "weekdays": ["monday:friday"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("interval", "moment", "within"),
    [
        (WORKDAY, "2020-07-10T09:00:00+00:00", True),
        (WORKDAY, "2020-07-10T16:59:59+00:00", True),
        (WORKDAY, "2020-07-10T17:00:00+00:00", False),
        (WORKDAY, "2020-07-11T12:00:00+00:00", False),
        (WORKDAY | {"location": "Australia/Sydney"}, "2020-07-09T23:30:00+00:00", True),
        (WORKDAY | {"location": "Asia/Shanghai"}, "2020-07-10T09:30:00+00:00", False),
        ({"times": [{"start_time": "23:00", "end_time": "24:00"}]}, "2026-01-01T23:59:59+00:00", True),
        ({"weekdays": ["sunday"]}, "2026-01-04T00:00:00+00:00", True),
        ({"days_of_month": ["-1"]}, "2024-02-29T12:00:00+00:00", True),
        ({"days_of_month": ["-1"]}, "2024-02-28T12:00:00+00:00", False),
        ({"days_of_month": ["-3:-1"]}, "2023-02-26T12:00:00+00:00", True),
        ({"days_of_month": ["25:31"]}, "2023-02-28T12:00:00+00:00", True),
        ({"days_of_month": ["31"]}, "2023-04-30T12:00:00+00:00", False),
        ({"months": ["november:12"], "years": ["2025:2026"]}, "2025-12-31T23:59:00+00:00", True),
        ({"months": ["1"], "years": ["2025:2026"]}, "2027-01-01T00:00:00+00:00", False),
        ({"times": []}, "2026-01-01T00:00:00+00:00", False),
        ({}, "2026-01-01T00:00:00+00:00", True),
    ],
)
def test_a_moment_lies_within_or_not(interval: dict[str, Any], moment: str, within: bool) -> None:
    """Every given field has to be satisfied by one of its ranges; ends of times are not included, all others are."""
    at_ms = round(datetime.fromisoformat(moment).timestamp() * 1000)
    assert contains(TimeInterval.model_validate(interval), at_ms) is within


@pytest.mark.parametrize(
    ("interval", "reason"),
    [
        ({"times": [{"start_time": "9:00", "end_time": "17:00"}]}, "expected a time of day as HH:MM"),
        ({"times": [{"start_time": "17:00", "end_time": "09:00"}]}, "cannot be equal to or after the end"),
        ({"times": [{"start_time": "00:00", "end_time": "24:01"}]}, "expected a time of day as HH:MM"),
        ({"weekdays": ["friday:monday"]}, "start day cannot be after the end day"),
        ({"days_of_month": ["0"]}, "0 is not a valid day of the month"),
        ({"days_of_month": ["-2:5"]}, "end day must be negative"),
        ({"days_of_month": ["10:-25"]}, "always before start day"),
        ({"months": ["13"]}, "13 is not a valid month"),
        ({"months": ["may:march"]}, "end month march is before start month may"),
        ({"years": ["2026:2025"]}, "end year 2025 is before start year 2026"),
        ({"location": "Moon/Sea"}, "no time zone named 'Moon/Sea'"),
        ({"location": "Local"}, "would depend on the machine"),
    ],
)
def test_a_bad_range_is_refused(interval: dict[str, Any], reason: str) -> None:
    """When it is read, not when it is asked."""
    with pytest.raises(ValidationError, match=reason):
        TimeInterval.model_validate(interval)
