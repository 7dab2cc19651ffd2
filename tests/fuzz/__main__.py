"""Runs every harness for a bounded time, one after another, and says what was tried; exit code 1 for a finding.

Inputs that led to new code are kept in `var/fuzz/corpus` for the next run, findings in `var/fuzz/findings`.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple

from tests.fuzz.harnesses import HARNESSES, ROOT, YAML, corpus

WORK: Final = ROOT / "var" / "fuzz"
LONGEST_INPUT: Final = 16 * 1024
LONGEST_YAML: Final = 2 * 1024
"""Bytes; beyond the largest recorded payload, and short enough for many tries a second: YAML is read slowly."""
LONGEST_TRY_S: Final = 5
"""One input that takes longer is a finding."""
MOST_MEMORY_MB: Final = 2048


class Fuzzed(NamedTuple):
    """What one harness has come to: inputs tried, code edges reached, and its output where it found something."""

    name: str
    runs: int
    edges: int
    finding: str


def fuzz(name: str, seconds: int, seed: int) -> Fuzzed:
    """Run one harness for `seconds`."""
    kept, given, findings = (WORK / part / name for part in ("corpus", "given", "findings"))
    for folder in (kept, given, findings):
        folder.mkdir(parents=True, exist_ok=True)
    for body in corpus(name):
        (given / hashlib.sha256(body).hexdigest()[:16]).write_bytes(body)
    longest = LONGEST_YAML if name in YAML else LONGEST_INPUT
    options = {
        "max_total_time": seconds, "seed": seed, "max_len": longest, "timeout": LONGEST_TRY_S,
        "rss_limit_mb": MOST_MEMORY_MB, "artifact_prefix": f"{findings}/", "print_final_stats": 1,
    }  # fmt: skip
    command = [sys.executable, "-m", "tests.fuzz.one", name, str(kept), str(given)]
    command += [f"-{option}={value}" for option, value in options.items()]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)
    output = ran.stdout + ran.stderr
    edges = [int(found) for found in re.findall(r"cov: (\d+)", output)]
    runs = re.search(r"number_of_executed_units: (\d+)", output)
    return Fuzzed(name, int(runs[1]) if runs else 0, max(edges, default=0), output if ran.returncode else "")


def replay(name: str, file: Path) -> None:
    """Run one harness on one kept input, without atheris; whatever is wrong is raised."""
    HARNESSES[name](file.read_bytes())


def main() -> int:
    """The command line; the exit code."""
    options = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    options.add_argument("names", nargs="*", help=f"of {', '.join(HARNESSES)}; all without")
    options.add_argument("--seconds", type=int, default=60, help="for each harness")
    options.add_argument("--seed", type=int, default=20260105)
    options.add_argument("--replay", type=Path, help="a finding, to be run once by the one harness named")
    wanted = options.parse_args()
    if not set(wanted.names) <= HARNESSES.keys() or (wanted.replay and len(wanted.names) != 1):
        options.error("name harnesses that there are, and with --replay exactly one")
    if wanted.replay:
        replay(wanted.names[0], wanted.replay)
        return 0
    found = 0
    for name in wanted.names or HARNESSES:
        result = fuzz(name, wanted.seconds, wanted.seed)
        verdict = f"FOUND SOMETHING, see var/fuzz/findings/{name}" if result.finding else "nothing"
        print(f"{name:22} {result.runs:>10,} runs {result.edges:>6,} edges  {verdict}", flush=True)
        if result.finding:
            print(result.finding[-4000:])
            found += 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
