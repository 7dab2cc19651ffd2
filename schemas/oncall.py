"""On call (值班): people, teams, schedules and escalation policies, as the rules state them.

Telephone numbers and addresses are not among them: those stand in the settings (`directory`) and are never journalled.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, model_validator

from schemas.recurrence import check_recurrence
from schemas.sections import Language, Name, Seconds, Section
from schemas.time_intervals import minutes

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Days = Literal["all", "business", "rest"]


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError) as unknown:
        raise ValueError(f"no time zone named {name!r}") from unknown
    return name


def _clock(text: str) -> str:
    minutes(text)
    return text


def _local(at: datetime) -> datetime:
    if at.tzinfo is not None:
        raise ValueError("expected a local time without offset: the time zone is that of the schedule")
    if not 1971 <= at.year <= 2200:
        raise ValueError("expected a year between 1971 and 2200")
    return at


Zone = Annotated[str, AfterValidator(_known_zone)]
Clock = Annotated[str, AfterValidator(_clock)]
Local = Annotated[datetime, AfterValidator(_local)]


class Hours(Section):
    """From `start` until before `end` by the wall clock, into the next day where `end` is not later than `start`."""

    start: Clock = "00:00"
    """Begins, ``HH:MM``."""
    end: Clock = "24:00"
    """Ends, ``HH:MM``, itself excluded."""
    weekdays: tuple[Weekday, ...] = WEEKDAYS  # type: ignore[assignment]
    """The days on which it begins."""


class Person(Section):
    """Somebody who can be paged. Where that goes stands in the settings, under `directory`."""

    name: Annotated[str, Field(max_length=80)] = ""
    """How people call them; empty: the key."""
    contacts: Annotated[tuple[Name, ...], Field(min_length=1)]
    """Channels in the order in which they are tried: the first that takes the message."""
    account: Annotated[str, Field(max_length=80)] = ""
    """Their user name on the console; empty: the key."""
    timezone: Zone = ""
    """Empty: that of the rules."""
    language: Language | None = None
    """Absent: that of the rules."""
    quiet_hours: Hours | None = None
    """No page in this time, but of priority P1: others wait for its end, or for somebody else."""


class Team(Section):
    """People who are told together."""

    name: Annotated[str, Field(max_length=80)] = ""
    """How people call it; empty: the key."""
    members: Annotated[tuple[Name, ...], Field(min_length=1)]
    """By their keys under `people`."""


class Layer(Section):
    """People who take turns. A later layer of a schedule goes before an earlier one where it applies."""

    name: Name
    """How pages and the log call it."""
    people: Annotated[tuple[Name, ...], Field(min_length=1, max_length=200)]
    """In the order of their turns; somebody on vacation is stood in for by the next one."""
    starts: Local
    """The first hand-over, local time."""
    until: Local | None = None
    """The layer ends here."""
    handover: Literal["daily", "weekly", "never"] = "weekly"
    """At the time of day of `starts`, or never."""
    every: Annotated[int, Field(ge=1, le=366)] = 1
    """A turn lasts so many days or weeks."""
    rrule: Annotated[str, Field(max_length=500)] = ""
    """Hand over at these occurrences instead (RFC 5545), ``FREQ=WEEKLY;BYDAY=MO,FR`` for example."""
    hours: tuple[Hours, ...] = ()
    """It applies in these hours only."""
    days: Days = "all"
    """It applies on working days, or on days of rest, by `rules.calendar`; what begins on one lasts past midnight."""
    timezone: Zone = ""
    """Empty: that of the schedule. Layers in several zones follow the sun."""

    @model_validator(mode="after")
    def _recurs(self) -> Self:
        if self.rrule:
            try:
                check_recurrence(self.rrule, self.starts)
            except ValueError as wrong:
                raise ValueError(f"rrule: {wrong}") from None
        if self.until is not None and self.until <= self.starts:
            raise ValueError("until: expected a time after `starts`")
        return self


class Schedule(Section):
    """Who is on call when (值班表)."""

    name: Annotated[str, Field(max_length=80)] = ""
    """How people call it; empty: the key."""
    timezone: Zone = ""
    """Empty: that of the rules."""
    layers: Annotated[tuple[Layer, ...], Field(min_length=1, max_length=50)]
    """The lowest first: a later one goes before an earlier one."""
    gaps: Literal["forbidden", "meant"] = "forbidden"
    """``meant``: times in which nobody is on call are no mistake, and are not reported."""


class Condition(Section):
    """When a step of a policy applies; a field that is empty asks nothing."""

    priorities: tuple[Literal["P1", "P2", "P3", "P4"], ...] = ()
    """One of these priorities."""
    urgency: tuple[Annotated[int, Field(ge=1, le=4)], ...] = ()
    """One of these urgencies, 1 (highest) to 4."""
    impact: tuple[Annotated[int, Field(ge=1, le=3)], ...] = ()
    """One of these impacts, 1 (widest) to 3."""
    match: dict[str, str] = {}
    """Labels of the incident that must be equal; ``severity``, ``service``, ``scope`` and ``owner`` count as labels."""
    hours: tuple[Hours, ...] = ()
    """In these hours, by the time zone of the rules."""
    days: Days = "all"
    """On working days, or on days of rest, by `rules.calendar`."""


class PolicyStep(Section):
    """Who is told at one step, and how long to wait for an answer before the next."""

    people: tuple[Name, ...] = ()
    """These people."""
    schedules: tuple[Name, ...] = ()
    """Whoever is on call."""
    teams: tuple[Name, ...] = ()
    """All members of these teams."""
    receivers: tuple[Name, ...] = ()
    """Receivers of `rules.receivers`: a group chat, for example. They are told, but count as nobody in particular."""
    owner: bool = False
    """The incident's owner (责任人), if that is one of the people."""
    wait_s: Annotated[int, Field(ge=10, le=7 * 86_400)] = 300
    """How long to wait for an answer before the next step."""
    only: Condition = Condition()
    """Otherwise the step is left out."""

    @model_validator(mode="after")
    def _tells_somebody(self) -> Self:
        if not (self.people or self.schedules or self.teams or self.receivers or self.owner):
            raise ValueError("a step tells somebody: people, schedules, teams, receivers or owner")
        return self


class Policy(Section):
    """Whom to page until somebody answers (升级策略)."""

    steps: Annotated[tuple[PolicyStep, ...], Field(min_length=1, max_length=20)]
    """In order; the first one at once."""
    repeat: Annotated[int, Field(ge=0, le=20)] = 1
    """After the last step it begins anew, so often."""
    fallback: tuple[Name, ...] = ()
    """Receivers that are told when nobody has answered, or nobody can be reached."""


class OnCall(Section):
    """People, teams, schedules and policies."""

    people: dict[Name, Person] = {}
    """Who can be paged."""
    teams: dict[Name, Team] = {}
    """Who is told together."""
    schedules: dict[Name, Schedule] = {}
    """Who is on call when."""
    policies: dict[Name, Policy] = {}
    """Whom to page until somebody answers; a route names one."""
    gap_notice_s: Seconds = 7 * 86_400
    """A time without anybody on call is an incident of its own so long before it begins; 0: never."""

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        for place, wanted in self._people_named():
            for person in wanted:
                if person not in self.people:
                    raise ValueError(f"{place}: nobody is named {person!r} under people")
        for name, policy in self.policies.items():
            for number, step in enumerate(policy.steps):
                place = f"policies.{name}.steps[{number}]"
                for kind, given, known in (("schedules", step.schedules, set(self.schedules)),
                                           ("teams", step.teams, set(self.teams))):  # fmt: skip
                    if unknown := [one for one in given if one not in known]:
                        raise ValueError(f"{place}.{kind}: there is no {unknown[0]!r}")
        return self

    def _people_named(self) -> list[tuple[str, tuple[str, ...]]]:
        named = [(f"teams.{name}.members", team.members) for name, team in self.teams.items()]
        for name, schedule in self.schedules.items():
            named += [(f"schedules.{name}.layers[{at}].people", one.people) for at, one in enumerate(schedule.layers)]
        for name, policy in self.policies.items():
            named += [(f"policies.{name}.steps[{at}].people", step.people) for at, step in enumerate(policy.steps)]
        return named

    def receivers_named(self) -> list[tuple[str, tuple[str, ...]]]:
        """Each place that names receivers, with them: the rules know whether there are such."""
        named = [(f"policies.{name}.fallback", policy.fallback) for name, policy in self.policies.items()]
        for name, policy in self.policies.items():
            named += [
                (f"policies.{name}.steps[{at}].receivers", step.receivers) for at, step in enumerate(policy.steps)
            ]
        return named

    def channels_named(self) -> list[tuple[str, tuple[str, ...]]]:
        """Each place that names channels, with them: the settings know whether there are such."""
        return [(f"people.{name}.contacts", person.contacts) for name, person in self.people.items()]

    def person_of(self, actor: str) -> str:
        """The person behind a user account or a name, or an empty string."""
        name = actor.removeprefix("user:").removeprefix("person:")
        if name in self.people:
            return name
        return next((key for key, person in self.people.items() if name and person.account == name), "")
