"""Writes the table of channels × faults in docs/channels.md, from what each channel really does.

Run it as `.venv/bin/python -m tests.channel_table`; the contract test compares each cell.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.channel_rigs import FAULTS, PAIRS, RIGS, meet

PAGE = Path(__file__).resolve().parents[1] / "docs" / "channels.md"
BEGIN, END = "<!-- table: channel x fault -->\n", "<!-- end of table -->\n"
HEADS = {
    "accepted": "accepted", "slow": "slow", "over_long": "over-long", "error_in_200": "error in a 200",
    "throttled": "throttled", "429": "429", "5xx": "500", "permanent": "404", "nobody": "nobody listens",
    "hang": "no answer", "cut": "cut",
}  # fmt: skip


def table(cells: dict[tuple[str, str], str]) -> str:
    """The table in Markdown; a pair that does not exist is a dash."""
    lines = ["| channel | " + " | ".join(HEADS[fault] for fault in FAULTS) + " |", "| --- |" + " --- |" * len(FAULTS)]
    lines += [f"| {name} | " + " | ".join(cells.get((name, fault), "–") for fault in FAULTS) + " |" for name in RIGS]
    return "\n".join(lines) + "\n"


def shown(page: str) -> dict[str, dict[str, str]]:
    """The table that stands in a page: channel → fault → word."""
    lines = page.partition(BEGIN)[2].partition(END)[0].splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: dict(zip(FAULTS, row[1:], strict=True)) for row in rows}  # type: ignore[misc]


async def measured() -> dict[tuple[str, str], str]:
    """Let every channel meet every fault."""
    return {(name, fault): (await meet(name, fault))[0] for name, fault in PAIRS}


def main() -> None:
    """Write the table anew."""
    page = PAGE.read_text("utf-8")
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(before + BEGIN + table(asyncio.run(measured())) + END + after, "utf-8")


if __name__ == "__main__":
    main()
