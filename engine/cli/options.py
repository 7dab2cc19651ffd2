"""What several commands share: their options, the settings behind them, and how times and lists are printed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine import bootstrap
from engine.config import load
from engine.store import Store
from schemas.config import Settings

TOKEN_FILE = Path("~/.config/tocsin/token")

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", envvar="TOCSIN_CONFIG", help="tocsin.yaml (default: ./tocsin.yaml if there is one)"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="one JSON document, for programs")]
UrlOption = Annotated[
    str | None, typer.Option("--url", envvar="TOCSIN_URL", help="a running Tocsin (default: the one of the settings)")
]
TokenOption = Annotated[
    str | None,
    typer.Option("--token", envvar="TOCSIN_TOKEN", help=f"an API token (default: from {TOKEN_FILE}, if it is there)"),
]


def settings_of(config: Path | None) -> Settings:
    """The settings of a file, of ./tocsin.yaml, or else the defaults. Raises ConfigError."""
    return load(config)


def reading(settings: Settings) -> Store:
    """The store for reading only: it changes nothing and disturbs no running server. Raises StoreUnavailable."""
    return bootstrap.open_store(settings, read_only=True)


def clock(at_ms: int, settings: Settings) -> str:
    """A time as people at this installation read it, with its offset."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(ZoneInfo(settings.rules.timezone))
    return at.isoformat(" ", "seconds")


def print_json(content: Any) -> None:
    """One JSON document on standard output, readable and in UTF-8."""
    typer.echo(msgspec.json.format(msgspec.json.encode(content), indent=2).decode())


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table on standard output; what stands in it is never taken as markup."""
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    console = Console()
    if not console.is_terminal:  # a pipe has no width: do not fold what a program will read
        console = Console(width=10_000)
        table.expand = False
    console.print(table)
