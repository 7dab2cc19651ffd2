"""What is a duplicate: whether a report of an alert tells something new, or only what is known already.

Senders repeat themselves (Prometheus every minute), come in pairs (high availability), retry after a lost answer, and
are overtaken on the way. None of that is a second alert.
"""

from __future__ import annotations

from typing import Literal, Protocol

from schemas.alerts import Alert

Verdict = Literal["news", "repeat", "overtaken", "earlier_end"]
"""`news`: it began, or it ended. `repeat`: said before. `overtaken`: a firing whose own resolution arrived before it.
`earlier_end`: the end of an earlier episode, arriving during the present one."""


class Remembered(Protocol):
    """What must be known of an alert to recognise its reports. Times are UTC milliseconds."""

    firing: bool
    starts_ms: int
    resolved_ms: int


def verdict(known: Remembered | None, reported: Alert, at_ms: int, *, reorder_window_s: int) -> Verdict:
    """What `reported`, received at `at_ms`, tells beyond what is `known` of the same label set.

    A firing with the start of an episode that was resolved less than `reorder_window_s` ago was merely overtaken; later
    than that it is news, for a lost alert is worse than a reopened incident.
    """
    if known is None:
        return "news"
    firing = reported.status == "firing"
    if known.firing == firing:
        return "repeat"
    if firing:
        soon = at_ms - known.resolved_ms <= 1000 * reorder_window_s
        return "overtaken" if soon and reported.starts_ms <= known.starts_ms else "news"
    return "earlier_end" if reported.ends_ms is not None and reported.ends_ms < known.starts_ms else "news"
