"""`tocsin journal`: what arrived, and where it is kept."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from engine import bootstrap
from engine.cli.options import ConfigOption, JsonOption, clock, print_json, print_table, reading, settings_of
from engine.store.archive import all_segments, check_segment
from engine.store.retention import FLOOR_DAYS
from schemas.errors import ConfigError

app = typer.Typer(no_args_is_help=True, help="What arrived, and where it is kept. 输入流水与归档。")


@app.command()
def archive(
    older_than: Annotated[str, typer.Option(help=f"as in 200d, {FLOOR_DAYS} days at least")] = f"{FLOOR_DAYS}d",
    to: Annotated[Path | None, typer.Option(help="the folder of the archive (default: store.archive)")] = None,
    config: ConfigOption = None,
) -> None:
    """Move old records into compressed files, each read back before its rows go; the log stays whole. 归档。"""
    days = re.fullmatch(r"(\d+)d", older_than)
    if days is None:
        raise typer.BadParameter("expected days, as in 180d", param_hint="--older-than")
    settings = settings_of(config)
    folder = to or settings.store.archive
    if folder is None:
        raise ConfigError("where to? give --to FOLDER, or set this", key="store.archive")
    store = bootstrap.open_store(settings)
    try:
        made = bootstrap.archive_journal(store, folder, int(days[1]), time.time_ns() // 1_000_000)
    finally:
        store.close()
    for one in made:
        typer.echo(f"{folder / one.file}: records {one.first_offset} to {one.next_offset - 1}, {one.size} bytes")
    typer.echo(f"{sum(one.records for one in made)} records archived")
    if made and (settings.store.archive is None or settings.store.archive.resolve() != folder.resolve()):
        typer.echo(f"tocsin: set store.archive to {folder}, so that replay and explain find them", err=True)


@app.command()
def segments(
    check: Annotated[bool, typer.Option("--check", help="also compare every file with its checksum")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """What stands in the archive; with --check, exit code 1 for a file that is missing or altered. 归档列表。"""
    settings = settings_of(config)
    store = reading(settings)
    try:
        with store.engine.connect() as connection:
            found = all_segments(connection)
    finally:
        store.close()
    if check and found:
        if settings.store.archive is None:
            raise ConfigError("the archive is to be checked: say in which folder it is", key="store.archive")
        for one in found:
            check_segment(settings.store.archive, one)
    if as_json:
        print_json([msgspec.to_builtins(one) | {"head": one.head.hex()} for one in found])
        return
    rows = [
        (one.file, one.first_offset, one.next_offset - 1, clock(one.first_ms, settings), clock(one.last_ms, settings))
        for one in found
    ]
    print_table(("file", "first", "last", "from", "until"), rows)
