"""Run the command line under cProfile, one profile per thread, written when it ends.

python -m bench.profiled FOLDER serve --config tocsin.yaml
"""

from __future__ import annotations

import cProfile
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from engine.cli.application import app


def main() -> None:
    """Profile `tocsin ARGUMENTS`; each thread's profile is named after it and its CPU seconds."""
    folder, arguments = Path(sys.argv[1]), sys.argv[2:]
    folder.mkdir(parents=True, exist_ok=True)
    plain_run = threading.Thread.run

    def run(self: threading.Thread) -> None:
        _profiled(folder, self.name, lambda: plain_run(self))

    threading.Thread.run = run  # type: ignore[method-assign]
    _profiled(folder, "main", lambda: app(arguments, prog_name="tocsin", standalone_mode=False))


def _profiled(folder: Path, name: str, work: Callable[[], object]) -> None:
    profile, began = cProfile.Profile(), time.thread_time()
    try:
        profile.runcall(work)
    finally:
        used = time.thread_time() - began
        profile.dump_stats(folder / f"{name.replace('/', '-')}.{used:.2f}s.prof")


if __name__ == "__main__":
    main()
