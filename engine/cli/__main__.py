"""`python -m engine.cli` is `tocsin`."""

from __future__ import annotations

from engine.cli.application import app

app(prog_name="tocsin")
