"""`tocsin serve`: the server."""

from __future__ import annotations

from typing import Annotated

import typer

from engine import bootstrap
from engine.cli.options import ConfigOption, settings_of


def serve(
    standby: Annotated[
        bool, typer.Option("--standby", help="wait while another process serves this database, then take over")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Run Tocsin until SIGTERM or Ctrl-C. 启动服务。"""
    bootstrap.run(settings_of(config), standby=standby)
