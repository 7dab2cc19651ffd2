"""The figures of the faults, written into docs/reliability.md where TOCSIN_WRITE_REPORT=1 asks for it."""

from __future__ import annotations

import os
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.cluster.load import Books

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"


def write_report(rounds: int, seed: int, books: Books, recovery_s: Mapping[str, Sequence[float]]) -> None:
    """Replace the figures of the cluster, between their two marks; does nothing unless it is asked for."""
    if os.environ.get("TOCSIN_WRITE_REPORT") != "1":
        return
    begin, end = "<!-- cluster: begin -->\n", "<!-- cluster: end -->"
    text = DOCUMENT.read_text("utf-8")
    before, rest = text.split(begin)
    _, after = rest.split(end)
    DOCUMENT.write_text(f"{before}{begin}{_tables(rounds, seed, books, recovery_s)}{end}{after}", "utf-8")


def _tables(rounds: int, seed: int, books: Books, recovery_s: Mapping[str, Sequence[float]]) -> str:
    ends = ", ".join(f"{count:,} {end}" for end, count in books.deliveries.items())
    rows = {
        "faults, seed": f"{rounds}, {seed}",
        "acknowledged requests with alerts": f"{books.requests:,} ({books.alerts:,} alerts)",
        "answered commands": f"{books.commands:,}",
        "of these, first answered as accepted and not decided yet (202)": f"{books.undecided_in_time:,}",
        "attempts without an answer (sent again)": f"{books.attempts_without_answer:,}",
        "workers that ended by themselves and were started again": f"{books.ended_by_themselves:,}",
        "**acknowledged and not decided**": f"**{books.lost:,}**",
        "**alerts decided twice**": f"**{books.decided_twice:,}**",
        "incidents": f"{books.incidents:,}",
        "**incidents opened twice**": f"**{books.opened_twice:,}**",
        "records in the topic, and the same in the journal": f"{books.records:,}",
        "events in the log, the same when decided again": f"{books.events:,}",
        "messages, by how they ended": ends,
        "e-mails that arrived": f"{books.mails:,}",
        "**e-mails that arrived twice**": f"**{books.mails_twice:,}**",
    }
    first = "| | |\n| --- | --- |\n" + "".join(f"| {name} | {value} |\n" for name, value in rows.items())
    faults = "\n| fault | rounds | every scope decided again, s: least / median / most |\n| --- | --- | --- |\n"
    for name, times in sorted(recovery_s.items()):
        spread = f"{min(times):.1f} / {statistics.median(times):.1f} / {max(times):.1f}"
        faults += f"| {name.replace('_', ' ')} | {len(times)} | {spread} |\n"
    return first + faults
