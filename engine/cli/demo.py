"""`tocsin demo`: Tocsin with something to watch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from demo.run import run


def demo(
    folder: Annotated[Path, typer.Option(help="where it keeps its files; emptied at the start")] = Path("var/demo"),
    for_s: Annotated[float | None, typer.Option("--for", min=0, metavar="SECONDS", help="end by itself")] = None,
    live: Annotated[bool, typer.Option(help="a live screen (default on a terminal), else plain lines")] = True,
) -> None:
    """Run Tocsin with a real Prometheus, a real Alertmanager and a shop that fails. 演示。Ctrl-C ends it."""
    run(folder, for_s=for_s, live=live and sys.stdout.isatty())
