"""`tocsin noise`: the alerts that cost most pages per useful page, and the rules that would spare them."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from engine.cli.options import ConfigOption, JsonOption, print_json, print_table, reading, settings_of
from engine.whatif import latest_ms
from projections.noise import board

DAY_MS = 86_400_000


def noise(
    days: Annotated[int, typer.Option(min=1, max=3660, help="how far back from the latest event")] = 30,
    rules: Annotated[bool, typer.Option("--rules", help="print the suggested rules as YAML")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Which alerts page people for nothing, from the read models; try a rule with `tocsin whatif`. 噪声榜。"""
    store = reading(settings_of(config))
    try:
        with store.engine.connect() as connection:
            found = board(connection, max(0, latest_ms(store) - days * DAY_MS))
    finally:
        store.close()
    if as_json:
        print_json(msgspec.to_builtins(found))
        return
    rows = [
        (one.alertname, one.service, one.pages, one.useful_pages, one.pages_per_useful, one.false_alarms,
         one.suggestion)
        for one in found
    ]  # fmt: skip
    print_table(("alert", "service", "pages", "useful", "per useful", "false alarms", "suggestion"), rows)
    for one in found if rules else ():
        if one.rule:
            typer.echo(f"\n# {one.alertname} {one.service}\n{one.rule}", nl=False)
