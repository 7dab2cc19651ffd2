"""When a maintenance window is open: once, or at the occurrences of a recurrence rule in a named time zone.

A beginning that a change of the clocks leaves out is taken an hour later, one that comes twice the first time; the
length is counted in real time. Pure: the moment is an argument.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from schemas.denoise import Calendar, Maintenance
from schemas.matchers import Matchers
from schemas.recurrence import occurrences

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_DAY = timedelta(days=1)


class Opening(msgspec.Struct, frozen=True):
    """One time for which a window is open (UTC milliseconds, the end excluded)."""

    starts_ms: int
    ends_ms: int


class Window(msgspec.Struct, frozen=True):
    """A maintenance window, its matchers read."""

    rule: Maintenance
    matchers: Matchers
    timezone: str
    calendar: Calendar

    def next_opening(self, at_ms: int) -> Opening | None:
        """The time for which it is open at `at_ms`, else the next one; None when there is none any more.

        Openings that touch or overlap are one.
        """
        found: Opening | None = None
        for one in self._openings(at_ms):
            if one.ends_ms <= at_ms:
                continue
            if found is None:
                found = one
            elif one.starts_ms <= found.ends_ms and found.ends_ms - at_ms < _LONGEST_JOINED_MS:
                found = Opening(found.starts_ms, max(found.ends_ms, one.ends_ms))
            else:
                break
        return found

    def _openings(self, at_ms: int) -> Iterator[Opening]:
        zone = ZoneInfo(self.timezone)
        rule, length_ms = self.rule, 1000 * self.rule.duration_s
        first = rule.starts.astimezone(zone) if rule.starts.tzinfo else rule.starts
        local = first.replace(tzinfo=None)
        if rule.rrule:
            earliest = _moment(at_ms - length_ms, zone).replace(tzinfo=None) - _DAY
            beginnings = occurrences(rule.rrule, local, max(local, earliest))
        else:
            beginnings = iter((local,))
        for beginning in beginnings:
            if rule.days != "all" and self.calendar.is_business(beginning.date()) != (rule.days == "business"):
                continue
            starts_ms = (beginning.replace(tzinfo=zone).astimezone(UTC) - _EPOCH) // _MILLISECOND
            yield Opening(starts_ms, starts_ms + length_ms)


_LONGEST_JOINED_MS = 62 * 86_400_000
"""A window that is open without end is looked at again after so long."""


def _moment(at_ms: int, zone: ZoneInfo) -> datetime:
    return (_EPOCH + at_ms * _MILLISECOND).astimezone(zone)
