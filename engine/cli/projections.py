"""`tocsin projections`: the read models."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import msgspec
import typer

from engine import bootstrap
from engine.cli.options import ConfigOption, JsonOption, print_json, print_table, settings_of
from engine.store import Store
from projections.projector import Projector
from schemas.errors import ProjectionFailed

app = typer.Typer(no_args_is_help=True, help="The read models that pages and reports are made from. 读模型。")


@app.command()
def status(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """How far each read model is behind the log, and which are halted; exit code 1 if one is. 状态。"""
    with _projector(config) as (store, projector):
        head = store.position().next_seq - 1
        found = projector.status()
    if as_json:
        print_json([msgspec.to_builtins(one) if isinstance(one, msgspec.Struct) else vars(one) for one in found])
    else:
        rows = [(one.name, one.version, one.position, head - one.position, one.halted or "ok") for one in found]
        print_table(("name", "version", "position", "behind", "state"), rows)
    if any(one.halted for one in found):
        raise typer.Exit(1)


@app.command()
def rebuild(
    name: Annotated[str, typer.Argument(help="as `projections status` names it")], config: ConfigOption = None
) -> None:
    """Forget the rows of one read model and make them anew from the log. 重建。"""
    with _projector(config) as (_, projector):
        count = projector.rebuild(name)
        halted = next((one for one in projector.status() if one.name == name and one.halted), None)
    if halted is not None:
        raise ProjectionFailed(name, halted.position, halted.halted)
    typer.echo(f"{name}: rebuilt from {count} events")


@contextmanager
def _projector(config: ConfigOption) -> Iterator[tuple[Store, Projector]]:
    settings = settings_of(config)
    store = bootstrap.open_store(settings)
    try:
        yield store, bootstrap.projector(settings, store)
    finally:
        store.close()
