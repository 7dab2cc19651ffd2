"""`tocsin backup`, `restore`, `drill`: what stands between a lost machine and a lost record."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Annotated

import typer

from engine import bootstrap
from engine.cli.options import ConfigOption, TokenOption, UrlOption, clock, reading, settings_of
from engine.cli.remote import Remote
from engine.store import Store
from engine.store.backup import back_up, prove
from engine.store.backup import restore as restore_backup
from engine.store.database import database_url
from schemas.commands import RecordDrill
from schemas.config import Settings
from schemas.drills import RPO_TARGET_MS, RTO_TARGET_MS
from schemas.errors import ConcurrencyConflict

Backups = Annotated[Path, typer.Argument(help="a folder of backups (the newest counts), or one backup")]


def backup(
    to: Annotated[Path, typer.Argument(help="the folder to add the backup to")], config: ConfigOption = None
) -> None:
    """Copy the database while the server runs, and prove the copy. 备份。"""
    store = reading(settings_of(config))
    try:
        made = back_up(store, to, time.time_ns() // 1_000_000)
    finally:
        store.close()
    typer.echo(f"{to / made.file}: {made.next_offset} records, {made.next_seq} events, {made.size} bytes")
    typer.echo(f"head {made.head}")


def restore(
    place: Annotated[Path, typer.Argument(metavar="FROM", help="a folder of backups (the newest counts), or one")],
    to: Annotated[str, typer.Option("--to", help="the URL of a database where nothing is yet, as store.url has it")],
    config: ConfigOption = None,
) -> None:
    """Put a backup where nothing is yet, and prove its log. 恢复。"""
    settings = settings_of(config)
    password = settings.store.password.get_secret_value() if settings.store.password else None
    restored = restore_backup(place, database_url(to, password))
    store = Store.open(to, password=password, keys=bootstrap.keyring(settings), archive=settings.store.archive)
    try:
        prove(store, restored)
    finally:
        store.close()
    typer.echo(f"{restored.file} restored: {restored.next_seq} events hold; head {restored.head}")


def drill(
    place: Backups,
    decide_again: Annotated[bool, typer.Option("--decide-again", help="also decide the whole journal anew")] = False,
    record: Annotated[bool, typer.Option(help="put the result on record")] = True,
    url: UrlOption = None,
    token: TokenOption = None,
    config: ConfigOption = None,
) -> None:
    """Restore the newest backup beside the database, prove it and let it take an alert; exit code 1 if not in time.

    RTO at most 30 minutes, RPO at most 5 minutes. 灾备演练。
    """
    settings = settings_of(config)
    found = bootstrap.drill(settings, place, time.time_ns() // 1_000_000, decide_again=decide_again)
    passed = not found.problem and found.rto_ms <= RTO_TARGET_MS and found.rpo_ms <= RPO_TARGET_MS
    typer.echo(f"backup   {found.backup} of {clock(found.backup_at_ms, settings)}, {found.events} events")
    typer.echo(f"RTO      {found.rto_ms / 1000:.1f} s to the first accepted alert (at most {RTO_TARGET_MS // 1000} s)")
    typer.echo(f"RPO      {found.rpo_ms / 1000:.1f} s of records not in the backup (at most {RPO_TARGET_MS // 1000} s)")
    if found.problem:
        typer.echo(f"problem  {found.problem}")
    typer.echo("passed" if passed else "FAILED")
    if record:
        _record(settings, found, Remote.of(settings, url, token))
    if not passed:
        raise typer.Exit(1)


def _record(settings: Settings, found: RecordDrill, remote: Remote) -> None:
    """By the running server where there is one, else at once."""
    try:
        asyncio.run(bootstrap.command_alone(settings, found))
    except ConcurrencyConflict:
        remote.post("/api/v1/commands", found.model_dump())
    typer.echo("on record")
