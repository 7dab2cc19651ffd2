"""The alerts that fire in each incident, and why an incident tells nobody."""

from __future__ import annotations

from collections.abc import Iterable

from engine.core.state import AlertState, State
from schemas.events import Disposition

MAINTENANCE = "maintenance/"
"""What the names of maintenance windows begin with, where silences stand beside them by their ids."""
OWN_SOURCE = "tocsin"
"""Alerts that Tocsin raises about itself: nothing keeps them back."""


class Members:
    """The firing alerts by incident; those of an incident that was merged belong to what it was merged into."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._members: dict[str, dict[str, AlertState]] = {}

    def join(self, alert: AlertState) -> None:
        """A firing alert belongs to its incident."""
        self._members.setdefault(self.owner(alert.incident), {})[alert.fingerprint] = alert

    def leave(self, alert: AlertState) -> None:
        """An alert does not fire in its incident any more."""
        root = self.owner(alert.incident)
        if (members := self._members.get(root)) is not None:
            members.pop(alert.fingerprint, None)
            if not members:
                del self._members[root]

    def merge(self, incident: str, into: str) -> None:
        """The alerts of one incident belong to another."""
        if members := self._members.pop(incident, None):
            self._members.setdefault(self.owner(into), {}).update(members)

    def of(self, incident: str) -> Iterable[AlertState]:
        """The alerts that fire in an incident."""
        return self._members.get(incident, {}).values()

    def why_quiet(self, incident: str) -> tuple[Disposition, tuple[str, ...]] | None:
        """Why an incident tells nobody: all alerts that fire in it are quiet. None where one is not, or none fires."""
        first = None
        for alert in self.of(incident):
            if not alert.is_quiet:
                return None
            if first is None or alert.fingerprint < first.fingerprint:
                first = alert
        return quiet_by(first) if first is not None else None

    def owner(self, incident_id: str) -> str:
        """The incident that answers for this one: itself, or what it was merged into."""
        incidents = self._state.incidents
        while (found := incidents.get(incident_id)) is not None and found.merged_into:
            incident_id = found.merged_into
        return incident_id


def quiet_by(alert: AlertState) -> tuple[Disposition, tuple[str, ...]] | None:
    """What keeps an alert quiet: silences count before windows, and these before other alerts."""
    if silences := tuple([name for name in alert.muted_by if not name.startswith(MAINTENANCE)]):
        return "silenced", silences
    if alert.muted_by:
        return "in_maintenance", alert.muted_by
    if alert.inhibited_by:
        return "inhibited", tuple([f"inhibit/{one.rule}" for one in alert.inhibited_by])
    return None
