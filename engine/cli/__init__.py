"""The command line: `tocsin …`. Each module is one group of commands; they only translate."""

from __future__ import annotations

from engine.cli.application import app

__all__ = ["app"]
