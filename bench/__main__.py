"""`python -m bench`: JSON lines, a table, and docs/performance.md. Figures, no verdict on the exit code."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bench.measures import MEASURES, profile
from bench.meters import fsync_ms, machine
from bench.report import document, medians, verdict_table, verdicts
from bench.servers import ROOT, peers
from bench.session import QUICK, Options, Session

REPORT = ROOT / "docs/performance.md"
INTRO = (
    "Written by `make bench`; do not edit. Peers ran in the same invocation, in turns, on the machine below; every"
    " figure is the median of the runs. The machine may be shared: trust ratios and CPU figures more than rates."
    " Tocsin answers a request after its fsync; Alertmanager keeps alerts in memory only. Both look at"
    " 100 routes that do not match before the one that does, and both notify a webhook of every new group at once."
    " Neither server has silences or inhibition rules, but for the measure `rules`. `fsync_ms` beside a case is a"
    " bare 4 KB write and fdatasync just before it. What each measure does stands at the head of its module in"
    " `bench/measures`; the sizes are those of the command, else the defaults in `bench/session.py`."
)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("measures", nargs="*", help=f"of {', '.join(MEASURES)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="3 runs, small sizes, under 90 s")
    parser.add_argument("--current", action="store_true", help="build the current Alertmanager with go, and measure it")
    parser.add_argument("--out", type=Path, default=None, help=f"the report (default: {REPORT}; none with --quick)")
    parser.add_argument("--profile", type=Path, metavar="FOLDER", help="only: profile the server's threads into FOLDER")
    parser.add_argument(
        "--with-peers", type=Path, metavar="FOLDER", help="install the peers `eventsourcing` and Alerta there with pip,"
        " each in its own environment, and measure them",
    )  # fmt: skip
    for name, kind in (("runs", int), ("seed", int), ("services", int), ("seconds", float), ("pages", int)):
        parser.add_argument(f"--{name}", type=kind)
    for name in (
        "new-alerts",
        "resent-alerts",
        "single-alerts",
        "replay-alerts",
        "incidents",
        "console-alerts",
        "reads",
        "cold-events",
    ):
        parser.add_argument(f"--{name}", type=int)
    for name in ("memory-alerts", "active"):
        parser.add_argument(f"--{name}", type=_sizes, metavar="N,N")
    return parser.parse_args()


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(each) for each in text.split(","))


def options_of(arguments: argparse.Namespace) -> Options:
    """The defaults, or those of --quick, with what the command line says instead."""
    base = QUICK if arguments.quick else Options()
    given = {
        name: value
        for name in Options.__struct_fields__
        if (value := getattr(arguments, name, None)) is not None
    }  # fmt: skip
    return msgspec.structs.replace(base, **given)


def main() -> None:
    """Measure, print, write."""
    arguments = _arguments()
    unknown = set(arguments.measures) - set(MEASURES)
    if unknown:
        sys.exit(f"no measure named {', '.join(sorted(unknown))}; there are {', '.join(MEASURES)}")
    options = options_of(arguments)
    if options.profile is not None:
        profile.run(Session(options, []), options.profile)
        return
    kinds, notes = peers(arguments.current)
    session = Session(options, kinds)
    began, load = datetime.now(UTC), os.getloadavg()[0]
    out = arguments.out or (None if arguments.quick else REPORT)
    for name in arguments.measures or MEASURES:
        MEASURES[name](session)
        if out is not None:  # after each, so that an interrupted run leaves what it has
            out.write_text(document(session.samples, session.absent, _about(began, load, options, notes), INTRO))
    print("\n".join(verdict_table(verdicts(medians(session.samples)))))


def _about(began: datetime, load: float, options: Options, notes: dict[str, str]) -> dict[str, str]:
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        fsync = f"{fsync_ms(Path(folder)):.2f} ms for 4 KB, bare, in {tempfile.gettempdir()}"
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT)
    packages = ("msgspec", "uvicorn", "uvloop", "httptools", "SQLAlchemy", "apprise")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    return {
        "date": f"{began:%Y-%m-%d %H:%M} to {datetime.now(UTC):%H:%M} UTC",
        "command": " ".join(("`python -m bench", *_said())) + "`",
        "tocsin": f"{importlib.metadata.version('tocsin')} at {commit.stdout.strip() or 'no commit'}; {versions}",
        **notes,
        **machine(),
        "fsync": fsync,
        "load at the start": f"{load:.1f} (beyond 0: other work shared the machine)",
        "offered behind pages": f"{options.paging_rate:,.0f} re-sent alerts a second, 64 a request",
        "runs": f"{options.runs}, seed {options.seed}",
    }


def _said() -> list[str]:
    """The arguments, without where the report was to go."""
    said = sys.argv[1:]
    return [each for at, each in enumerate(said) if each != "--out" and (at == 0 or said[at - 1] != "--out")]


if __name__ == "__main__":
    main()
