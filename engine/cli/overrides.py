"""What the command line says otherwise than the settings."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import typer
from pydantic import ValidationError

from engine.alertmanager_config import applied, read_alertmanager
from schemas.config import Server, Settings
from schemas.errors import ConfigError


class Given(NamedTuple):
    """Options of `tocsin serve` that stand for settings; empty where not given."""

    alertmanager_config: Path | None = None
    listen: str = ""
    store: str = ""
    external_url: str = ""


def with_given(settings: Settings, given: Given) -> Settings:
    """The settings with what was given instead; what an alertmanager.yml asks for in vain is said on standard error.

    By an alertmanager.yml the API is open as Alertmanager's, on a loopback address, unless the settings say otherwise.
    Raises ConfigError.
    """
    says_who = "alertmanager_api" in settings.server.model_fields_set
    if given.alertmanager_config is not None:
        imported = read_alertmanager(given.alertmanager_config)
        for warning in imported.warnings:
            typer.echo(f"tocsin: warning: {warning}", err=True)
        settings = applied(settings, imported)
    if given.listen:
        settings = settings.model_copy(update={"server": _listening(settings.server, given.listen)})
    if given.store:
        settings = settings.model_copy(update={"store": settings.store.model_copy(update={"url": given.store})})
    if given.external_url:
        rules = settings.rules.model_copy(update={"external_url": given.external_url})
        settings = settings.model_copy(update={"rules": rules})
    if given.alertmanager_config is not None and not says_who:
        settings = settings.model_copy(update={"server": _open(settings.server)})
    return settings


def _open(server: Server) -> Server:
    try:
        return Server.model_validate({**server.model_dump(), "alertmanager_api": "open"})
    except ValidationError:  # others can reach it
        return server


def _listening(server: Server, listen: str) -> Server:
    host, _, port = listen.rpartition(":")
    if not port.isdigit():
        raise ConfigError(f"expected HOST:PORT, got {listen!r}", key="--listen")
    try:
        return Server.model_validate({**server.model_dump(), "host": host.strip("[]"), "port": int(port)})
    except ValidationError as wrong:
        reason = str(wrong.errors()[0].get("ctx", {}).get("error", wrong.errors()[0]["msg"]))
        raise ConfigError(reason, key="--listen") from None
