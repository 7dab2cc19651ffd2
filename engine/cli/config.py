"""`tocsin config`: check and show the settings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from engine.alertmanager_config import applied, read_alertmanager
from engine.bootstrap import check_channels
from engine.cli.options import ConfigOption, settings_of
from engine.config import DEFAULT_FILE, dump, write
from schemas.config import Settings
from schemas.errors import ConfigError

app = typer.Typer(no_args_is_help=True, help="Check and show the settings. 配置。")


@app.command()
def check(config: ConfigOption = None) -> None:
    """Read the settings; the first thing that is wrong is named with its file, line and key. 检查配置。

    Channels and templates are looked at, too, as at the start.
    """
    settings = settings_of(config)
    check_channels(settings)
    rules = settings.rules
    typer.echo(
        f"{config or DEFAULT_FILE}: in order ({len(settings.sources)} sources, {len(settings.channels)} channels, "
        f"{len(rules.routes)} routes, rules {rules.digest[:12]})"
    )


@app.command()
def show(config: ConfigOption = None) -> None:
    """All settings in force, defaults included, secrets hidden. 显示配置。"""
    typer.echo(dump(settings_of(config)), nl=False)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="an alertmanager.yml")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="write here, with all secrets; without it they are hidden")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Say what an alertmanager.yml means as tocsin.yaml: routes, receivers, inhibition. 导入 Alertmanager 配置。

    With --config the other settings come from there, else they are the defaults. What is not honoured is a warning.
    """
    imported = read_alertmanager(file)
    for warning in imported.warnings:
        typer.echo(f"tocsin: warning: {warning}", err=True)
    settings = applied(settings_of(config) if config else Settings(), imported)
    if output is None:
        typer.echo(dump(settings), nl=False)
        return
    try:
        handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as refused:
        raise ConfigError(f"cannot be written: {refused.strerror}", file=str(output)) from None
    with os.fdopen(handle, "w", encoding="utf-8") as written:
        written.write(write(settings))
    typer.echo(f"{output}: written, readable by you alone, for it holds secrets ({len(imported.warnings)} warnings)")
