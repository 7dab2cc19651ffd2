"""The order in which Alertmanager shows label sets and alerts, as keys for sorting.

Sources: `prometheus/common`, `model.LabelSet.Before`; Alertmanager `alert/alert.go`, `AlertSlice.Less`.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

_FIRST = ("job", "instance")
"""Labels that alerts are sorted by before all others."""


def label_order(labels: Mapping[str, str]) -> tuple[object, ...]:
    """By the number of labels, then by name and value of each.

    Of two names at the same place the later one comes first: `LabelSet.Before` takes the absent label for the less.
    """
    return len(labels), [(_backwards(name), labels[name]) for name in sorted(labels)]


def alert_order(labels: Mapping[str, str]) -> tuple[object, ...]:
    """By job, by instance (absent comes last), then as label sets are sorted."""
    first = tuple((name not in labels, labels.get(name, "")) for name in _FIRST)
    return (*first, *label_order(labels))


@functools.lru_cache(maxsize=4096)
def _backwards(name: str) -> tuple[int, ...]:
    return (*(-ord(character) for character in name), 1)
