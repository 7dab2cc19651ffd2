"""The tree of routes: which of them take an alert, and in which group of each it belongs.

The walk is Alertmanager's: depth first, the first route that matches ends the search among its neighbours unless it
says `continue`, and a route of which no child matches takes the alert itself. Neighbours are not tried one by one: an
index names those that the labels satisfy, so a thousand routes cost little more than ten.
Source: Alertmanager `dispatch/route.go`.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Final

import msgspec

from detectors.matchers import Matcher, MatcherIndex, format_matchers, parse_matchers
from schemas.dispatch import ALL_LABELS, DispatchRoute
from schemas.matchers import quoted

GROUP_WAIT_MS: Final = 30_000
GROUP_INTERVAL_MS: Final = 300_000
REPEAT_INTERVAL_MS: Final = 14_400_000
"""Alertmanager's own defaults (`DefaultRouteOpts`)."""
_OPERATORS: Final = ("=", "!=", "=~", "!~")


class RouteOptions(msgspec.Struct, frozen=True):
    """A route with everything that it has from its parents.

    `id` tells it from every other route of the tree; `key` is what messages call it. Times are milliseconds.
    `group_by` is None where all labels make the group.
    """

    id: str
    key: str
    receiver: str
    group_by: frozenset[str] | None
    group_wait_ms: int
    group_interval_ms: int
    repeat_interval_ms: int
    mute: tuple[str, ...]
    active: tuple[str, ...]

    def group_labels(self, labels: Mapping[str, str]) -> dict[str, str]:
        """The labels of an alert that make its group, by name."""
        wanted = self.group_by
        return {name: labels[name] for name in sorted(labels) if wanted is None or name in wanted}


class _Node:
    def __init__(self, options: RouteOptions, *, goes_on: bool) -> None:
        self.options, self.goes_on = options, goes_on
        self.children: list[_Node] = []
        self.index: MatcherIndex[int] = MatcherIndex()


class RouteTree:
    """The routes of one configuration, ready for many alerts."""

    def __init__(self, root: DispatchRoute) -> None:
        self.by_id: dict[str, RouteOptions] = {}
        self._root = self._node(root, None, 0)

    def matching(self, labels: Mapping[str, str]) -> list[RouteOptions]:
        """The routes that take an alert with these labels, in the order of the file; at least the root."""
        found: list[RouteOptions] = []
        _collect(self._root, labels, found)
        return found

    def _node(self, route: DispatchRoute, parent: RouteOptions | None, place: int) -> _Node:
        matchers = sorted(
            (matcher for text in route.matchers for matcher in parse_matchers(text)),
            key=lambda one: (one.name, one.value, _OPERATORS.index(one.op)),
        )
        options = _options(route, parent, matchers, place)
        self.by_id[options.id] = options
        node = _Node(options, goes_on=route.continue_)
        for number, below in enumerate(route.routes):
            node.children.append(self._node(below, options, number))
            node.index.add(number, [one for text in below.matchers for one in parse_matchers(text)])
        return node


def _collect(node: _Node, labels: Mapping[str, str], found: list[RouteOptions]) -> None:
    before = len(found)
    if node.children:
        for number in node.index.matching(labels):
            child = node.children[number]
            _collect(child, labels, found)
            if not child.goes_on:
                break
    if len(found) == before:
        found.append(node.options)


def _options(route: DispatchRoute, parent: RouteOptions | None, matchers: list[Matcher], place: int) -> RouteOptions:
    own = format_matchers(matchers)
    group_by: frozenset[str] | None = parent.group_by if parent else frozenset()
    if route.group_by is not None:
        group_by = None if ALL_LABELS in route.group_by else frozenset(route.group_by)
    return RouteOptions(
        id=f"{parent.id}/{own}/{place}" if parent else own,
        key=f"{parent.key}/{own}" if parent else own,
        receiver=route.receiver or (parent.receiver if parent else ""),
        group_by=group_by,
        group_wait_ms=_given(route.group_wait, parent.group_wait_ms if parent else GROUP_WAIT_MS),
        group_interval_ms=_given(route.group_interval, parent.group_interval_ms if parent else GROUP_INTERVAL_MS),
        repeat_interval_ms=_given(route.repeat_interval, parent.repeat_interval_ms if parent else REPEAT_INTERVAL_MS),
        mute=route.mute_time_intervals,
        active=route.active_time_intervals,
    )


def _given(own_ms: int | None, inherited_ms: int) -> int:
    return inherited_ms if own_ms is None else own_ms


def labels_text(labels: Mapping[str, str]) -> str:
    """Group labels as messages show them, names sorted.

    >>> labels_text({"b": "2", "a": "1"})
    '{a="1", b="2"}'
    """
    return "{" + ", ".join([_pair(name, labels[name]) for name in sorted(labels)]) + "}"


@functools.lru_cache(maxsize=16_384)
def _pair(name: str, value: str) -> str:
    return f"{name}={quoted(value)}"
