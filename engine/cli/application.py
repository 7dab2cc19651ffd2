"""All commands, composed."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from engine import bootstrap
from engine.cli import (
    assess,
    backup,
    cluster,
    config,
    coverage,
    demo,
    doctor,
    explain,
    incident_talk,
    ingest,
    journal,
    log,
    noise,
    oncall,
    packs,
    projections,
    reports,
    rules,
    serve,
    users,
    whatif,
)
from schemas.errors import TocsinError


class _PlainErrors(TyperGroup):
    """Every error of Tocsin's own tree is one clear line and exit code 1; wrong usage stays 2."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except TocsinError as error:
            typer.echo(f"tocsin: {error}", err=True)
            raise typer.Exit(1) from error


app = typer.Typer(
    name="tocsin",
    cls=_PlainErrors,
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # locals may hold secrets
    help="Many alerts in, few incidents out, every decision on the record. 警钟：告警变事件，决策可追溯。",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(bootstrap.versions())
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="print the versions and end")
    ] = False,
) -> None:
    pass


app.command("serve")(serve.serve)
app.command("worker")(cluster.worker)
app.command("demo")(demo.demo)
app.command("ingest")(ingest.ingest)
app.command("explain")(explain.explain)
app.command("whatif")(whatif.whatif)
app.command("noise")(noise.noise)
app.command("assess")(assess.assess)
app.command("report")(reports.report)
app.command("doctor")(doctor.doctor)
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.command("drill")(backup.drill)
app.add_typer(cluster.app, name="cluster")
app.add_typer(log.app, name="log")
app.add_typer(journal.app, name="journal")
app.add_typer(incident_talk.group, name="incidents")
app.add_typer(oncall.app, name="oncall")
app.add_typer(config.app, name="config")
packs.app.command("coverage")(coverage.coverage)
app.add_typer(packs.app, name="packs")
app.add_typer(projections.app, name="projections")
app.add_typer(rules.app, name="rules")
app.add_typer(users.app, name="users")
