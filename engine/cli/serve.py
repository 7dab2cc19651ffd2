"""`tocsin serve`: the server."""

from __future__ import annotations

from typing import Annotated

import typer

from engine import bootstrap, bootstrap_cluster
from engine.cli.options import ConfigOption, settings_of


def serve(
    standby: Annotated[
        bool, typer.Option("--standby", help="wait while another process serves this database, then take over")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Run Tocsin until SIGTERM or Ctrl-C. 启动服务。"""
    settings = settings_of(config)
    if settings.cluster is not None:
        bootstrap_cluster.run_web(settings)
    else:
        bootstrap.run(settings, standby=standby)
