"""What is promised for an incident and by when (R11), and accidents proposed from outages (R12, annex 3)."""

from __future__ import annotations

from schemas.vocabulary import AccidentLevel, Clock, Fact, Outage


class SlaClockStarted(Fact, frozen=True):
    """A promise runs: `target_s` seconds until `due_ms` (R11)."""

    incident: str
    clock: Clock
    target_s: int
    due_ms: int


class SlaClockStopped(Fact, frozen=True):
    """The promised thing was done after `elapsed_ms`; `breached` when that was too late."""

    incident: str
    clock: Clock
    elapsed_ms: int
    breached: bool


class SlaClockBreached(Fact, frozen=True):
    """The due time passed and the promised thing is not done."""

    incident: str
    clock: Clock
    target_s: int
    due_ms: int


class AccidentProposed(Fact, frozen=True):
    """An outage passed a line of annex 3 (安全事故定级说明): a deduction is proposed, for a person to decide.

    `criterion` is the line (``一般.1``), `points` the deduction (15, 30 or 100), `outage_hours` the line's hours.
    """

    incident: str
    level: AccidentLevel
    criterion: str
    points: int
    outage: Outage
    outage_hours: int
    outage_since_ms: int
