"""Which open incident an alert joins although its own group says nothing: by labels, topology, time and changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from schemas.alert_rules import AlertRules, CorrelationRule


class Candidate(Protocol):
    """An open incident as correlation sees it. Times are UTC milliseconds."""

    @property
    def id(self) -> str:
        """Its identity."""
        ...

    @property
    def service(self) -> str:
        """The affected service."""
        ...

    @property
    def labels(self) -> dict[str, str]:
        """The labels that all of its first alerts share."""
        ...

    @property
    def since_ms(self) -> int:
        """When the present trouble began."""
        ...


class Change(msgspec.Struct, frozen=True):
    """A release or another change to a service."""

    at_ms: int
    service: str
    title: str


class Arrival(msgspec.Struct, frozen=True):
    """What would open an incident: the labels and the service of the worst alert, and when it came."""

    labels: Mapping[str, str]
    service: str
    at_ms: int


class Related(msgspec.Struct, frozen=True):
    """The incident that the alerts join, the rule that says so, and the reason in one line."""

    incident: str
    rule: str
    reason: str


class Correlator:
    """The correlation rules of one version over its service map."""

    def __init__(self, rules: AlertRules) -> None:
        self._rules = rules.correlation
        self._edges: dict[str, dict[str, None]] = {}
        for one in rules.service_map:
            for needed in one.depends_on:
                self._edges.setdefault(one.service, {})[needed] = None
                self._edges.setdefault(needed, {})[one.service] = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is ever related."""
        return not self._rules

    def reach(self, service: str) -> tuple[str, ...] | None:
        """The services whose incidents may be joined, the service itself first; None for any service."""
        if any(rule.hops is None for rule in self._rules):
            return None
        return tuple(self._near(service, max((rule.hops or 0 for rule in self._rules), default=0)))

    def related(self, new: Arrival, open_: Iterable[Candidate], changes: Sequence[Change]) -> Related | None:
        """The open incident that the arrival joins, by the first rule that holds; the oldest of several."""
        candidates = sorted(open_, key=lambda one: (one.since_ms, one.id))
        for rule in self._rules:
            near = None if rule.hops is None else self._near(new.service, rule.hops)
            for candidate in candidates:
                reason = self._reason(rule, new, candidate, near, changes)
                if reason is not None:
                    return Related(candidate.id, rule.name, reason)
        return None

    def _reason(
        self,
        rule: CorrelationRule,
        new: Arrival,
        candidate: Candidate,
        near: Mapping[str, int] | None,
        changes: Sequence[Change],
    ) -> str | None:
        open_ms, labels = new.at_ms - candidate.since_ms, new.labels
        if open_ms > 1000 * rule.within_s or (near is not None and candidate.service not in near):
            return None
        if any(not labels.get(name) or labels[name] != candidate.labels.get(name) for name in rule.labels):
            return None
        said = [f"{name}={labels[name]}" for name in rule.labels]
        if near is not None:
            said.append(_hops(new.service, candidate.service, near[candidate.service]))
        if rule.after_change_s:
            touched, since_ms = {new.service, candidate.service}, new.at_ms - 1000 * rule.after_change_s
            found = [change for change in changes if change.service in touched and change.at_ms >= since_ms]
            if not found:
                return None
            said.append(f"{found[-1].service} was changed {(new.at_ms - found[-1].at_ms) // 60_000} min before")
        return f"{rule.name}: " + ", ".join([*said, f"open for {open_ms // 1000} s"])

    def _near(self, service: str, hops: int) -> dict[str, int]:
        """The services within so many edges, with their distances, nearest first."""
        near = {service: 0}
        edge = [service]
        for distance in range(1, hops + 1):
            edge = [other for one in edge for other in self._edges.get(one, ()) if other not in near]
            near.update(dict.fromkeys(edge, distance))
        return near


def _hops(service: str, other: str, distance: int) -> str:
    if distance == 0:
        return f"same service {service}"
    if distance == 1:
        return f"{service} and {other} are neighbours"
    return f"{service} is {distance} edges from {other}"
