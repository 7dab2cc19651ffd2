"""`tocsin serve`: the server."""

from __future__ import annotations

from engine import bootstrap
from engine.cli.options import ConfigOption, settings_of


def serve(config: ConfigOption = None) -> None:
    """Run Tocsin until SIGTERM or Ctrl-C. 启动服务。"""
    bootstrap.run(settings_of(config))
