"""`tocsin incidents …`: what people say of an incident beyond its state."""

from __future__ import annotations

from typing import Annotated

import typer

from engine.cli.incidents import Incident, app, ask
from schemas.tickets import Claim, HandOver, Link, Relation, Split, Unlink, Verify

group = app
"""The whole of `tocsin incidents`, these commands included."""
Other = Annotated[str, typer.Argument(help="the other incident")]


@app.command()
def claim(ctx: typer.Context, incident: Incident) -> None:
    """I take it: become its owner. 认领。"""
    ask(ctx, Claim(incident=incident))


@app.command("hand-over")
def hand_over(
    ctx: typer.Context,
    incident: Incident,
    assignee: Annotated[str, typer.Argument(help="to whom")],
    note: Annotated[str, typer.Option(help="where it stands")],
) -> None:
    """Give it to somebody else, and say where it stands. 转交。"""
    ask(ctx, HandOver(incident=incident, assignee=assignee, note=note))


@app.command()
def verify(ctx: typer.Context, incident: Incident, note: Annotated[str, typer.Option()] = "") -> None:
    """It really is over; not by whoever resolved it. 验证。"""
    ask(ctx, Verify(incident=incident, note=note))


@app.command()
def split(
    ctx: typer.Context,
    incident: Incident,
    alerts: Annotated[list[str], typer.Argument(help="fingerprints of firing alerts")],
    reason: Annotated[str, typer.Option(help="why they are another trouble")],
) -> None:
    """Let some of its firing alerts go on in an incident of their own. 拆分。"""
    ask(ctx, Split(incident=incident, alerts=tuple(alerts), reason=reason))


@app.command()
def link(
    ctx: typer.Context,
    incident: Incident,
    other: Other,
    relation: Annotated[str, typer.Option(help="related, caused_by or duplicate_of")] = "related",
    note: Annotated[str, typer.Option()] = "",
) -> None:
    """It has to do with another incident, of any scope. 关联。"""
    known: dict[str, Relation] = {"related": "related", "caused_by": "caused_by", "duplicate_of": "duplicate_of"}
    if relation not in known:
        raise typer.BadParameter(f"{relation!r} is none of {', '.join(known)}", param_hint="--relation")
    ask(ctx, Link(incident=incident, other=other, relation=known[relation], note=note))


@app.command()
def unlink(ctx: typer.Context, incident: Incident, other: Other) -> None:
    """It has nothing to do with the other incident after all. 取消关联。"""
    ask(ctx, Unlink(incident=incident, other=other))
