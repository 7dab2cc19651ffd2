"""The figures of the crash harness, written into docs/reliability.md where TOCSIN_WRITE_REPORT=1 asks for it."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from pathlib import Path

from tests.integration.crash_books import Found

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"


def write_report(database: str, kills: int, seed: int, found: Found, ready_s: Sequence[float]) -> None:
    """Replace the figures of one database, between their two marks; does nothing unless it is asked for."""
    if os.environ.get("TOCSIN_WRITE_REPORT") != "1":
        return
    begin, end = f"<!-- {database}: begin -->\n", f"<!-- {database}: end -->"
    text = DOCUMENT.read_text("utf-8")
    before, rest = text.split(begin)
    _, after = rest.split(end)
    DOCUMENT.write_text(f"{before}{begin}{_table(kills, seed, found, ready_s)}{end}{after}", "utf-8")


def _table(kills: int, seed: int, found: Found, ready_s: Sequence[float]) -> str:
    ends = ", ".join(f"{count:,} {end}" for end, count in found.deliveries.items())
    times = f"{min(ready_s):.1f} / {statistics.median(ready_s):.1f} / {max(ready_s):.1f}"
    rows = {
        "kills (SIGKILL), seed": f"{kills}, {seed}",
        "answered requests with alerts": f"{found.answered_requests:,} ({found.answered_alerts:,} alerts)",
        "answered commands": f"{found.answered_commands:,}",
        "attempts without an answer (sent again)": f"{found.unanswered_attempts:,}",
        "of these, bodies that had been kept all the same": f"{found.copies:,}",
        "**answered and lost**": f"**{found.lost:,}**",
        "events in the log": f"{found.events:,}",
        "messages, by how they ended": ends,
        "e-mails that arrived": f"{found.mails:,}",
        "**e-mails that arrived twice**": f"**{found.mails_twice:,}**",
        "restart until ready, s: least / median / most": times,
    }
    return "| | |\n| --- | --- |\n" + "".join(f"| {name} | {value} |\n" for name, value in rows.items())
