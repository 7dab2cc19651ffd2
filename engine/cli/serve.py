"""`tocsin serve`: the server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine import bootstrap
from engine.cli.cluster_side import bootstrap_cluster
from engine.cli.options import ConfigOption, settings_of
from engine.cli.overrides import Given, with_given
from schemas.config import Settings


def serve(
    standby: Annotated[
        bool, typer.Option("--standby", help="wait while another process serves this database, then take over")
    ] = False,
    alertmanager_config: Annotated[
        Path | None,
        typer.Option("--alertmanager-config", help="an alertmanager.yml: its routes, receivers and inhibition hold"),
    ] = None,
    listen: Annotated[str, typer.Option("--listen", help="HOST:PORT, instead of server.host and server.port")] = "",
    store: Annotated[str, typer.Option("--store", help="an SQLAlchemy URL, instead of store.url")] = "",
    external_url: Annotated[str, typer.Option("--external-url", help="instead of rules.external_url")] = "",
    config: ConfigOption = None,
) -> None:
    """Run Tocsin until SIGTERM or Ctrl-C; SIGHUP reads rules and channels again. 启动服务。"""
    given = Given(alertmanager_config, listen, store, external_url)

    def read() -> Settings:
        return with_given(settings_of(config), given)

    settings = read()
    if settings.cluster is not None:
        bootstrap_cluster.run_web(settings)
    else:
        bootstrap.run(settings, standby=standby, read=read)
