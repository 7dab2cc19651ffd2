"""Restore drills (R10.2): what was proven about a backup."""

from __future__ import annotations

from schemas.vocabulary import Fact

RTO_TARGET_MS = 30 * 60_000
"""R10.2: work goes on within 30 minutes after a loss."""
RPO_TARGET_MS = 5 * 60_000
"""R10.2: what a loss takes is no older than 5 minutes."""


class DrillRecorded(Fact, frozen=True):
    """A backup was restored into a place of its own, proven, and put to work (灾备演练).

    `rto_ms` runs from the beginning of the restore to the first accepted alert; `rpo_ms` is the age of the oldest input
    that the backup does not have. `passed` when both are within the promise and there was no `problem`.
    """

    backup: str
    backup_at_ms: int
    records: int
    events: int
    head: str
    decided_again: bool
    rto_ms: int
    rpo_ms: int
    passed: bool
    rto_target_ms: int = RTO_TARGET_MS
    rpo_target_ms: int = RPO_TARGET_MS
    problem: str = ""
