"""`python -m tests.simulation --seed N [--seeds COUNT] [--steps N] [--trace] [--write-report]`."""

from __future__ import annotations

import argparse
import sys
from collections import Counter

import msgspec

from tests.simulation import figures
from tests.simulation.history import STEPS, Report, play


def main() -> int:
    """Play histories; the exit code is 1 when an invariant is broken."""
    options = argparse.ArgumentParser(prog="python -m tests.simulation", description="Play simulated histories.")
    options.add_argument("--seed", type=int, default=1, help="the first history")
    options.add_argument("--seeds", type=int, default=1, help="how many histories")
    options.add_argument("--steps", type=int, default=STEPS, help="steps of each, before it calms down")
    options.add_argument("--trace", action="store_true", help="print everything that happens")
    options.add_argument("--write-report", action="store_true", help="write the figures into docs/reliability.md")
    given = options.parse_args()
    reports: list[Report] = []
    for seed in range(given.seed, given.seed + given.seeds):
        report = play(seed, given.steps)
        if given.trace:
            print("\n".join(report.trace))
        if report.violations:
            print(report.failure(), file=sys.stderr)
        reports.append(msgspec.structs.replace(report, trace=[]))
    _summary(reports)
    if given.write_report:
        figures.write(figures.table(given.seed, given.steps, reports))
    return 1 if any(report.violations for report in reports) else 0


def _summary(reports: list[Report]) -> None:
    seen: Counter[str] = Counter()
    for report in reports:
        seen += report.seen
    for path, count in sorted(seen.items()):
        print(f"{count:8}  {path}")
    held = sum(not report.violations for report in reports)
    print(f"{held} of {len(reports)} histories held; the first has the digest {reports[0].digest[:16]}")


if __name__ == "__main__":
    sys.exit(main())
