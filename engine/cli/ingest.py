"""`tocsin ingest`: hand a file of alerts to a running Tocsin, as a sender would."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.cli.options import ConfigOption, JsonOption, UrlOption, print_json, settings_of
from engine.cli.remote import Remote
from schemas.config import Settings
from schemas.errors import ConfigError, InvalidPayload


def ingest(
    file: Annotated[typer.FileBinaryRead, typer.Argument(help="one request body; - is standard input")],
    source: Annotated[str | None, typer.Option("--source", "-s", help="its configured sender")] = None,
    url: UrlOption = None,
    token: Annotated[str | None, typer.Option(help="the source's token (default: that of the settings)")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Post the body in FILE, verbatim, as the source NAME would. 导入告警文件。"""
    settings = settings_of(config)
    name = source or _only_source(settings)
    known = settings.sources.get(name)
    shown = token or (known.token.get_secret_value() if known and known.token else None)
    body = file.read()
    if not body:
        raise InvalidPayload(f"{Path(file.name).name} is empty")
    answer = Remote.of(settings, url, shown).send("POST", f"/hooks/{name}", body=body)
    if as_json:
        print_json(answer)
        return
    kinds = ", ".join(f"{count} {kind}" for kind, count in answer.get("dispositions", {}).items() if count)
    typer.echo(f"{answer.get('received', 0)} alerts received: {kinds or 'none'}")
    for problem in answer.get("problems", ()):
        typer.echo(f"  {problem}", err=True)


def _only_source(settings: Settings) -> str:
    if len(settings.sources) != 1:
        names = ", ".join(settings.sources) or "none is configured"
        raise ConfigError(f"say which source with --source: {names}")
    return next(iter(settings.sources))
