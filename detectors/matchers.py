"""Which of many sets of matchers do an alert's labels satisfy, without trying each of them.

Each set is filed under one condition that only few alerts satisfy: a label of one value, or one of a few; else a label
that has to be there. An alert is then tried only on what is filed under its own labels.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Generic, TypeVar

import msgspec

from schemas.matchers import (
    Matcher,
    Matchers,
    Operator,
    Syntax,
    check_pattern,
    format_matchers,
    matches,
    parse_matcher,
    parse_matchers,
)

__all__ = [
    "Matcher",
    "MatcherIndex",
    "Matchers",
    "Operator",
    "Syntax",
    "beginning_of",
    "check_pattern",
    "format_matchers",
    "matches",
    "parse_matcher",
    "parse_matchers",
    "values_of",
]  # fmt: skip

Key = TypeVar("Key", bound=Hashable)

_LITERAL = re.compile(r"(?:[^\\.+*?()\[\]{}^$|]|\\[.+*?()\[\]{}^$|/-])*")
MOST_VALUES = 64
"""A set is filed under at most so many values of one label."""


def values_of(matcher: Matcher) -> tuple[str, ...]:
    """The only values that satisfy it, where they are few and none is empty; else none.

    >>> values_of(parse_matcher('env=~"prod|stage"'))
    ('prod', 'stage')
    """
    if matcher.op == "=":
        return (matcher.value,) if matcher.value else ()
    if matcher.op != "=~":
        return ()
    pattern = matcher.value
    if pattern.startswith("^(?:") and pattern.endswith(")$"):
        pattern = pattern[4:-2]
    if pattern.startswith("(") and pattern.endswith(")") and pattern.count("(") == 1 == pattern.count(")"):
        pattern = pattern[1:-1]
    words = pattern.split("|")
    if len(words) > MOST_VALUES or not all(word and _LITERAL.fullmatch(word) for word in words):
        return ()
    return tuple(dict.fromkeys(re.sub(r"\\(.)", r"\1", word) for word in words))


_PLAIN_RUN = re.compile(r"[^\\.+*?()\[\]{}^$|]*")


def beginning_of(matcher: Matcher) -> str:
    """What every value that satisfies a ``=~`` begins with, as far as that is plain to see.

    >>> beginning_of(parse_matcher('host=~"db-1.*"')), beginning_of(parse_matcher('host=~"a|b"'))
    ('db-1', '')
    """
    pattern = matcher.value
    if matcher.op != "=~" or "|" in pattern:
        return ""
    found = _PLAIN_RUN.match(pattern)
    run = found.group() if found else ""
    return run[:-1] if pattern[len(run) : len(run) + 1] in ("*", "?", "{") else run


class _Filed(msgspec.Struct, Generic[Key]):
    key: Key
    number: int
    matchers: Matchers
    rest: Matchers
    """What is left to try where the place already proves one of the matchers."""
    name: str = ""
    values: tuple[str, ...] = ()


class MatcherIndex(Generic[Key]):
    """Many sets of matchers by key. A look-up costs a few dictionary accesses per label, and a try per candidate."""

    def __init__(self, sets: Iterable[tuple[Key, Sequence[Matcher]]] = ()) -> None:
        self._filed: dict[Key, _Filed[Key]] = {}
        self._by_value: dict[str, dict[str, dict[Key, _Filed[Key]]]] = {}
        self._by_name: dict[str, dict[Key, _Filed[Key]]] = {}
        self._anywhere: dict[Key, _Filed[Key]] = {}
        self._number = 0
        for key, matchers in sets:
            self.add(key, matchers)

    def __len__(self) -> int:
        return len(self._filed)

    def __contains__(self, key: object) -> bool:
        return key in self._filed

    def get(self, key: Key) -> Matchers | None:
        """The set with this key."""
        one = self._filed.get(key)
        return one.matchers if one is not None else None

    def add(self, key: Key, matchers: Sequence[Matcher]) -> None:
        """File a set, in place of the one with the same key. No matchers at all match everything."""
        self.remove(key)
        self._number += 1
        one = _Filed(key, self._number, tuple(matchers), tuple(matchers))
        self._filed[key] = one
        proof = min(
            (matcher for matcher in matchers if values_of(matcher)),
            key=lambda matcher: self._crowd(matcher),
            default=None,
        )
        if proof is not None:
            one.name, one.values = proof.name, values_of(proof)
            one.rest = tuple(matcher for matcher in matchers if matcher is not proof)
            places = self._by_value.setdefault(one.name, {})
            for value in one.values:
                places.setdefault(value, {})[key] = one
            return
        needed = next((matcher for matcher in matchers if not matcher.matches("")), None)
        if needed is not None:
            one.name = needed.name
            self._by_name.setdefault(one.name, {})[key] = one
        else:
            self._anywhere[key] = one

    def remove(self, key: Key) -> None:
        """Forget a set; nothing happens where there is none."""
        one = self._filed.pop(key, None)
        if one is None:
            return
        if one.values:
            places = self._by_value[one.name]
            for value in one.values:
                del places[value][key]
                if not places[value]:
                    del places[value]
        elif one.name:
            del self._by_name[one.name][key]
        else:
            del self._anywhere[key]

    def matching(self, labels: Mapping[str, str]) -> list[Key]:
        """The keys of all sets that the labels satisfy, in the order in which they were added."""
        found = [one for one in self._anywhere.values() if matches(one.rest, labels)]
        by_value, by_name = self._by_value, self._by_name
        for name, value in labels.items():
            if (places := by_value.get(name)) and (bucket := places.get(value)):
                found.extend(one for one in bucket.values() if matches(one.rest, labels))
            if bucket := by_name.get(name):
                found.extend(one for one in bucket.values() if matches(one.rest, labels))
        if len(found) > 1:
            found.sort(key=lambda one: one.number)
        return [one.key for one in found]

    def _crowd(self, matcher: Matcher) -> int:
        """How many sets are filed already where this matcher would file its own."""
        places = self._by_value.get(matcher.name, {})
        return sum(len(places.get(value, ())) + 1 for value in values_of(matcher))
