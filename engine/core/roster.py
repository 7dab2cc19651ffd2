"""Who is on call, for the outer rooms: `schemas.roster.Roster` over one partition's state."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.core.state import State
from engine.machines import escalation, oncall
from schemas.config import Rules
from schemas.errors import CommandRejected
from schemas.oncall_changes import Change
from schemas.roster import Gap, OnDuty, Paging, Shift


class StateRoster:
    """Answers from the state as it is now."""

    def __init__(self, state: State, rules: Callable[[], Rules]) -> None:
        self._state, self._rules = state, rules

    def rules(self) -> Rules:
        """The rules in force."""
        return self._rules()

    def who(self, schedule: str, at_ms: int) -> OnDuty:
        """Who is on call. Raises CommandRejected (``not_found``)."""
        return oncall.who(self._known(schedule), self._rules(), self.changes(), at_ms)

    def shifts(self, schedule: str, from_ms: int, until_ms: int) -> list[Shift]:
        """All shifts of a time, gaps included, in order. Raises CommandRejected (``not_found``)."""
        return oncall.shifts(self._known(schedule), self._rules(), self.changes(), from_ms, until_ms)

    def gaps(self, from_ms: int, until_ms: int) -> list[Gap]:
        """The times without anybody on call, of every schedule where that is a mistake."""
        return oncall.gaps(self._rules(), self.changes(), from_ms, until_ms)

    def changes(self) -> Sequence[Change]:
        """Overrides, swaps and vacations, in the order in which they were made."""
        return list(self._state.oncall.changes.values())

    def paging(self, incident: str) -> Sequence[Paging]:
        """The escalations of an incident, in the order in which they began."""
        return [self._paging(incident, one) for one in self._state.oncall.escalations.get(incident, {}).values()]

    def _paging(self, incident: str, found: escalation.Escalation) -> Paging:
        policy = self._rules().oncall.policies.get(found.policy)
        following: Sequence[str] = ()
        if policy is not None and not found.ended:
            scene = escalation.Scene(
                self._rules(),
                self.changes(),
                self._state.incidents[incident],
                {},
                max(found.due_ms, self._state.now_ms),
            )
            taken = escalation.next_turn(found, policy, scene).taken
            following = [*taken[2].people, *taken[2].receivers] if taken is not None else policy.fallback
        return Paging(
            found.policy, found.step, found.round, found.people, found.receivers, found.due_ms, following, found.ended
        )

    def _known(self, schedule: str) -> str:
        if schedule not in self._rules().oncall.schedules:
            raise CommandRejected("not_found", f"there is no schedule {schedule}")
        return schedule
