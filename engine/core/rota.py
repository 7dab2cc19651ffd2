"""Who is on call, as people change it, and the gaps that are announced before they come."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from engine.core.step import Step
from engine.machines import oncall
from schemas.errors import CommandRejected
from schemas.oncall_changes import (
    Change,
    OncallChanged,
    OncallChangeRemoved,
    OncallCommand,
    RemoveOncallChange,
    SetOverride,
    SetVacation,
    SwapShifts,
)
from schemas.records import Commanded
from schemas.roster import Gap

GAP_ALERT = "TocsinOncallGap"
LOOK_EVERY_MS = 86_400_000
KEPT_MS = 90 * 86_400_000
"""Changes that are over are remembered for so long, for the calendar; then the log alone tells of them."""
MOST_CHANGES = 10_000
LONGEST_MS = 400 * 86_400_000


def decide(command: OncallCommand, record: Commanded, step: Step) -> None:
    """Change who is on call. Raises CommandRejected (``not_found``, ``invalid``, ``too_many``)."""
    if isinstance(command, RemoveOncallChange):
        if command.id not in step.state.oncall.changes:
            raise CommandRejected("not_found", f"there is no change {command.id}")
        del step.state.oncall.changes[command.id]
        step.log(OncallChangeRemoved(command.id), scope="default", subject="oncall", actor=record.actor)
        look(step)
        return
    made = _changes(command, record, step.at_ms)
    for change in made:
        _check(change, step)
    _tidy(step)
    if len(step.state.oncall.changes) + len(made) > MOST_CHANGES:
        raise CommandRejected("too_many", f"there are {MOST_CHANGES} changes, no more are taken")
    for change in made:
        step.state.oncall.changes[change.id] = change
        step.log(OncallChanged(change), scope="default", subject="oncall", actor=record.actor)
    look(step)


def _changes(command: SetOverride | SwapShifts | SetVacation, record: Commanded, at_ms: int) -> list[Change]:
    own, by = f"oc-{record.command_id}"[:110], record.actor
    starts, ends, reason = command.starts_ms, command.ends_ms, command.reason
    match command:
        case SetOverride():
            return [Change(own, "override", command.person, starts, ends, command.schedule, "", reason, by, at_ms)]
        case SetVacation():
            return [Change(own, "vacation", command.person, starts, ends, "", "", reason, by, at_ms)]
        case SwapShifts(schedule=schedule, person=one, with_person=other):
            made = [Change(own, "swap", other, starts, ends, schedule, one, reason, by, at_ms)]
            if command.back_ends_ms:
                back = (command.back_starts_ms, command.back_ends_ms)
                made.append(Change(f"{own}.2", "swap", one, *back, schedule, other, reason, by, at_ms))
            return made


def _check(change: Change, step: Step) -> None:
    rules = step.rules.oncall
    for person in (change.person, change.replaces):
        if person and person not in rules.people:
            raise CommandRejected("not_found", f"nobody is named {person}")
    if change.schedule and change.schedule not in rules.schedules:
        raise CommandRejected("not_found", f"there is no schedule {change.schedule}")
    if change.person == change.replaces:
        raise CommandRejected("invalid", "a swap is between two people")
    if change.ends_ms <= change.starts_ms:
        raise CommandRejected("invalid", "the end must be after the beginning")
    if change.ends_ms <= step.at_ms:
        raise CommandRejected("invalid", "the end can't be in the past")
    if change.ends_ms - change.starts_ms > LONGEST_MS:
        raise CommandRejected("invalid", "more than 400 days: change the schedule instead")


def _tidy(step: Step) -> None:
    changes = step.state.oncall.changes
    for name in [name for name, one in changes.items() if one.ends_ms + KEPT_MS < step.at_ms]:
        del changes[name]


def configure(step: Step) -> None:
    """Other rules hold now."""
    look(step)


def ring(due_ms: int, step: Step) -> None:
    """The daily look; timers of earlier plans are not listened to."""
    if step.state.oncall.look_ms == due_ms:
        look(step)


def look(step: Step) -> None:
    """Announce gaps that begin soon, take back what has been filled, and look again in a day."""
    state, rules = step.state.oncall, step.rules
    ahead_ms = 1000 * rules.oncall.gap_notice_s
    found: dict[str, Gap] = {}
    if ahead_ms and rules.oncall.schedules:
        for gap in oncall.gaps(rules, list(state.changes.values()), step.at_ms, step.at_ms + ahead_ms):
            found.setdefault(gap.schedule, gap)
    for name in [name for name in state.gaps if name not in found]:
        del state.gaps[name]
        step.own.append((_labels(name), f"schedule {name} has no gap any more", False))
    for name, gap in found.items():
        if name not in state.gaps:
            step.own.append((_labels(name), _told(name, gap, step), True))
        state.gaps[name] = gap.starts_ms
    if rules.oncall.schedules and ahead_ms:
        if not step.at_ms < state.look_ms <= step.at_ms + LOOK_EVERY_MS:
            state.look_ms = step.at_ms + LOOK_EVERY_MS
            step.timers.set(state.look_ms, "oncall", "")
    else:
        state.look_ms = 0


def _labels(schedule: str) -> dict[str, str]:
    return {"alertname": GAP_ALERT, "service": "tocsin", "severity": "major", "schedule": schedule}


def _told(name: str, gap: Gap, step: Step) -> str:
    zone = step.rules.oncall.schedules[name].timezone or step.rules.timezone
    begin, end = (oncall.local_time(at, ZoneInfo(zone)) for at in (gap.starts_ms, gap.ends_ms))
    return f"nobody is on call by schedule {name} from {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} ({zone})"
