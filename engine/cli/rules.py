"""`tocsin rules`: look at the rules in force, try others, put them in force without a restart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from engine.cli.options import (
    ConfigOption,
    JsonOption,
    TokenOption,
    UrlOption,
    clock,
    print_json,
    print_table,
    reading,
    settings_of,
)
from engine.cli.remote import Remote
from engine.config import read_rules
from engine.plain_words import text_of
from engine.rules_desk import Desk
from schemas.config import Settings
from sources import PARSERS

app = typer.Typer(no_args_is_help=True, help="The rules in force, their versions, and changing them. 规则与版本。")

FileArgument = Annotated[Path, typer.Argument(help="a tocsin.yaml, or only what stands under its rules")]


@app.command()
def check(file: FileArgument) -> None:
    """Read the rules in FILE, with their tables; says what is wrong, with file, line and key. 检查规则。"""
    rules = read_rules(text_of(file), str(file), file.parent)
    kinds = {
        "alert rules": rules.alert_rules, "tables": rules.enrichment, "correlation rules": rules.correlation,
        "routes": rules.routes,
    }  # fmt: skip
    typer.echo(f"{file}: " + ", ".join(f"{len(found)} {kind}" for kind, found in kinds.items()))


@app.command()
def apply(
    file: FileArgument,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would change")] = False,
    url: UrlOption = None,
    token: TokenOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put the rules in FILE in force on the running server, or say what that would change. 应用规则。"""
    rules = read_rules(text_of(file), str(file), file.parent)
    asked = {"dry_run": "true"} if dry_run else {}
    remote = Remote.of(settings_of(config), url, token)
    answer = remote.send("PUT", "/api/v1/rules", body=rules.canonical(), params=asked)
    if as_json:
        print_json(answer)
        return
    typer.echo(answer["diff"] or "nothing changes")
    for warning in answer["warnings"]:
        typer.echo(f"warning: {warning}", err=True)
    if not dry_run:
        typer.echo(f"version {answer['version']} is in force")


@app.command()
def show(
    version: Annotated[int | None, typer.Argument(help="a version (default: the one in force)")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """The rules in force, or those of another version, as YAML. 查看规则。"""
    settings = settings_of(config)
    with _desk(settings) as desk:
        found = desk.current() if version is None else desk.version(version)
    if as_json:
        print_json(msgspec.to_builtins(found))
        return
    typer.echo(f"# version {found.version}, {found.actor}, {clock(found.at_ms, settings)}")
    typer.echo(found.yaml, nl=False)


@app.command()
def history(
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="how many versions back")] = 20,
    diff: Annotated[bool, typer.Option("--diff", help="with what each version changed")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Who changed the rules when. 规则变更历史。"""
    settings = settings_of(config)
    with _desk(settings) as desk:
        found = desk.history(lines)
    if as_json:
        print_json(msgspec.to_builtins(found))
        return
    for one in found if diff else ():
        typer.echo(f"# version {one.version}, {one.actor}, {clock(one.at_ms, settings)}\n{one.diff}\n")
    if not diff:
        rows = [(one.version, clock(one.at_ms, settings), one.actor, one.digest[:12], one.offset) for one in found]
        print_table(("version", "since", "by", "digest", "record"), rows)


@contextmanager
def _desk(settings: Settings) -> Iterator[Desk]:
    store = reading(settings)
    try:
        yield Desk(store, settings, PARSERS)
    finally:
        store.close()
