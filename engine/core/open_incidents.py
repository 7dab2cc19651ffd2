"""The open incidents of each service, for those who look for related ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from engine.core.state import State
from engine.machines.incident import Incident


class OpenIncidents:
    """Incidents that alerts may join by correlation. Follows from the state; nothing of it is kept in a snapshot."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._by_service: dict[tuple[str, str], dict[str, None]] = {}
        for incident in state.incidents.values():
            self.note(incident)

    def note(self, incident: Incident) -> None:
        """An incident stands like this now."""
        place = (incident.scope, incident.service)
        if incident.is_open and incident.origin == "alert" and incident.outage is None:
            self._by_service.setdefault(place, {})[incident.id] = None
        elif (known := self._by_service.get(place)) is not None:
            known.pop(incident.id, None)
            if not known:
                del self._by_service[place]

    def of(self, scope: str, services: Iterable[str] | None) -> Iterator[Incident]:
        """The open incidents of some services in a scope, or of any service."""
        if services is None:
            places = [place for place in self._by_service if place[0] == scope]
        else:
            places = [(scope, service) for service in services]
        for place in places:
            for incident in self._by_service.get(place, ()):
                yield self._state.incidents[incident]
