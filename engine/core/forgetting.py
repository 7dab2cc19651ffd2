"""What the core forgets, so that its state stays as large as what is alive: incidents that are over, alerts resolved.

The log, the archive and the read models go on telling of them. It is a timer of the core that lets go, so that a
replay forgets at the same records.
"""

from __future__ import annotations

from engine.core import triage
from engine.core.state import State
from engine.core.timers import Timers
from engine.machines.incident import Incident
from schemas.config import Rules
from schemas.errors import CommandRejected


def kept_ms(rules: Rules) -> int:
    """How long an incident is remembered after its last event, in milliseconds; it could be reopened until then."""
    return 1000 * max(rules.incident_kept_s, rules.grouping.reopen_within_s)


def note(after: Incident, state: State, rules: Rules, timers: Timers) -> None:
    """An event has happened to an incident: if it is over, it is kept for so long from now on."""
    if after.is_open:
        state.over.pop(after.id, None)
        return
    if after.id not in state.over:
        timers.set(state.now_ms + kept_ms(rules), "retire", after.id)
    state.over[after.id] = state.now_ms


def retire(incident_id: str, state: State, rules: Rules, timers: Timers) -> None:
    """Forget an incident whose time has come, with those into which it was merged; else look again later."""
    found = state.incidents.get(incident_id)
    if found is None or found.id not in state.over:
        return
    chain = _chain(found, state)
    due_ms = max(_due_ms(each, state, rules) for each in chain)
    if due_ms > state.now_ms:
        timers.set(due_ms, "retire", incident_id)
        return
    for each in reversed(chain):
        _forget(each, state)


def _chain(found: Incident, state: State) -> list[Incident]:
    """An incident, what it was merged into, and so on; it is remembered as long as any of them."""
    chain = [found]
    while (into := state.incidents.get(chain[-1].merged_into)) is not None:
        chain.append(into)
    return chain


def _due_ms(found: Incident, state: State, rules: Rules) -> int:
    latest_ms = state.over.get(found.id)
    fires = found.firing > 0 and not found.merged_into
    told = range(1, state.told.get(found.id, 0) + 1)
    if latest_ms is None or fires or any(f"{found.id}.{number}" in state.deliveries for number in told):
        return state.now_ms + kept_ms(rules)
    return latest_ms + kept_ms(rules)


def _forget(found: Incident, state: State) -> None:
    for page in (state.incidents, state.over, state.clocks, state.told, state.reached, state.withheld):
        page.pop(found.id, None)
    state.oncall.escalations.pop(found.id, None)
    for group_key in (found.group_key, *state.joined.pop(found.id, ())):
        if state.groups.get(group_key, found.id) not in state.incidents:
            state.groups.pop(group_key, None)


def refuse_forgotten(incident_id: str, state: State) -> None:
    """Raise CommandRejected for an incident that was there once and is forgotten."""
    number = incident_id.rpartition("-")[2]
    if incident_id in state.incidents or not number.isdecimal():
        return
    for scope, latest in state.numbers.items():
        if int(number) <= latest and triage.incident_id(scope, int(number)) == incident_id:
            reason = (
                f"{incident_id} has been over for too long to be changed; report what is new as an incident of its own"
            )
            raise CommandRejected("not_allowed_in_state", reason)


def may_be_there(incident_id: str, state: State) -> bool:
    """Whether an incident is known, was once, or is of a scope that this partition knows nothing of."""
    if incident_id in state.incidents:
        return True
    prefix, _, number = incident_id.rpartition("-")
    for scope, latest in state.numbers.items():
        if triage.incident_id(scope, 0).rpartition("-")[0] == prefix:
            return number.isdecimal() and 0 < int(number) <= latest
    return prefix.startswith("INC-") and number.isdecimal()


def reconsider(state: State, before: Rules, rules: Rules, timers: Timers) -> None:
    """Other rules: what is to be forgotten earlier is; and what is kept for longer rings again."""
    if kept_ms(rules) < kept_ms(before):
        for incident_id, latest_ms in state.over.items():
            timers.set(latest_ms + kept_ms(rules), "retire", incident_id)
    if rules.resolved_kept_s != before.resolved_kept_s:
        for alert in state.alerts.values():
            if not alert.firing:
                timers.set(alert.resolved_ms + 1000 * rules.resolved_kept_s, "forget", alert.fingerprint)
