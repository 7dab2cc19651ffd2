"""Who is on call: turns, clocks that change, stand-ins, overrides and gaps (R1.3)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.machines import oncall
from schemas import commands as c
from schemas import events as e
from schemas import records as r
from schemas.config import Route, Rules
from schemas.oncall_changes import Change, OncallChanged, OncallChangeRemoved
from tests.scenario import NOON, Scenario

HOUR_MS, DAY_MS = 3_600_000, 86_400_000


def rules(*layers: dict[str, Any], zone: str = "Asia/Shanghai", **others: Any) -> Rules:
    """Rules with one schedule, `main`, of these layers, and people a, b and c."""
    people = {name: {"contacts": ["mail"]} for name in "abc"}
    given_layers = [{"name": f"l{number}", "people": ["a", "b"], **layer} for number, layer in enumerate(layers)]
    schedule = {"timezone": zone, "layers": given_layers}
    own = {"people": people, "schedules": {"main": schedule}} | others
    return Rules.model_validate({"oncall": own, "receivers": {"office": {"channels": ["mail"]}}})


def at(text: str, zone: str = "UTC") -> int:
    """UTC milliseconds of a local time; of an ambiguous one the first."""
    return oncall.instant(datetime.fromisoformat(text), ZoneInfo(zone))


def turn(of: Rules, at_ms: int, *changes: Change) -> str:
    return oncall.who("main", of, changes, at_ms).person


@pytest.mark.parametrize(
    ("zone", "starts", "moments"),
    [
        # 2026-03-29 02:00 CET is 03:00 CEST: the shift that begins on Saturday at 09:00 lasts 23 hours.
        ("Europe/Berlin", "2026-03-23T09:00", [("2026-03-28T07:59:59", "a"), ("2026-03-28T08:00", "b"),
                                              ("2026-03-29T06:59:59", "b"), ("2026-03-29T07:00", "a")]),
        # 2026-10-25 03:00 CEST is 02:00 CET: that of Saturday lasts 25 hours.
        ("Europe/Berlin", "2026-10-19T09:00", [("2026-10-24T07:00", "b"), ("2026-10-25T07:59:59", "b"),
                                              ("2026-10-25T08:00", "a")]),
        # A hand-over at 02:30, which 2026-03-29 does not have, comes at 03:30 CEST = 01:30 UTC.
        ("Europe/Berlin", "2026-03-28T02:30", [("2026-03-28T01:29:59", ""), ("2026-03-28T01:30", "a"),
                                              ("2026-03-29T01:29:59", "a"), ("2026-03-29T01:30", "b"),
                                              ("2026-03-30T00:30", "a")]),
        # At 01:30 New York time, which 2026-11-01 has twice: the first, 05:30 UTC.
        ("America/New_York", "2026-10-31T01:30", [("2026-11-01T05:29:59", "a"), ("2026-11-01T05:30", "b"),
                                                 ("2026-11-01T06:30", "b"), ("2026-11-02T06:29:59", "b"),
                                                 ("2026-11-02T06:30", "a")]),
        # 2026-03-08 in New York: 09:00 EST is 14:00 UTC, 09:00 EDT is 13:00 UTC.
        ("America/New_York", "2026-03-07T09:00", [("2026-03-07T14:00", "a"), ("2026-03-08T12:59:59", "a"),
                                                 ("2026-03-08T13:00", "b")]),
        # China has had one time since 1991.
        ("Asia/Shanghai", "2026-03-28T09:00", [("2026-03-28T01:00", "a"), ("2026-03-29T00:59:59", "a"),
                                              ("2026-03-29T01:00", "b"), ("2026-03-30T01:00", "a")]),
    ],
)  # fmt: skip
def test_daily_hand_overs_keep_the_wall_clock(zone: str, starts: str, moments: list[tuple[str, str]]) -> None:
    """Tables made by hand: hand-overs are at the local time whatever the clocks do; moments are UTC."""
    of = rules({"starts": starts, "handover": "daily"}, zone=zone)
    assert [(moment, turn(of, at(moment))) for moment, _ in moments] == moments


def test_weekly_turns_and_several_weeks() -> None:
    """Every second week on Monday at 09:00 of Shanghai, 01:00 UTC."""
    of = rules({"starts": "2026-01-05T09:00", "every": 2, "people": ["a", "b", "c"]})
    found = [turn(of, at(f"2026-{day}T01:00")) for day in ("01-05", "01-19", "02-02", "02-16")]
    assert found == ["a", "b", "c", "a"]
    assert turn(of, at("2026-01-19T00:59:59")) == "a"


def test_turns_by_a_recurrence_rule() -> None:
    """Monday to Friday one, the weekend the other; for many years."""
    of = rules({"starts": "2026-01-05T09:00", "rrule": "FREQ=WEEKLY;BYDAY=MO,FR"})
    found = [turn(of, at(f"2026-{day}", "Asia/Shanghai")) for day in
             ("01-05T09:00", "01-09T08:59", "01-09T09:00", "01-12T08:59", "01-12T09:00")]  # fmt: skip
    assert found == ["a", "a", "b", "b", "a"]
    assert turn(of, at("2040-01-02T09:00", "Asia/Shanghai")) == "a"  # a Monday, past the horizon of one search


def test_the_sun_is_followed_by_layers_in_several_zones() -> None:
    """Eight hours each in Shanghai, Berlin and New York cover the day but for what the zones leave open."""
    eight = {"handover": "never", "starts": "2026-01-01T00:00"}
    of = rules(
        {**eight, "people": ["a"], "hours": [{"start": "08:00", "end": "16:00"}]},
        {**eight, "people": ["b"], "hours": [{"start": "09:00", "end": "17:00"}], "timezone": "Europe/Berlin"},
        {**eight, "people": ["c"], "hours": [{"start": "11:00", "end": "19:00"}], "timezone": "America/New_York"},
    )
    winter, summer = "2026-01-14", "2026-07-15"
    assert [turn(of, at(f"{winter}T{hour:02}:00")) for hour in (0, 7, 8, 15, 16, 23)] == list("aabbcc")
    # In summer Berlin begins at 07:00 UTC, and its layer goes before that of Shanghai.
    assert [turn(of, at(f"{summer}T{hour:02}:00")) for hour in (0, 6, 7, 14, 15, 22)] == list("aabbcc")
    assert turn(of, at(f"{summer}T23:30")) == ""
    day = oncall.gaps(of, (), at(f"{summer}T00:00"), at(f"{summer}T00:00") + DAY_MS)
    assert [(gap.starts_ms, gap.ends_ms) for gap in day] == [(at(f"{summer}T23:00"), at("2026-07-16T00:00"))]


def test_days_of_rest_by_the_calendar() -> None:
    """A layer for days of rest takes holidays, and leaves the Saturday that is worked on (调休)."""
    of = rules(
        {"starts": "2026-01-01T00:00", "people": ["a"], "handover": "never"},
        {"starts": "2026-01-01T00:00", "people": ["b"], "handover": "never", "days": "rest"},
    )
    of = Rules.model_validate(of.model_dump(mode="json") | {
        "calendar": {"holidays": ["2026-10-01", "2026-10-02"], "workdays": ["2026-10-10"]}
    })  # fmt: skip
    days = ["09-30", "10-01", "10-02", "10-03", "10-05", "10-10", "10-11"]
    assert [turn(of, at(f"2026-{day}T12:00", "Asia/Shanghai")) for day in days] == list("abbbaab")


def test_night_hours_belong_to_the_day_on_which_they_begin() -> None:
    """From Friday 22:00 to Saturday 06:00, and not from Saturday 22:00."""
    of = rules({"starts": "2026-01-01T00:00", "hours": [{"start": "22:00", "end": "06:00", "weekdays": ["fri"]}]})
    moments = ["01-09T21:59", "01-09T22:00", "01-10T05:59", "01-10T06:00", "01-10T22:00"]
    assert [bool(turn(of, at(f"2026-{one}", "Asia/Shanghai"))) for one in moments] == [False, True, True, False, False]


def test_a_vacation_is_stood_in_for_by_the_next() -> None:
    """The next one of the layer; with everybody away the layer below; an override goes before all."""
    of = rules({"starts": "2026-01-01T00:00", "people": ["c"], "handover": "never"}, {"starts": "2026-01-05T09:00"})
    away = [Change(f"v{name}", "vacation", name, NOON, NOON + DAY_MS) for name in "ab"]
    assert turn(of, NOON) == "a"
    assert oncall.who("main", of, away[:1], NOON) == oncall.OnDuty("b", "stand_in", "l1", "a")
    assert turn(of, NOON, *away) == "c"
    assert turn(of, NOON, *away, Change("o", "override", "a", NOON, NOON + 1, "main")) == "a"
    assert turn(of, NOON + DAY_MS, *away) == "a"


def test_a_swap_counts_only_where_the_other_would_be_on_call() -> None:
    """b takes a's time of two weeks, and keeps their own; the latest change that applies decides."""
    of = rules({"starts": "2026-01-05T09:00"})
    swap = Change("s", "swap", "c", NOON, NOON + 14 * DAY_MS, "main", "a")
    assert turn(of, NOON, swap) == "c"
    assert turn(of, NOON + 7 * DAY_MS, swap) == "b"
    assert turn(of, NOON, swap, Change("o", "override", "b", NOON, NOON + 1, "main")) == "b"
    assert turn(of, NOON, swap, Change("o", "override", "b", NOON, NOON + 1, "other")) == "c"


NAIVE = (datetime.fromisoformat("2025-01-01"), datetime.fromisoformat("2026-12-01"))
LAYERS = st.lists(
    st.fixed_dictionaries(
        {
            "starts": st.datetimes(*NAIVE).map(
                lambda one: one.replace(second=0, microsecond=0).isoformat()
            ),
            "people": st.lists(st.sampled_from("abc"), min_size=1, max_size=4),
            "handover": st.sampled_from(["daily", "weekly", "never"]),
            "every": st.integers(1, 5),
            "days": st.sampled_from(["all", "business", "rest"]),
        },
        optional={
            "rrule": st.sampled_from(["FREQ=DAILY;BYHOUR=2,14", "FREQ=WEEKLY;BYDAY=MO,TH", "FREQ=MONTHLY;INTERVAL=2"]),
            "timezone": st.sampled_from(["America/New_York", "Asia/Shanghai", "Australia/Lord_Howe"]),
            "hours": st.lists(
                st.fixed_dictionaries(
                    {"start": st.sampled_from(["00:00", "02:15", "22:00"]), "end": st.sampled_from(["02:30", "24:00"])}
                ),
                max_size=2,
            ),
        },
    ),
    min_size=1, max_size=3,
)  # fmt: skip
MINUTES = st.integers(0, 500 * 1440)


@settings(max_examples=40, deadline=None)
@given(LAYERS, st.lists(st.tuples(st.sampled_from(["override", "vacation", "swap"]), st.sampled_from("abc"), MINUTES,
                                  st.integers(1, 20_000)), max_size=4), MINUTES)  # fmt: skip
def test_every_moment_of_a_schedule_has_one_shift_that_says_the_same(
    layers: list[dict[str, Any]], made: list[tuple[Any, str, int, int]], from_min: int
) -> None:
    """Shifts follow each other without holes, and `who` says of every moment what the shift around it says."""
    of = rules(*layers, zone="Europe/Berlin")
    base = at("2025-06-01T00:00")
    changes = [
        Change(str(number), kind, person, base + begin * 60_000, base + (begin + length) * 60_000,
               "" if kind == "vacation" else "main", "abc"["abc".index(person) - 1] if kind == "swap" else "")
        for number, (kind, person, begin, length) in enumerate(made)
    ]  # fmt: skip
    begin = base + from_min * 60_000
    end = begin + 9 * DAY_MS
    found = oncall.shifts("main", of, changes, begin, end)
    assert (found[0].starts_ms, found[-1].ends_ms) == (begin, end)
    assert all(one.ends_ms == other.starts_ms for one, other in pairwise(found))
    for moment in range(begin, end, 47 * 60_000):
        around = next(one for one in found if one.starts_ms <= moment < one.ends_ms)
        assert oncall.who("main", of, changes, moment) == around.duty
        named = [one for one in changes if one.kind == "override" and one.starts_ms <= moment < one.ends_ms]
        later = changes[changes.index(named[-1]) + 1 :] if named else []
        if named and not any(one.kind == "swap" for one in later):
            assert around.duty.person == named[-1].person  # precedence of overrides: the latest one


def test_commands_change_who_is_on_call_and_say_who_did() -> None:
    """Each is an event with its author; taking it back is one as well."""
    scenario = Scenario(rules({"starts": "2026-01-05T09:00"}))
    override = c.SetOverride(schedule="main", person="c", starts_ms=NOON, ends_ms=NOON + HOUR_MS, reason="dentist")
    scenario.command(override, command_id="x1")
    changed = scenario.one(OncallChanged).change
    assert (changed.person, changed.made_by, changed.made_ms, changed.reason) == ("c", "user:li", NOON, "dentist")
    scenario.command(c.RemoveOncallChange(id=changed.id))
    assert scenario.one(OncallChangeRemoved).id == changed.id
    back = {"back_starts_ms": NOON + HOUR_MS, "back_ends_ms": NOON + 2 * HOUR_MS}
    span = {"starts_ms": NOON, "ends_ms": NOON + HOUR_MS}
    scenario.command(c.SwapShifts(schedule="main", person="a", with_person="b", **span, **back))
    pair = [one.change for one in scenario.of(OncallChanged)][-2:]
    assert [(one.person, one.replaces) for one in pair] == [("b", "a"), ("a", "b")]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (c.SetOverride(schedule="x", person="a", starts_ms=NOON, ends_ms=NOON + 1), "not_found"),
        (c.SetOverride(schedule="main", person="x", starts_ms=NOON, ends_ms=NOON + 1), "not_found"),
        (c.SetVacation(person="a", starts_ms=NOON, ends_ms=NOON), "invalid"),
        (c.SetVacation(person="a", starts_ms=0, ends_ms=NOON), "invalid"),
        (c.SetVacation(person="a", starts_ms=0, ends_ms=NOON + 500 * DAY_MS), "invalid"),
        (c.SwapShifts(schedule="main", person="a", with_person="a", starts_ms=0, ends_ms=NOON + 1), "invalid"),
        (c.RemoveOncallChange(id="x"), "not_found"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(command: c.Command, code: str) -> None:
    """Nobody of that name, no such schedule, no time at all, the past, years, a swap with oneself."""
    assert Scenario(rules({"starts": "2026-01-05T09:00"})).rejected(command).code == code


def test_a_gap_is_an_incident_before_it_begins_and_is_over_when_it_is_filled() -> None:
    """All are on vacation in ten days: seven days before, an incident; when one comes back, it resolves."""
    scenario = Scenario(rules({"starts": "2026-01-05T09:00"}))
    assert not scenario.of(e.IncidentOpened)
    for name in "ab":
        start = NOON + 10 * DAY_MS
        scenario.command(c.SetVacation(person=name, starts_ms=start, ends_ms=start + DAY_MS), command_id=f"v{name}")
    assert not scenario.of(e.IncidentOpened)
    scenario.wait(4 * 86_400)
    opened = scenario.one(e.IncidentOpened)
    assert opened.title == (
        "nobody is on call by schedule main from 2026-01-15 12:00 to 2026-01-16 12:00 (Asia/Shanghai)"
    )
    assert (opened.origin, opened.labels["alertname"]) == ("internal", "TocsinOncallGap")
    scenario.command(c.RemoveOncallChange(id="oc-va"))
    assert scenario.of(e.IncidentResolved)
    scenario.wait(30 * 86_400)
    assert len(scenario.of(e.IncidentOpened)) == 1


def test_a_gap_that_new_rules_make_is_reported_at_once() -> None:
    """A schedule that ends within the week; with `gaps: meant` it is no mistake."""
    ends = {"starts": "2026-01-05T09:00", "until": "2026-01-08T09:00"}
    assert Scenario(rules(ends)).one(e.IncidentOpened).labels["schedule"] == "main"
    meant = rules(ends).model_dump(mode="json")
    meant["oncall"]["schedules"]["main"]["gaps"] = "meant"
    assert not Scenario(Rules.model_validate(meant)).of(e.IncidentOpened)


@pytest.mark.parametrize(
    ("oncall_rules", "words"),
    [
        ({"teams": {"t": {"members": ["x"]}}}, "nobody is named 'x'"),
        ({"policies": {"p": {"steps": [{"schedules": ["x"]}]}}}, "there is no 'x'"),
        ({"policies": {"p": {"steps": [{"wait_s": 60}]}}}, "a step tells somebody"),
        ({"policies": {"p": {"steps": [{"receivers": ["x"]}]}}}, "no receiver named 'x'"),
        ({"schedules": {"s": {"layers": [{"name": "l", "people": ["a"], "starts": "2026-01-01T00:00Z"}]}}}, "without"),
    ],
)
def test_rules_that_name_nobody_are_refused(oncall_rules: dict[str, Any], words: str) -> None:
    """Unknown people, schedules and receivers, empty steps, and times with an offset."""
    with pytest.raises(ValidationError, match=words):
        Rules.model_validate({"oncall": {"people": {"a": {"contacts": ["mail"]}}} | oncall_rules})
    with pytest.raises(ValidationError, match="give receiver or policy"):
        Route.model_validate({})


def test_a_snapshot_keeps_changes_and_gaps() -> None:
    """A core that goes on from a snapshot decides as one that has seen everything."""
    scenario = Scenario(rules({"starts": "2026-01-05T09:00"}))
    for name in "ab":
        scenario.command(c.SetVacation(person=name, starts_ms=NOON, ends_ms=NOON + 20 * DAY_MS))
    again = type(scenario.core).from_snapshot(scenario.core.snapshot(), {})
    removed = r.Commanded(NOON, "z", "user:li", c.COMMAND.dump_json(c.RemoveOncallChange(id="oc-c1")))
    assert again.handle(removed).events == scenario.core.handle(removed).events
    assert again.snapshot() == scenario.core.snapshot()


def test_the_past_is_not_asked_of_a_clock() -> None:
    """Ten years of weekly turns in Berlin: each begins at 09:00 local time on a Monday."""
    of = rules({"starts": "2026-01-05T09:00"}, zone="Europe/Berlin")
    begin = at("2026-01-05T09:00", "Europe/Berlin")
    found = oncall.shifts("main", of, (), begin, begin + 3650 * DAY_MS)
    starts = [datetime.fromtimestamp(one.starts_ms / 1000, UTC).astimezone(ZoneInfo("Europe/Berlin")) for one in found]
    assert {(one.weekday(), one.hour, one.minute) for one in starts} == {(0, 9, 0)}
    assert len(found) == 522
    assert timedelta(milliseconds=found[0].ends_ms - found[0].starts_ms) == timedelta(weeks=1)


@pytest.mark.parametrize("starts", ["9999-12-31T00:00", "0001-01-01T00:00"])
def test_times_that_no_calendar_reaches_are_refused(starts: str) -> None:
    """Years before 1971 and after 2200 are mistakes, and would be errors of arithmetic later."""
    with pytest.raises(ValidationError, match="between 1971 and 2200"):
        rules({"starts": starts})
