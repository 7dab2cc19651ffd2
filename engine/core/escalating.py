"""Escalations at work: people are paged step by step until one answers (R1.3, R1.8).

Everything that an escalation has to know of reaches it as a signal after the record's own events; time reaches it by
the timer ``escalate``. Nothing here is cancelled: a timer that no longer matters is not listened to.
"""

from __future__ import annotations

from typing import assert_never

import msgspec

from engine.core import notices
from engine.core.signals import Call, Ended, Moved, Taken
from engine.core.step import Step
from engine.machines import escalation as machine
from engine.machines import oncall
from engine.machines.escalation import Escalation, Scene
from engine.machines.incident import Incident
from schemas import events as e
from schemas.oncall_changes import EscalationEnd, EscalationEnded, EscalationStarted, EscalationStep

NOBODY_ALERT = "TocsinNobodyReachable"
_ANSWERED = ("acknowledged", "assigned", "diagnosing", "mitigated")
_STARTS = ("opened", "reopened", "raised", "breached", "stuck")
_replace = msgspec.structs.replace


def take(step: Step) -> None:
    """Take up the signals of a record, those that come of it included."""
    while step.signals:
        signal = step.signals.pop(0)
        match signal:
            case Call():
                _call(signal, step)
            case Moved():
                _moved(signal, step)
            case Taken():
                _end_all(signal.incident, "acknowledged", step)
            case Ended():
                _delivered(signal, step)
            case _:
                assert_never(signal)


def ring(key: str, due_ms: int, step: Step) -> None:
    """The wait of a step is over."""
    incident, _, policy = key.rpartition("|")
    found = step.state.oncall.escalations.get(incident, {}).get(policy)
    if found is not None and not found.ended and found.due_ms == due_ms:
        _advance(incident, found, step)


# --- signals ----------------------------------------------------------------------------------------------------------


def _call(call: Call, step: Step) -> None:
    about = step.state.incidents[call.incident]
    known = step.state.oncall.escalations.get(about.id, {}).get(call.policy)
    if call.kind == "resolved" or (call.kind == "breached" and known is not None and known.ended):
        for person in known.told if known is not None else ():
            if not _sleeps(person, about, step):
                _tell(person, _notice(call.kind, about, call.reason, call.lines, step), about, step)
        return
    if not about.is_open or call.kind not in _STARTS:
        return
    if known is not None and not known.ended and (call.kind == "breached" or known.started_ms == step.at_ms):
        return  # it is at work already
    told = known.told if known is not None else ()
    fresh = Escalation(call.policy, call.kind, step.at_ms, call.reason, call.lines, told=told)
    step.log(
        EscalationStarted(about.id, call.policy, call.kind, step.state.rules_version),
        scope=about.scope, subject=f"incident/{about.id}",
    )  # fmt: skip
    _advance(about.id, fresh, step)


def _sleeps(person: str, about: Incident, step: Step) -> bool:
    """Whether news that asks nobody to act has to leave this person alone: quiet hours, or a vacation."""
    rule = step.rules.oncall.people.get(person)
    if rule is None or about.priority == "P1":
        return rule is None
    changes = step.state.oncall.changes.values()
    return bool(oncall.quiet_until(rule, step.rules, step.at_ms)) or oncall.away(person, changes, step.at_ms)


def _moved(moved: Moved, step: Step) -> None:
    about = step.state.incidents[moved.incident]
    if not about.is_open:
        _end_all(about.id, "over", step)
    elif moved.now in _ANSWERED and moved.was == "triggered":
        _end_all(about.id, "acknowledged", step)
    elif moved.now == "triggered" and moved.was in _ANSWERED:
        for route in notices.routes_of(about, step.rules):
            if route.policy:
                _call(Call(about.id, route.policy, "reopened", "", []), step)


def _delivered(ended: Ended, step: Step) -> None:
    incident = ended.delivery.incident
    for found in list(step.state.oncall.escalations.get(incident, {}).values()):
        if ended.delivery.id not in found.open:
            continue
        rest = {name: person for name, person in found.open.items() if name != ended.delivery.id}
        person = found.open[ended.delivery.id]
        if isinstance(ended.event, e.DeliverySucceeded | e.DeliveryUnconfirmed):
            told = found.told if not person or person in found.told else (*found.told, person)
            _keep(incident, _replace(found, open=rest, answered=True, told=told), step)
            if person:
                _reachable(found.policy, step)
            continue
        after = _replace(found, open=rest)
        _keep(incident, after, step)
        if isinstance(ended.event, e.DeliveryFailed) and not rest and not found.answered and not found.ended:
            _advance(incident, after, step)  # nobody of this step was reached: no use in waiting


# --- steps ------------------------------------------------------------------------------------------------------------


def _advance(incident: str, found: Escalation, step: Step) -> None:
    """Take the next step, or end."""
    about, policy = step.state.incidents[incident], step.rules.oncall.policies.get(found.policy)
    if policy is None:
        _end(about, found, "rules_changed", step)
        return
    others = step.state.oncall.escalations.get(incident, {}).values()
    busy = {
        person: one.policy
        for one in others
        if one.policy != found.policy and not one.ended
        for person in one.people
    }  # fmt: skip
    changes = list(step.state.oncall.changes.values())
    turn = machine.next_turn(found, policy, Scene(step.rules, changes, about, busy, step.at_ms))
    for number, round_, passed in turn.passed:
        due_ms = turn.wake_ms or step.at_ms
        _log_step(about, EscalationStep(about.id, found.policy, number, round_, due_ms, skipped=passed.skipped), step)
    if turn.taken is not None:
        _page(about, found, turn.taken, step)
    elif turn.wake_ms:
        _wait(about, _replace(found, due_ms=turn.wake_ms, people=(), receivers=(), open={}), step)
    else:
        _give_up(about, found, step)


def _page(about: Incident, found: Escalation, taken: tuple[int, int, machine.Targets], step: Step) -> None:
    number, round_, targets = taken
    due_ms = step.at_ms + 1000 * step.rules.oncall.policies[found.policy].steps[number - 1].wait_s
    event = EscalationStep(
        about.id, found.policy, number, round_, due_ms, list(targets.people), targets.receivers, targets.people,
        targets.skipped,
    )  # fmt: skip
    _log_step(about, event, step)
    after = _replace(
        found, step=number, round=round_, due_ms=due_ms, people=tuple(targets.people), answered=False,
        receivers=tuple(targets.receivers), open={},
    )  # fmt: skip
    _keep(about.id, after, step)
    notice = _notice(found.kind, about, found.reason, found.lines, step)
    opened = {_tell(person, notice, about, step): person for person in targets.people}
    opened |= {_tell_receiver(receiver, notice, about, step): "" for receiver in targets.receivers}
    _wait(about, _replace(after, open=opened), step)


def _wait(about: Incident, found: Escalation, step: Step) -> None:
    _keep(about.id, found, step)
    step.timers.set(found.due_ms, "escalate", f"{about.id}|{found.policy}")


def _give_up(about: Incident, found: Escalation, step: Step) -> None:
    policy = step.rules.oncall.policies[found.policy]
    reason = machine.verdict(found, policy)
    _end(about, found, reason, step)
    notice = _notice(found.kind, about, reason, found.lines, step)
    for receiver in policy.fallback:
        _tell_receiver(receiver, notice, about, step)
    if reason == "nobody_reachable" and about.labels.get("alertname") != NOBODY_ALERT:
        summary = f"nobody could be reached for {about.id} by policy {found.policy}"
        step.own.append((_labels(found.policy), summary, True))
        step.state.oncall.unreachable[found.policy] = step.at_ms


def _reachable(policy: str, step: Step) -> None:
    if step.state.oncall.unreachable.pop(policy, None) is not None:
        step.own.append((_labels(policy), f"policy {policy} reaches people again", False))


def _labels(policy: str) -> dict[str, str]:
    return {"alertname": NOBODY_ALERT, "service": "tocsin", "severity": "critical", "policy": policy}


# --- telling and keeping ----------------------------------------------------------------------------------------------


def _notice(kind: e.NoticeKind, about: Incident, reason: str, lines: list[str], step: Step) -> e.Notice:
    notice = notices.notice_of(kind, about, step.rules, step.at_ms, refs=[], reason=reason)
    return _replace(notice, alerts=lines)


def _tell(person: str, notice: e.Notice, about: Incident, step: Step) -> str:
    """Page one person by their contacts, the first that works; the delivery's id."""
    rule = step.rules.oncall.people.get(person)
    if rule is None:
        return ""
    own = _replace(
        notice, person=person, language=rule.language or notice.language, timezone=rule.timezone or notice.timezone
    )
    step.request(person, rule.contacts, own, scope=about.scope)
    return f"{about.id}.{step.state.told[about.id]}"


def _tell_receiver(receiver: str, notice: e.Notice, about: Incident, step: Step) -> str:
    step.request(receiver, step.rules.receivers[receiver].channels, notice, scope=about.scope)
    return f"{about.id}.{step.state.told[about.id]}"


def _end_all(incident: str, reason: EscalationEnd, step: Step) -> None:
    about = step.state.incidents[incident]
    for found in list(step.state.oncall.escalations.get(incident, {}).values()):
        if not found.ended:
            _end(about, found, reason, step)


def _end(about: Incident, found: Escalation, reason: EscalationEnd, step: Step) -> None:
    _keep(about.id, _replace(found, ended=reason, due_ms=0), step)
    ended = EscalationEnded(about.id, found.policy, reason, list(found.told))
    step.log(ended, scope=about.scope, subject=f"incident/{about.id}")


def _keep(incident: str, found: Escalation, step: Step) -> None:
    step.state.oncall.escalations.setdefault(incident, {})[found.policy] = found


def _log_step(about: Incident, event: EscalationStep, step: Step) -> None:
    step.log(event, scope=about.scope, subject=f"incident/{about.id}")
