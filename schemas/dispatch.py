"""Alertmanager's routing as configuration: a tree of routes, notification groups, receivers, mute and active times.

`rules.dispatch` is for receivers that expect what Alertmanager sends: one message per group of alerts. It is journalled
with the other rules, so addresses and secrets stay in `channels`. Source: Alertmanager `config/config.go`.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Annotated, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from schemas.durations import Duration
from schemas.matchers import parse_matchers
from schemas.sections import Name, Section
from schemas.time_intervals import TimeInterval

ALL_LABELS = "..."
"""As `group_by`: every label set is a group of its own."""
_DEEPEST = 50


def _matchers(text: str) -> str:
    parse_matchers(text)
    return text


MatcherText = Annotated[str, AfterValidator(_matchers)]
"""One or more matchers, ``severity="critical"`` for example."""


class DispatchRoute(Section):
    """A node of the tree: which alerts, to which receiver, grouped how. What is not given comes from its parent."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)

    receiver: str = ""
    """Who is told."""
    matchers: tuple[MatcherText, ...] = ()
    """All have to be satisfied."""
    continue_: Annotated[bool, Field(alias="continue")] = False
    """Go on to the next routes beside this one as well."""
    group_by: tuple[str, ...] | None = None
    """Labels whose values make a group; ``...`` for all of them; an empty list for one group."""
    group_wait: Duration | None = None
    """How long the first message of a group waits for more alerts (30s)."""
    group_interval: Duration | None = None
    """How long the next message about a changed group waits (5m)."""
    repeat_interval: Duration | None = None
    """How long an unchanged group that still fires waits to be told again (4h)."""
    mute_time_intervals: tuple[str, ...] = ()
    """Names of `time_intervals` in which nothing is sent."""
    active_time_intervals: tuple[str, ...] = ()
    """Names of `time_intervals` outside of which nothing is sent."""
    routes: tuple[DispatchRoute, ...] = ()
    """The routes below: the first that matches takes the alert, and the next ones while it says `continue`."""

    @model_validator(mode="after")
    def _is_a_route(self) -> Self:
        group_by = self.group_by or ()
        if ALL_LABELS in group_by and len(group_by) > 1:
            raise ValueError("group_by: cannot have `...` and other labels at the same time")
        for index, label in enumerate(group_by):
            if not label:
                raise ValueError("group_by: expected the name of a label")
            if label in group_by[:index]:
                raise ValueError(f"group_by: label {label!r} is given twice")
        if self.group_interval == 0:
            raise ValueError("group_interval: cannot be zero")
        if self.repeat_interval == 0:
            raise ValueError("repeat_interval: cannot be zero")
        return self


class Integration(Section):
    """One way to a receiver. Several of one receiver are all told, each with a memory of its own."""

    channel: Name
    """One of `channels`."""
    send_resolved: bool = True
    """Tell of resolved alerts, too."""


class DispatchReceiver(Section):
    """Who is told. Without integrations nobody is, which is fine for a route that only keeps alerts away."""

    integrations: tuple[Integration, ...] = ()
    """The ways to it; each is told."""

    @model_validator(mode="after")
    def _each_channel_once(self) -> Self:
        channels = [integration.channel for integration in self.integrations]
        for index, channel in enumerate(channels):
            if channel in channels[:index]:
                raise ValueError(f"integrations[{index}].channel: channel {channel!r} is given twice")
        return self


class Dispatch(Section):
    """Notification groups as Alertmanager makes them; off without a `route`."""

    route: DispatchRoute | None = None
    """The root: every alert that no route below it takes. It has a receiver and no matchers."""
    receivers: dict[str, DispatchReceiver] = {}
    """Who is told, by a name of any characters."""
    time_intervals: dict[str, tuple[TimeInterval, ...]] = {}
    """Recurring times by name, for routes to be muted or active in."""

    @model_validator(mode="after")
    def _leads_somewhere(self) -> Self:
        if self.route is not None:
            check_tree(self.route, self.receivers, self.time_intervals)
        return self

    def channels(self) -> Iterator[tuple[str, str]]:
        """Each channel that an integration uses, with the integration's place."""
        for name, receiver in self.receivers.items():
            for index, integration in enumerate(receiver.integrations):
                yield f"receivers.{name}.integrations[{index}].channel", integration.channel


def check_tree(root: DispatchRoute, receivers: Container[str], time_intervals: Container[str]) -> None:
    """Raise ValueError, its text beginning with the place, where the tree has no root or leads to an unknown name."""
    if not root.receiver:
        raise ValueError("route.receiver: the root route must name a receiver")
    for key in ("matchers", "continue_", "mute_time_intervals", "active_time_intervals"):
        if getattr(root, key):
            raise ValueError(f"route.{key.rstrip('_')}: the root route must not have any")
    for place, route in _walk(root, "route"):
        if route.receiver and route.receiver not in receivers:
            raise ValueError(f"{place}.receiver: no receiver named {route.receiver!r}")
        for key in ("mute_time_intervals", "active_time_intervals"):
            for index, name in enumerate(getattr(route, key)):
                if name not in time_intervals:
                    raise ValueError(f"{place}.{key}[{index}]: no time interval named {name!r}")


def _walk(route: DispatchRoute, place: str, depth: int = 0) -> Iterator[tuple[str, DispatchRoute]]:
    if depth > _DEEPEST:
        raise ValueError(f"{place}: routes are nested more than {_DEEPEST} deep")
    yield place, route
    for index, below in enumerate(route.routes):
        yield from _walk(below, f"{place}.routes[{index}]", depth + 1)
