"""`tocsin assess`: the score and payment of a service period, computed from the log, and its annexes as documents."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from engine.cli.log import events_after
from engine.cli.options import ConfigOption, JsonOption, print_json, print_table, reading, settings_of
from projections.assessment_periods import from_log
from schemas.assessment import Period
from schemas.assessment_score import Score, digest, if_decided, score
from schemas.errors import CommandRejected
from web.annexes import write_annexes


def assess(
    contract: Annotated[str, typer.Option(help="its name in the rules")],
    period: Annotated[str, typer.Option(help="as in 2026H1")],
    what_if: Annotated[
        list[str] | None, typer.Option("--what-if", help="as in D1=rejected, or D1=confirmed; may be given again")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="a folder for the annexes: xlsx, docx and PDF")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """What a service period scores and pays, with every deduction; exit code 1 where it is not as signed. 服务考核。"""
    store = reading(settings_of(config))
    try:
        found = from_log(events_after(store, -1), contract, period)
    finally:
        store.close()
    if found is None:
        raise CommandRejected("not_found", f"nobody has opened an assessment of {contract}/{period}")
    result = _imagined(found.period, what_if) if what_if else score(found.period)
    if as_json:
        facts = {"period": found.period, "sources": found.sources, "score": result, "digest": digest(found.period)}
        print_json(msgspec.to_builtins(facts))
    else:
        _print(found.period, result, found.sources)
    for path in write_annexes(found.period, out) if out else ():
        typer.echo(str(path), err=as_json)
    if found.period.closed is not None and found.period.closed.digest != digest(found.period):
        typer.echo("tocsin: the log gives another result than the one that was signed", err=True)
        raise typer.Exit(1)


def _imagined(period: Period, what_if: list[str]) -> Score:
    standing: dict[str, str] = {}
    for one in what_if:
        name, _, stands = one.rpartition("=")
        if name not in period.deductions or stands not in ("confirmed", "rejected"):
            raise typer.BadParameter(f"{one!r}: expected DEDUCTION=confirmed or =rejected", param_hint="--what-if")
        standing[name] = stands
    return if_decided(period, standing)


def _print(period: Period, result: Score, sources: dict[str, list[str]]) -> None:
    terms = period.terms
    typer.echo(f"{terms.title} {period.name} ({terms.first} – {terms.last})")
    state = "closed" if period.closed else "open"
    typer.echo(f"{state}; {len(period.ratings)} of {len(terms.raters)} raters; {result.open_deductions} undecided")
    counted = {one.id: one for one in result.deductions}
    rows = [
        (one.id, one.criterion, one.standing, -counted[one.id].points if one.id in counted else 0,
         " ".join(sources.get(f"deduction/{one.id}", ())))
        for one in period.deductions.values()
    ]  # fmt: skip
    print_table(("deduction", "annex 3", "stands", "points", "events"), rows)
    for name, value in (
        ("service quality", result.quality),
        ("completion", result.completion),
        ("operations", result.capability),
        ("score", result.total),
        ("share paid", f"{result.share:%}"),
        ("payment", "no sum in the contract" if result.payment is None else f"{result.payment} CNY"),
        ("digest", digest(period)),
    ):
        typer.echo(f"{name:<16} {value}")
