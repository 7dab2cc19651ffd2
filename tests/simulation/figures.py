"""The simulator's section of docs/reliability.md, written from a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.simulation.history import Report
from tests.simulation.rare import RARE_PATHS

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- simulator: begin -->\n", "<!-- simulator: end -->"

CRASHES = "crash: "
SHOWN = (
    "ambiguous commit: append", "database gone: append", "disk full: append", "crash: append, before",
    "crash: append, after", "crash: between two steps", "crash: between a delivery's start and its record",
    "crash: projections, inside", "crash: snapshot, before", "crash: while it starts", "clock set back",
    "clock set forward", "answer lost on its way", "poison", "failover", "page unconfirmed", "page failed",
    "reopened: still firing", "merged while alerts fire", "breached: response", "outage proposed: 48 h",
)  # fmt: skip


def table(first: int, steps: int, reports: Sequence[Report]) -> str:
    """The figures of a run as a table in Markdown."""
    seen: Counter[str] = Counter()
    for report in reports:
        seen += report.seen
    held = sum(not report.violations for report in reports)
    rows = {
        "histories (seeds), steps of each": f"{len(reports):,} ({first} to {first + len(reports) - 1}), {steps}",
        "**histories in which every invariant held**": f"**{held:,}**",
        "simulated time": f"{sum(report.virtual_s for report in reports) / 86_400:,.0f} days",
        "records journalled, events logged": f"{_sum(reports, 'records'):,}, {_sum(reports, 'events'):,}",
        "lives of the process": f"{_sum(reports, 'lives'):,}",
        "crashes": f"{sum(count for path, count in seen.items() if path.startswith(CRASHES)):,}",
        "rare paths that must be taken, taken": f"{len(RARE_PATHS)}, {sum(bool(seen[path]) for path in RARE_PATHS)}",
        **{f"times: {path}": f"{seen[path]:,}" for path in SHOWN},
    }
    return "| | |\n| --- | --- |\n" + "".join(f"| {name} | {value} |\n" for name, value in rows.items())


def _sum(reports: Sequence[Report], field: str) -> int:
    return sum(getattr(report, field) for report in reports)


def write(figures: str) -> None:
    """Put the figures between their two marks."""
    before, rest = DOCUMENT.read_text("utf-8").split(BEGIN)
    DOCUMENT.write_text(f"{before}{BEGIN}{figures}{END}{rest.split(END)[1]}", "utf-8")
