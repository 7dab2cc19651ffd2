"""The accident machine: an outage that passes a line of annex 3 has a deduction proposed, for a person to decide.

Source: procurement document, annex 3 (安全事故定级说明): lines 1 (business system) and 2 (its database).
"""

from __future__ import annotations

import msgspec

from schemas import events as e

HOUR_MS = 3_600_000


class Line(msgspec.Struct, frozen=True):
    """One line of annex 3: an outage of more than `hours` is an accident of `level`, worth `points`."""

    hours: int
    level: e.AccidentLevel
    title: str
    points: int


LINES = (
    Line(8, "ordinary", "一般", 15),
    Line(24, "major", "重大", 30),
    Line(48, "extraordinary", "特大", 100),
)

_CRITERION: dict[e.Outage, int] = {"business": 1, "database": 2}


def propose(incident: str, outage: e.Outage, since_ms: int, line: Line) -> e.AccidentProposed:
    """The deduction for an outage that has lasted longer than `line` allows."""
    return e.AccidentProposed(
        incident=incident,
        level=line.level,
        criterion=f"{line.title}.{_CRITERION[outage]}",
        points=line.points,
        outage=outage,
        outage_hours=line.hours,
        outage_since_ms=since_ms,
    )
