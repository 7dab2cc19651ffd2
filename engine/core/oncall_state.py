"""What the core remembers of who is on call, and of whom it is paging."""

from __future__ import annotations

import msgspec

from engine.machines.escalation import Escalation
from schemas.oncall_changes import Change


class OncallState(msgspec.Struct):
    """Changes by id, escalations by incident and policy, and the gaps that were announced."""

    changes: dict[str, Change] = {}
    escalations: dict[str, dict[str, Escalation]] = {}
    """Incident → policy → how far it is; kept as long as the incident is remembered."""
    gaps: dict[str, int] = {}
    """Schedule → the beginning of the gap that was announced."""
    unreachable: dict[str, int] = {}
    """Policies by which nobody could be reached, and since when (UTC milliseconds)."""
    look_ms: int = 0
    """When gaps are looked for next; 0: never."""
