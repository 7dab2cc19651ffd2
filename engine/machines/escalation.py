"""The escalation machine: whom the next step of a policy pages, and when it gives up. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

import msgspec

from engine.machines import oncall
from engine.machines.incident import Incident
from schemas.config import Rules
from schemas.oncall import Condition, Policy, PolicyStep
from schemas.oncall_changes import Change, EscalationEnd
from schemas.vocabulary import NoticeKind

QUIET, AWAY, NOBODY_ON_CALL, PAGED_ALREADY = "quiet_hours", "vacation", "nobody_on_call", "paged_already"
"""Why somebody was not paged at a step."""


class Escalation(msgspec.Struct, frozen=True):
    """One policy at work on one incident. `step` is the latest that was taken, from 1; 0 before the first.

    `open` are the deliveries of that step without an answer, each with its person; `told` whom a message has reached,
    or may have.
    """

    policy: str
    kind: NoticeKind
    started_ms: int
    reason: str = ""
    lines: list[str] = []
    """The alerts that its notices name."""
    step: int = 0
    round: int = 1
    due_ms: int = 0
    people: tuple[str, ...] = ()
    receivers: tuple[str, ...] = ()
    open: dict[str, str] = {}
    answered: bool = False
    """Whether a message of the latest step has reached somebody, or may have."""
    told: tuple[str, ...] = ()
    ended: EscalationEnd | str = ""


class Targets(msgspec.Struct):
    """Whom a step pages, in order, each with how they came to it; and whom it does not, and why not."""

    people: dict[str, str] = {}
    receivers: list[str] = []
    skipped: dict[str, str] = {}
    quiet_until_ms: int = 0


class Turn(msgspec.Struct):
    """What an escalation does next: the steps that page nobody, and the one that does, if any does."""

    passed: list[tuple[int, int, Targets]] = []
    """(step, round, whom it skipped) of steps that have nobody to page."""
    taken: tuple[int, int, Targets] | None = None
    wake_ms: int = 0
    """Everybody sleeps: try again at that time."""


class Scene(msgspec.Struct, frozen=True):
    """What a step is judged by."""

    rules: Rules
    changes: Sequence[Change]
    incident: Incident
    busy: Mapping[str, str]
    """People whom another policy is paging for this incident, by name."""
    at_ms: int


def applies(condition: Condition, scene: Scene) -> bool:
    """Whether a step is taken at all."""
    about, rules = scene.incident, scene.rules
    if condition.priorities and about.priority not in condition.priorities:
        return False
    if condition.urgency and about.urgency not in condition.urgency:
        return False
    if condition.impact and about.impact not in condition.impact:
        return False
    own = {"severity": about.severity, "service": about.service, "scope": about.scope, "owner": about.assignee}
    known = {**about.labels, **own}
    if any(known.get(name, "") != value for name, value in condition.match.items()):
        return False
    return oncall.within(condition.hours, condition.days, rules, ZoneInfo(rules.timezone), scene.at_ms)


def targets(rule: PolicyStep, scene: Scene) -> Targets:
    """Whom this step pages now: each person once, whoever is away, asleep or being paged already left out."""
    found = Targets(receivers=list(dict.fromkeys(rule.receivers)))
    for person, why in _wanted(rule, scene, found):
        if person in found.people or person in found.skipped:
            continue
        own = scene.rules.oncall.people[person]
        quiet_ms = 0 if scene.incident.priority == "P1" else oncall.quiet_until(own, scene.rules, scene.at_ms)
        if quiet_ms:
            found.skipped[person] = QUIET
            found.quiet_until_ms = min(found.quiet_until_ms or quiet_ms, quiet_ms)
        elif not why.startswith("schedule") and oncall.away(person, scene.changes, scene.at_ms):
            found.skipped[person] = AWAY
        elif person in scene.busy:
            found.skipped[person] = PAGED_ALREADY
        else:
            found.people[person] = why
    return found


def _wanted(rule: PolicyStep, scene: Scene, found: Targets) -> list[tuple[str, str]]:
    wanted = [(person, "person") for person in rule.people]
    for schedule in rule.schedules:
        duty = oncall.who(schedule, scene.rules, scene.changes, scene.at_ms)
        if duty.person:
            wanted.append((duty.person, f"schedule {schedule}: {duty.why} {duty.by}"))
        else:
            found.skipped[f"schedule {schedule}"] = NOBODY_ON_CALL
    for team in rule.teams:
        wanted += [(person, f"team {team}") for person in scene.rules.oncall.teams[team].members]
    if rule.owner and (owner := scene.rules.oncall.person_of(scene.incident.assignee)):
        wanted.append((owner, "owner"))
    return wanted


def next_turn(escalation: Escalation, policy: Policy, scene: Scene) -> Turn:
    """The next step that pages somebody. A whole round of steps that have nobody to page is tried once only."""
    turn = Turn()
    number, round_, vain = escalation.step, escalation.round, 0
    while vain <= len(policy.steps):
        number += 1
        if number > len(policy.steps):
            if round_ > policy.repeat and not turn.wake_ms:
                break
            number, round_ = 1, round_ + 1
        rule = policy.steps[number - 1]
        vain += 1
        if not applies(rule.only, scene):
            continue
        found = targets(rule, scene)
        if found.people or found.receivers:
            turn.taken, turn.wake_ms = (number, round_, found), 0
            break
        turn.passed.append((number, round_, found))
        if found.quiet_until_ms:
            turn.wake_ms = min(turn.wake_ms or found.quiet_until_ms, found.quiet_until_ms)
    return turn


def names_people(policy: Policy) -> bool:
    """Whether a policy pages people at all, and not only receivers."""
    return any(step.people or step.schedules or step.teams or step.owner for step in policy.steps)


def verdict(escalation: Escalation, policy: Policy) -> EscalationEnd:
    """Why it ends after its last step."""
    reached = escalation.told or (escalation.answered and not names_people(policy))
    return "exhausted" if reached else "nobody_reachable"
