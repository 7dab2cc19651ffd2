"""What the core writes down about alerts that it keeps back, and about what keeps them back."""

from __future__ import annotations

from typing import Literal

from schemas.alert_refs import AlertRef
from schemas.vocabulary import Disposition, Fact, NoticeKind

WhyReleased = Literal["healed", "ended", "reconfigured"]
"""`healed`: the alert is over. `ended`: nothing holds it any longer. `reconfigured`: the rules changed."""


class AlertsHeld(Fact, frozen=True):
    """Alerts open nothing and wake nobody; all of one record that are held alike are one event.

    `by` names what holds them: ids of silences, ``maintenance/NAME``, ``inhibit/NAME``, ``noise/NAME``,
    ``hold_back/NAME``, ``rule/NAME``, ``flapping``. `sources` are the fingerprints of the alerts that inhibit them.
    `again` says that they were judged before, and held otherwise.
    """

    disposition: Disposition
    by: list[str]
    alerts: list[AlertRef]
    sources: list[str] = []
    again: bool = False
    rules_version: int = 0


class AlertsReleased(Fact, frozen=True):
    """Alerts are held no longer. Those that still fire are judged in the same record as if they came now."""

    disposition: Disposition
    by: list[str]
    fingerprints: list[str]
    why: WhyReleased
    rules_version: int = 0


class FlappingStarted(Fact, frozen=True):
    """An alert changes too often: it is held until it has calmed. `ratio` is the weighted share of changes (0 to 1)."""

    fingerprint: str
    ratio: float
    changes: int


class FlappingEnded(Fact, frozen=True):
    """An alert has calmed down."""

    fingerprint: str
    ratio: float


class WindowOpened(Fact, frozen=True):
    """A maintenance window (维护窗口) has begun; it lasts until `until_ms`."""

    window: str
    until_ms: int
    muted: int = 0
    rules_version: int = 0


class WindowClosed(Fact, frozen=True):
    """A maintenance window is over, or the rules no longer have it; all that it held is judged again."""

    window: str


class StormStarted(Fact, frozen=True):
    """New alerts of a scope come far faster than usual: one incident takes those that would open others.

    `arrived` came within the last `window_s` seconds; `usual` is the learned number for such a time.
    """

    incident: str
    arrived: int
    usual: float
    window_s: int
    rules_version: int = 0


class StormEnded(Fact, frozen=True):
    """The storm is over; the `absorbed` alerts that still fire are judged again."""

    incident: str
    absorbed: int
    lasted_ms: int


class PageWithheld(Fact, frozen=True):
    """Nobody is told, because all alerts of the incident that fire are quiet; it is told later if they still fire then.

    `reason` is the disposition that they would have, `by` names what keeps them quiet.
    """

    incident: str
    kind: NoticeKind
    reason: Disposition
    by: list[str]
    rules_version: int = 0


class RulesHit(Fact, frozen=True):
    """How many alerts each silence, window and rule has held since the last such event, by its name."""

    since_ms: int
    hits: dict[str, int]


HeldEvent = (
    AlertsHeld | AlertsReleased | FlappingStarted | FlappingEnded | WindowOpened | WindowClosed
    | StormStarted | StormEnded | PageWithheld | RulesHit
)  # fmt: skip
