"""Rules that keep alerts back, with a reason each: inhibition, maintenance, flapping, hold-back, noise and storms.

All of them only hold: the alert stays known, and is judged again when what holds it ends.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, field_validator, model_validator

from schemas.matchers import Matchers, parse_matchers
from schemas.recurrence import check_recurrence
from schemas.sections import Name, Seconds, Section

MOST_RULES = 10_000


def _readable(text: str) -> str:
    if not parse_matchers(text):
        raise ValueError("expected at least one matcher")
    return text


MatcherTexts = Annotated[
    tuple[Annotated[str, Field(max_length=20_000), AfterValidator(_readable)], ...], Field(min_length=1)
]
"""Matchers as Alertmanager writes them; all have to be satisfied."""


def read(texts: Iterable[str]) -> Matchers:
    """The matchers of several texts, together."""
    return tuple(matcher for text in texts for matcher in parse_matchers(text))


class InhibitRule(Section):
    """While an alert of `source_matchers` fires, alerts of `target_matchers` with equal values of `equal` are quiet."""

    name: Name | Literal[""] = ""
    """How decisions call it; without one, its place in the list, from 1."""
    source_matchers: MatcherTexts
    target_matchers: MatcherTexts
    equal: tuple[str, ...] = ()


class Calendar(Section):
    """Which days are worked on, where Saturday and Sunday do not say it (调休)."""

    holidays: tuple[date, ...] = ()
    workdays: tuple[date, ...] = ()
    """Saturdays and Sundays that are worked on."""

    def is_business(self, day: date) -> bool:
        """Whether people work on this day."""
        if day in self.workdays:
            return True
        return day.weekday() < 5 and day not in self.holidays


class Maintenance(Section):
    """A time in which alerts that satisfy `matchers` open nothing: once, or again and again by `rrule` (RFC 5545)."""

    name: Name
    matchers: MatcherTexts
    starts: datetime
    """The first beginning, in `timezone` unless it states an offset."""
    duration_s: Annotated[int, Field(ge=60, le=31 * 86_400)]
    rrule: Annotated[str, Field(max_length=500)] = ""
    """``FREQ=WEEKLY;BYDAY=SU`` for example. Daily, weekly, monthly and yearly ones are read."""
    timezone: str = ""
    """Empty: that of the rules."""
    days: Literal["all", "business", "rest"] = "all"
    """Only occurrences that begin on a working day, or on a day of rest, by `rules.calendar`."""
    comment: Annotated[str, Field(max_length=2_000)] = ""

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name) if name else None
        except (ZoneInfoNotFoundError, ValueError) as unknown:
            raise ValueError(f"no time zone named {name!r}") from unknown
        return name

    @model_validator(mode="after")
    def _recurs(self) -> Self:
        if self.rrule:
            try:
                check_recurrence(self.rrule, self.starts)
            except ValueError as wrong:
                raise ValueError(f"rrule: {wrong}") from None
        return self


class Flapping(Section):
    """When an alert begins and ends so often that each time tells nothing: it is held until it has calmed."""

    enabled: bool = True
    window_s: Annotated[int, Field(ge=20, le=86_400)] = 1200
    """So much of the past counts, as 20 slots."""
    start_ratio: Annotated[float, Field(gt=0, le=1)] = 0.5
    """From this weighted share of slots with a change on, an alert flaps."""
    stop_ratio: Annotated[float, Field(ge=0, le=1)] = 0.25
    """Below this share it has calmed."""

    @model_validator(mode="after")
    def _stops_below(self) -> Self:
        if self.stop_ratio >= self.start_ratio:
            raise ValueError("stop_ratio: expected less than start_ratio")
        return self


class HoldBack(Section):
    """Alerts that satisfy `matchers` have to last `for_s` seconds before they open anything."""

    name: Name
    matchers: MatcherTexts
    for_s: Annotated[int, Field(ge=1, le=86_400)]


class Noise(Section):
    """Alerts that satisfy `matchers` are known to be noise: kept and counted, but they open nothing."""

    name: Name
    matchers: MatcherTexts
    why: Annotated[str, Field(max_length=500)] = ""


class Storm(Section):
    """When new alerts of one scope come far faster than usual, one incident takes those that would open others."""

    enabled: bool = True
    alerts: Annotated[int, Field(ge=2)] = 2000
    """So many incidents that new alerts would open within `window_s`, at least; what joins one does not count."""
    factor: Annotated[int, Field(ge=2, le=1000)] = 10
    """And so many times the usual number."""
    window_s: Annotated[int, Field(ge=10, le=3600)] = 60
    calm_windows: Annotated[int, Field(ge=1, le=60)] = 3
    """After so many windows in a row with less than half of the limit, the storm is over."""


class Denoise(Section):
    """The rules that keep alerts back."""

    inhibit: Annotated[tuple[InhibitRule, ...], Field(max_length=MOST_RULES)] = ()
    """Which alerts keep which others quiet. See [rules](rules.md), as for the next ones."""
    maintenance: Annotated[tuple[Maintenance, ...], Field(max_length=MOST_RULES)] = ()
    """Times in which work is done and alerts are expected."""
    calendar: Calendar = Calendar()
    """Which days are worked on."""
    flapping: Flapping = Flapping()
    """When an alert that comes and goes is held."""
    hold_back: Annotated[tuple[HoldBack, ...], Field(max_length=MOST_RULES)] = ()
    """Alerts that have to last before they open anything."""
    noise: Annotated[tuple[Noise, ...], Field(max_length=MOST_RULES)] = ()
    """Alerts that are known to be noise."""
    storm: Storm = Storm()
    """When one incident takes the alerts of a flood."""
    silence_notice_s: Seconds = 900
    """So long before a silence ends, its end is announced; 0: never."""

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        for key in ("inhibit", "maintenance", "hold_back", "noise"):
            seen: set[str] = set()
            for place, rule in enumerate(getattr(self, key)):
                if rule.name and rule.name in seen:
                    raise ValueError(f"{key}[{place}].name: there is another {rule.name!r}")
                seen.add(rule.name)
        return self
