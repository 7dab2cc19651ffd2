"""The notification group: what each receiver has been told of it, and whether it has to be told again.

The decisions are Alertmanager's (`notify/dedup_stage.go`, `notify/retry_stage.go`): new alerts, resolved ones, all of
them resolved, or nothing new for longer than `repeat_interval`. What it keeps as its notification log is `Told` here.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

import msgspec

from schemas.groups import NotifyReason, SuppressionReason


class Told(msgspec.Struct, frozen=True):
    """The state of a group that a receiver knows: fingerprints, and when it was told (UTC milliseconds)."""

    at_ms: int
    firing: list[str] = []
    resolved: list[str] = []


class Way(msgspec.Struct):
    """One integration of a group's receiver. `before` is what it knew before the `delivery` that is under way."""

    told: Told | None = None
    delivery: str = ""
    before: Told | None = None

    def begin(self, told: Told, delivery: str) -> None:
        """A delivery is on its way."""
        self.before, self.told, self.delivery = self.told, told, delivery

    def end(self, *, arrived: bool) -> None:
        """The delivery is over; what did not arrive was not told."""
        if not arrived:
            self.told = self.before
        self.before, self.delivery = None, ""


class Group(msgspec.Struct):
    """Alerts of one route with equal group labels, and what became of them. Times are UTC milliseconds.

    `flushed_ms` is when it was looked at last: further looks come whole `group_interval`s later. `due_ms` is when its
    timer rings (0: none is set). `settling` are resolved alerts that receivers are being told of, by fingerprint, with
    the time of their resolution; they leave the group once that has succeeded.
    """

    id: str
    route: str
    key: str
    receiver: str
    labels: dict[str, str]
    alerts: dict[str, None] = {}
    flushed_ms: int = 0
    due_ms: int = 0
    ways: dict[str, Way] = {}
    held: dict[SuppressionReason, list[str]] = {}
    by: list[str] = []
    settling: dict[str, int] = {}

    @property
    def is_busy(self) -> bool:
        """Whether a delivery is under way."""
        return any(way.delivery for way in self.ways.values())

    def next_look_ms(self, now_ms: int, interval_ms: int) -> int:
        """The first whole interval since the last look that has not passed yet."""
        since_ms = max(now_ms - self.flushed_ms, 1)
        return self.flushed_ms + -(-since_ms // interval_ms) * interval_ms

    def repeat_due_ms(self, repeat_ms: int, interval_ms: int) -> int | None:
        """When a receiver of what still fires has to be told again; None where nobody was told."""
        told = [way.told.at_ms for way in self.ways.values() if way.told is not None and way.told.firing]
        return self.next_look_ms(min(told) + repeat_ms + 1, interval_ms) if told else None


def why_tell(
    told: Told | None,
    firing: AbstractSet[str],
    resolved: AbstractSet[str],
    *,
    send_resolved: bool,
    repeat_before_ms: int,
) -> NotifyReason | None:
    """Why a receiver that knows `told` is told of the group as it stands; None where there is no need.

    What was told before `repeat_before_ms` is told again.
    """
    if told is None:
        return "first" if firing else None
    if not firing <= set(told.firing):
        return "new_alerts" if told.firing else "first"
    if not firing:
        return "all_resolved" if told.firing else None
    if send_resolved and not resolved <= set(told.resolved):
        return "resolved_alerts"
    return "repeat" if told.at_ms < repeat_before_ms else None
