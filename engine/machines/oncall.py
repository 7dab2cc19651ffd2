"""Who is on call at a moment: layers, turns, hours, stand-ins, overrides and swaps. Pure: the moment is an argument.

A hand-over that a change of the clocks leaves out is taken an hour later, one that comes twice the first time. A shift
across such a change is an hour shorter or longer.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import islice
from zoneinfo import ZoneInfo

from schemas.config import Rules
from schemas.oncall import WEEKDAYS, Days, Hours, Layer, Person
from schemas.oncall_changes import Change
from schemas.recurrence import occurrences
from schemas.roster import Gap, OnDuty, Shift
from schemas.time_intervals import minutes

NOBODY = OnDuty("", "nobody")
DAY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_CHUNK = 256
_MOST_HANDOVERS = 200_000
"""Of one recurrence rule: daily ones for five centuries."""

Span = tuple[int, int]
"""From, and until before (UTC milliseconds)."""


def instant(local: datetime, zone: ZoneInfo) -> int:
    """The moment of a local time (UTC milliseconds): left out by the clocks, an hour later; twice, the first."""
    return (local.replace(tzinfo=zone).astimezone(UTC) - _EPOCH) // _MILLISECOND


def local_time(at_ms: int, zone: ZoneInfo) -> datetime:
    """The local time of a moment, without its offset."""
    return (_EPOCH + at_ms * _MILLISECOND).astimezone(zone).replace(tzinfo=None)


# --- hours and days -------------------------------------------------------------------------------------------------


def spans(hours: Hours, days: Days, rules: Rules, zone: ZoneInfo, around: Iterable[date]) -> Iterator[Span]:
    """The times that begin on these days."""
    for day in around:
        if WEEKDAYS[day.weekday()] not in hours.weekdays:
            continue
        if days != "all" and rules.calendar.is_business(day) != (days == "business"):
            continue
        begin, end = minutes(hours.start), minutes(hours.end)
        midnight = datetime.combine(day, datetime.min.time())
        last = midnight + timedelta(minutes=end) + (DAY if end <= begin else timedelta())
        yield instant(midnight + timedelta(minutes=begin), zone), instant(last, zone)


def within(hours: Sequence[Hours], days: Days, rules: Rules, zone: ZoneInfo, at_ms: int) -> bool:
    """Whether a moment lies in one of these hours, on a day of that kind; no hours at all are the whole day."""
    if not hours and days == "all":
        return True
    today = local_time(at_ms, zone).date()
    for one in hours or (Hours(),):
        if any(begin <= at_ms < end for begin, end in spans(one, days, rules, zone, (today - DAY, today))):
            return True
    return False


def quiet_until(person: Person, rules: Rules, at_ms: int) -> int:
    """When a person's quiet hours end, if `at_ms` lies in them; else 0."""
    if person.quiet_hours is None:
        return 0
    zone = ZoneInfo(person.timezone or rules.timezone)
    today = local_time(at_ms, zone).date()
    ends = [
        end
        for begin, end in spans(person.quiet_hours, "all", rules, zone, (today - DAY, today))
        if begin <= at_ms < end
    ]
    return max(ends, default=0)


# --- turns ------------------------------------------------------------------------------------------------------------


class _Handovers:
    """The occurrences of a recurrence rule, found as far as they were asked for."""

    def __init__(self, rrule: str, starts: datetime) -> None:
        self._rrule, self._starts = rrule, starts
        self._found: list[datetime] = []
        self._more = occurrences(rrule, starts, starts)

    def until(self, local: datetime) -> list[datetime]:
        """All those that are known, at least up to `local`."""
        found = self._found
        while (not found or found[-1] <= local) and len(found) < _MOST_HANDOVERS:
            chunk = list(islice(self._more, _CHUNK))
            if not chunk and found:  # the horizon of one search has come: go on from the latest
                self._more = occurrences(self._rrule, self._starts, found[-1] + timedelta(seconds=1))
                chunk = list(islice(self._more, _CHUNK))
            if not chunk:
                break
            found += chunk
        return found


_handovers = lru_cache(256)(_Handovers)


def _turn_begins(layer: Layer, number: int) -> datetime:
    return layer.starts + timedelta(days=number * layer.every * (7 if layer.handover == "weekly" else 1))


def turn_at(layer: Layer, zone: ZoneInfo, at_ms: int) -> int:
    """The number of the turn at a moment, from 0; -1 before the first and after the end of the layer."""
    if at_ms < instant(layer.starts, zone) or (layer.until is not None and at_ms >= instant(layer.until, zone)):
        return -1
    local = local_time(at_ms, zone)
    if layer.rrule:
        found = _handovers(layer.rrule, layer.starts).until(local + DAY)
        # What begins before the first occurrence belongs to the first turn.
        number = bisect_right(found, local + timedelta(hours=2)) - 1
        while number >= 0 and instant(found[number], zone) > at_ms:
            number -= 1
        return max(number, 0)
    if layer.handover == "never":
        return 0
    length = layer.every * (7 if layer.handover == "weekly" else 1)
    number = (local.date() - layer.starts.date()).days // length
    while instant(_turn_begins(layer, number + 1), zone) <= at_ms:
        number += 1
    while number > 0 and instant(_turn_begins(layer, number), zone) > at_ms:
        number -= 1
    return number


def _turns_begin(layer: Layer, zone: ZoneInfo, begin_ms: int, end_ms: int) -> Iterator[int]:
    first, last = local_time(begin_ms, zone) - DAY, local_time(end_ms, zone) + DAY
    if layer.rrule:
        found = _handovers(layer.rrule, layer.starts).until(last)
        for local in found[max(0, bisect_right(found, first) - 1) : bisect_right(found, last)]:
            yield instant(local, zone)
    elif layer.handover != "never":
        number = max(0, turn_at(layer, zone, begin_ms))
        while (local := _turn_begins(layer, number)) <= last:
            yield instant(local, zone)
            number += 1


# --- who -------------------------------------------------------------------------------------------------------------


def away(person: str, changes: Iterable[Change], at_ms: int) -> bool:
    """Whether a person is on vacation."""
    return any(
        one.kind == "vacation" and one.person == person and one.starts_ms <= at_ms < one.ends_ms for one in changes
    )


def _of_layer(layer: Layer, zone: ZoneInfo, rules: Rules, changes: Sequence[Change], at_ms: int) -> OnDuty | None:
    turn = turn_at(layer, zone, at_ms)
    if turn < 0 or not within(layer.hours, layer.days, rules, zone, at_ms):
        return None
    own = layer.people[turn % len(layer.people)]
    for further in range(len(layer.people)):
        person = layer.people[(turn + further) % len(layer.people)]
        if person in rules.oncall.people and not away(person, changes, at_ms):
            if person == own:
                return OnDuty(person, "layer", layer.name)
            return OnDuty(person, "stand_in", layer.name, own)
    return None


def who(schedule: str, rules: Rules, changes: Sequence[Change], at_ms: int) -> OnDuty:
    """Who is on call by a schedule: the latest override or swap that applies, else the last layer that does."""
    table = rules.oncall.schedules[schedule]
    duty = NOBODY
    for layer in reversed(table.layers):
        zone = ZoneInfo(layer.timezone or table.timezone or rules.timezone)
        found = _of_layer(layer, zone, rules, changes, at_ms)
        if found is not None:
            duty = found
            break
    for one in changes:
        if one.kind == "vacation" or one.schedule != schedule or not one.starts_ms <= at_ms < one.ends_ms:
            continue
        if one.person not in rules.oncall.people or one.replaces not in ("", duty.person):
            continue
        duty = OnDuty(one.person, one.kind, one.id, duty.person)
    return duty


def _edges(schedule: str, rules: Rules, changes: Sequence[Change], begin_ms: int, end_ms: int) -> Iterator[int]:
    """Every moment at which who is on call may change."""
    table = rules.oncall.schedules[schedule]
    for layer in table.layers:
        zone = ZoneInfo(layer.timezone or table.timezone or rules.timezone)
        yield instant(layer.starts, zone)
        if layer.until is not None:
            yield instant(layer.until, zone)
        yield from _turns_begin(layer, zone, begin_ms, end_ms)
        if layer.hours or layer.days != "all":
            first, last = local_time(begin_ms, zone).date() - DAY, local_time(end_ms, zone).date()
            days = [first + DAY * number for number in range((last - first).days + 1)]
            for hours in layer.hours or (Hours(),):
                for span in spans(hours, layer.days, rules, zone, days):
                    yield from span
    for one in changes:
        if one.kind == "vacation" or one.schedule == schedule:
            yield one.starts_ms
            yield one.ends_ms


def shifts(schedule: str, rules: Rules, changes: Sequence[Change], begin_ms: int, end_ms: int) -> list[Shift]:
    """All shifts from `begin_ms` until `end_ms`, times without anybody included, in order and without holes."""
    edges = {at for at in _edges(schedule, rules, changes, begin_ms, end_ms) if begin_ms < at < end_ms}
    starts = [begin_ms, *sorted(edges)]
    found: list[Shift] = []
    for start, end in zip(starts, [*starts[1:], end_ms], strict=True):
        duty = who(schedule, rules, changes, start)
        if found and found[-1].duty == duty:
            found[-1] = Shift(found[-1].starts_ms, end, duty)
        else:
            found.append(Shift(start, end, duty))
    return found


def gaps(rules: Rules, changes: Sequence[Change], begin_ms: int, end_ms: int) -> list[Gap]:
    """The times in which nobody is on call, of every schedule where that is a mistake."""
    return [
        Gap(name, one.starts_ms, one.ends_ms)
        for name, schedule in rules.oncall.schedules.items()
        if schedule.gaps == "forbidden"
        for one in shifts(name, rules, changes, begin_ms, end_ms)
        if not one.duty.person
    ]
