"""The words that events are made of, and the shape that all of them share."""

from __future__ import annotations

import re
from typing import Literal, get_args

import msgspec

IncidentState = Literal[
    "triggered", "acknowledged", "assigned", "diagnosing", "mitigated", "resolved", "in_review", "closed", "merged",
    "false_alarm",
]  # fmt: skip
"""Where an incident stands. `merged`, `false_alarm` and `closed` end it; `closed` can be reopened."""

Severity = Literal["critical", "major", "warning", "info"]
Priority = Literal["P1", "P2", "P3", "P4"]
Disposition = Literal[
    "opened", "attached", "repeated", "resolved", "silenced", "inhibited", "in_maintenance", "flapping", "noise",
    "storm", "dropped_by_rule", "invalid",
]  # fmt: skip
"""What became of one received alert: exactly one of these, so that the books balance."""

DISPOSITIONS: tuple[Disposition, ...] = get_args(Disposition)

NoticeKind = Literal["opened", "raised", "reopened", "resolved", "breached", "test", "group"]
Clock = Literal["response", "resolution"]
Outage = Literal["business", "database"]
AccidentLevel = Literal["ordinary", "major", "extraordinary"]


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


class Fact(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag=_snake):
    """What happened, without where and when."""
