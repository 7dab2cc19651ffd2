"""`tocsin config`: check and show the settings."""

from __future__ import annotations

import typer

from engine.cli.options import ConfigOption, settings_of
from engine.config import DEFAULT_FILE, dump

app = typer.Typer(no_args_is_help=True, help="Check and show the settings. 配置。")


@app.command()
def check(config: ConfigOption = None) -> None:
    """Read the settings; the first thing that is wrong is named with its file, line and key. 检查配置。"""
    settings = settings_of(config)
    rules = settings.rules
    typer.echo(
        f"{config or DEFAULT_FILE}: in order ({len(settings.sources)} sources, {len(settings.channels)} channels, "
        f"{len(rules.routes)} routes, rules {rules.digest[:12]})"
    )


@app.command()
def show(config: ConfigOption = None) -> None:
    """All settings in force, defaults included, secrets hidden. 显示配置。"""
    typer.echo(dump(settings_of(config)), nl=False)
