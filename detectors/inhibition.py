"""Which alerts keep which others quiet, found by the values of the labels that have to be equal, never by trying all.

An alert that is on both sides of a rule is not kept quiet by another that is on both sides, itself included. An alert
inhibits whether or not it is quiet itself. Source: Alertmanager `inhibit/inhibit.go`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from detectors.matchers import MatcherIndex, Matchers, matches
from schemas.denoise import Denoise, read

_Place = tuple[int, tuple[str, ...]]
"""A rule by number, and the values of the labels that have to be equal."""


class InhibitionRule(msgspec.Struct, frozen=True):
    """While an alert that satisfies `source` fires, those that satisfy `target` and agree in `equal` are quiet."""

    name: str
    source: Matchers
    target: Matchers
    equal: tuple[str, ...] = ()


def inhibition_rules(denoise: Denoise) -> Sequence[InhibitionRule]:
    """The rules of inhibition, each with a name."""
    return [
        InhibitionRule(one.name or str(place), read(one.source_matchers), read(one.target_matchers), one.equal)
        for place, one in enumerate(denoise.inhibit, 1)
    ]


class Inhibitor(msgspec.Struct, frozen=True):
    """One firing alert that keeps another quiet, and by which rule."""

    rule: str
    fingerprint: str


class Inhibition:
    """The firing alerts as the sources and targets of rules. `add` when one begins to fire, `remove` when it ends."""

    def __init__(self, rules: Sequence[InhibitionRule]) -> None:
        self._rules = tuple(rules)
        self._sources = MatcherIndex(enumerate(rule.source for rule in rules))
        self._targets = MatcherIndex(enumerate(rule.target for rule in rules))
        self._firing: dict[_Place, dict[str, bool]] = {}
        """Sources that fire, and whether they are on both sides."""
        self._kept: dict[_Place, dict[str, None]] = {}
        """Targets that fire."""

    def __len__(self) -> int:
        return len(self._rules)

    def add(self, fingerprint: str, labels: Mapping[str, str]) -> None:
        """This alert fires from now on."""
        for number in self._sources.matching(labels):
            both = matches(self._rules[number].target, labels)
            self._firing.setdefault(self._place(number, labels), {})[fingerprint] = both
        for number in self._targets.matching(labels):
            self._kept.setdefault(self._place(number, labels), {})[fingerprint] = None

    def remove(self, fingerprint: str, labels: Mapping[str, str]) -> None:
        """This alert fires no longer."""
        for number in self._sources.matching(labels):
            _forget(self._firing, self._place(number, labels), fingerprint)
        for number in self._targets.matching(labels):
            _forget(self._kept, self._place(number, labels), fingerprint)

    def inhibitors(self, labels: Mapping[str, str], before: Sequence[Inhibitor] = ()) -> tuple[Inhibitor, ...]:
        """What keeps an alert with these labels quiet, one source for each rule; those of `before` stay if they can."""
        found = []
        for number in self._targets.matching(labels):
            firing = self._firing.get(self._place(number, labels))
            if not firing:
                continue
            rule = self._rules[number]
            both = matches(rule.source, labels)
            source = next((one.fingerprint for one in before if one.rule == rule.name), "")
            if source not in firing or (both and firing[source]):
                source = min((one for one, is_both in firing.items() if not (both and is_both)), default="")
            if source:
                found.append(Inhibitor(rule.name, source))
        return tuple(found)

    def targets_of(self, labels: Mapping[str, str]) -> Iterator[str]:
        """The firing alerts that an alert with these labels may keep quiet, by fingerprint."""
        seen: dict[str, None] = {}
        for number in self._sources.matching(labels):
            seen.update(self._kept.get(self._place(number, labels), {}))
        return iter(sorted(seen))

    def _place(self, number: int, labels: Mapping[str, str]) -> _Place:
        return number, tuple(labels.get(name, "") for name in self._rules[number].equal)


def _forget(places: dict[_Place, dict[str, bool]] | dict[_Place, dict[str, None]], at: _Place, one: str) -> None:
    there = places.get(at)
    if there is not None:
        there.pop(one, None)
        if not there:
            del places[at]
