"""Shifts as iCalendar (RFC 5545), for the calendars that people look at."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from icalendar import Calendar, Event

from schemas.oncall import OnCall
from schemas.roster import Shift


def calendar_of(schedule: str, shifts: Iterable[Shift], rules: OnCall, *, person: str = "", at_ms: int) -> bytes:
    """The shifts of a schedule, all or one person's, as one calendar; times in UTC, `at_ms` is when it was made."""
    calendar = Calendar()
    calendar.add("prodid", "-//Tocsin//on call//EN")
    calendar.add("version", "2.0")
    title = rules.schedules[schedule].name or schedule
    calendar.add("x-wr-calname", title)
    for one in shifts:
        if not one.duty.person or person not in ("", one.duty.person):
            continue
        event = Event()
        event.add("uid", f"{schedule}-{one.starts_ms}-{one.duty.person}@tocsin")
        event.add("dtstamp", _at(at_ms))
        event.add("dtstart", _at(one.starts_ms))
        event.add("dtend", _at(one.ends_ms))
        event.add("summary", f"{title}: {rules.people[one.duty.person].name or one.duty.person}")
        event.add("description", f"{one.duty.why} {one.duty.by}".strip())
        calendar.add_component(event)
    return bytes(calendar.to_ical())


def _at(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms // 1000, UTC)
