"""What is related: the alerts that make one incident have the same group key, and one partition key, their scope."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

import msgspec

from schemas.config import Grouping, Rules
from schemas.events import Outage

_encode = msgspec.json.Encoder(order="sorted").encode
_OUTAGES = frozenset(get_args(Outage))


def first_present(labels: Mapping[str, str], names: tuple[str, ...], default: str = "") -> str:
    """The value of the first of `names` that is present.

    >>> first_present({"app": "shop", "job": "node"}, ("service", "app", "job"))
    'shop'
    """
    for name in names:
        if value := labels.get(name):
            return value
    return default


def scope_of(labels: Mapping[str, str], grouping: Grouping) -> str:
    """The partition key of an alert."""
    return first_present(labels, grouping.scope, "default")


def group_key_of(labels: Mapping[str, str], rules: Rules) -> str:
    """What alerts of one incident have in common, as ``scope{"label":"value"}``. An outage is a group of its own.

    >>> group_key_of({"cluster": "c1", "service": "shop", "instance": "10.0.0.1"}, Rules())
    'c1{"cluster":"c1","service":"shop"}'
    """
    grouping = rules.grouping
    chosen = {name: labels[name] for name in grouping.by if name in labels}
    if not chosen:
        chosen = {name: labels[name] for name in grouping.fallback if name in labels}
    if outage := outage_of(labels, rules):
        chosen[rules.outage_label] = outage
    return scope_of(labels, grouping) + _encode(chosen).decode()


def outage_of(labels: Mapping[str, str], rules: Rules) -> Outage | None:
    """Whether the alert says that a whole system is down (annex 3)."""
    value = labels.get(rules.outage_label)
    return value if value in _OUTAGES else None  # type: ignore[return-value]
