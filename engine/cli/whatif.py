"""`tocsin whatif`: what other rules would have made of the past."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from engine.cli.options import ConfigOption, JsonOption, clock, print_json, print_table, reading, settings_of
from engine.config import read_rules
from engine.plain_words import text_of
from engine.whatif import what_if
from schemas.config import Settings
from schemas.whatif import WhatIf
from sources import PARSERS

UNSAFE = 3
"""Exit code where a confirmed incident is lost or nobody would be told of it."""
_UNITS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}


def whatif(
    rules: Annotated[Path, typer.Option("--rules", help="a tocsin.yaml, or only what stands under its rules")],
    since: Annotated[str, typer.Option(help="how far back: 90m, 12h, 30d")] = "30d",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Judge a period of the journal again under other rules; exit code 3 where they are not safe. 规则推演。"""
    asked = re.fullmatch(r"(\d{1,6})([mhd])", since)
    if asked is None:
        raise typer.BadParameter("expected minutes, hours or days, as in 30d", param_hint="--since")
    settings, now_ms = settings_of(config), time.time_ns() // 1_000_000
    candidate = read_rules(text_of(rules), str(rules), rules.parent)
    store = reading(settings)
    try:
        since_ms = max(now_ms - int(asked[1]) * _UNITS[asked[2]], 0)
        found = what_if(store, PARSERS, candidate, since_ms=since_ms, until_ms=now_ms)
    finally:
        store.close()
    if as_json:
        print_json(msgspec.to_builtins(found))
    else:
        _print(found, settings)
    if not found.safe:
        raise typer.Exit(UNSAFE)


def _print(found: WhatIf, settings: Settings) -> None:
    period = f"{clock(found.since_ms, settings)} to {clock(found.until_ms, settings)}"
    typer.echo(f"{period}: {found.records} records, {found.commands} commands ({found.commands_left_out} left out)")
    print_table(("", "as it was", "under these rules", "difference"), rows_of(found))
    for harm in found.harmed:
        would = f", told {clock(harm.would_ms, settings)}" if harm.would_ms is not None else ""
        typer.echo(
            f"{harm.fate}: {harm.incident} {harm.title} ({harm.priority}), told {clock(harm.told_ms, settings)}{would}"
        )
    delayed = sum(harm.fate == "delayed" for harm in found.harmed)
    if found.safe:
        typer.echo(f"safe: all {found.confirmed} confirmed incidents would be paged, {delayed} of them later")
    else:
        lost = len(found.harmed) - delayed
        typer.echo(f"not safe: {lost} of {found.confirmed} confirmed incidents would reach nobody")


def rows_of(found: WhatIf) -> list[tuple[str, int, int, str]]:
    """The comparison, line by line."""
    was, would = found.actual, found.candidate
    lines: list[tuple[str, int, int]] = [
        ("incidents", was.incidents, would.incidents),
        ("reopened", was.reopened, would.reopened),
        ("pages", was.pages, would.pages),
    ]
    for name, one, other in (
        ("pages to", was.pages_by_receiver, would.pages_by_receiver),
        ("breaches:", was.breaches, would.breaches),
        ("alerts", was.dispositions, would.dispositions),
    ):
        keys = sorted({*one, *other})
        lines += [(f"{name} {key}", one.get(key, 0), other.get(key, 0)) for key in keys]
    return [(name, one, other, f"{other - one:+d}" if other != one else "") for name, one, other in lines]
