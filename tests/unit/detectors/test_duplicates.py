"""Which reports of an alert are news."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.duplicates import verdict
from schemas.alerts import Alert

T = 1_767_585_600_000


class Known(msgspec.Struct):
    """An alert as it is remembered."""

    firing: bool
    starts_ms: int
    resolved_ms: int = 0


def reported(status: str, starts_ms: int, ends_ms: int | None = None) -> Alert:
    """A report."""
    return Alert.of({"alertname": "A"}, "firing" if status == "firing" else "resolved", starts_ms, ends_ms=ends_ms)


@pytest.mark.parametrize(
    ("known", "report", "expected"),
    [
        (None, reported("firing", T), "news"),
        (None, reported("resolved", T, T), "news"),
        (Known(True, T), reported("firing", T), "repeat"),
        (Known(True, T), reported("firing", T + 5), "repeat"),
        (Known(False, T, T + 9), reported("resolved", T, T + 9), "repeat"),
        (Known(True, T), reported("resolved", T, T + 9), "news"),
        (Known(True, T), reported("resolved", T - 99, T - 9), "earlier_end"),
        (Known(True, T), reported("resolved", T), "news"),
        (Known(False, T, T + 60_000), reported("firing", T), "overtaken"),
        (Known(False, T, T + 60_000), reported("firing", T + 65_000), "news"),
        (Known(False, T, T + 30_000), reported("firing", T), "news"),
    ],
)
def test_each_report_is_told_apart(known: Known | None, report: Alert, expected: str) -> None:
    """Received one minute and ten seconds after T, with a window of thirty seconds."""
    assert verdict(known, report, T + 70_000, reorder_window_s=30) == expected


@given(st.booleans(), st.integers(0, 100), st.integers(0, 100), st.sampled_from(["firing", "resolved"]))
def test_what_is_said_twice_is_a_repeat(firing: bool, starts: int, resolved: int, status: str) -> None:
    """Whatever was known, the same report at once after it was taken as news is a repeat."""
    known, report = Known(firing, starts, resolved), reported(status, starts + 1, starts + 2)
    if verdict(known, report, 200_000, reorder_window_s=30) == "news":
        after = Known(status == "firing", report.starts_ms, 200_000)
        assert verdict(after, report, 200_000, reorder_window_s=30) == "repeat"
