"""`tocsin incidents`: see and handle incidents on a running Tocsin."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import typer

from engine.cli.options import (
    ConfigOption,
    JsonOption,
    TokenOption,
    UrlOption,
    clock,
    print_json,
    print_table,
    settings_of,
)
from engine.cli.remote import Remote
from schemas.commands import Acknowledge, AddNote, Assign, Classify, Close, IncidentCommand, Merge, Resolve
from schemas.config import Settings
from schemas.tickets import TicketCommand

app = typer.Typer(no_args_is_help=True, help="See and handle incidents on a running Tocsin. 事件。")

Incident = Annotated[str, typer.Argument(help="as in INC-7")]
Module = Annotated[str, typer.Option(help="the module 模块")]
Organisation = Annotated[str, typer.Option(help="the organisation 机构")]
ProblemType = Annotated[str, typer.Option(help="the problem type 问题类型")]


class _Session:
    """Where the commands of this group go, from the options that stand before the command."""

    def __init__(self, settings: Settings, remote: Remote) -> None:
        self.settings, self.remote = settings, remote


@app.callback()
def connect(ctx: typer.Context, url: UrlOption = None, token: TokenOption = None, config: ConfigOption = None) -> None:
    """See and handle incidents on a running Tocsin. 事件。"""
    settings = settings_of(config)
    ctx.obj = _Session(settings, Remote.of(settings, url, token))


@app.command("list")
def list_incidents(
    ctx: typer.Context,
    state: Annotated[str | None, typer.Option(help="triggered, acknowledged, …; open is all that are not over")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 50,
    module: Module = "",
    organisation: Organisation = "",
    problem_type: ProblemType = "",
    as_json: JsonOption = False,
) -> None:
    """The newest incidents. 事件列表。"""
    session = _session(ctx)
    parts = {"state": state, "module": module, "organisation": organisation, "problem_type": problem_type}
    params: dict[str, str | int] = {"limit": limit} | {name: value for name, value in parts.items() if value}
    found = session.remote.get("/api/v1/incidents", **params)["incidents"]
    if as_json:
        print_json(found)
        return
    rows = [
        (one["incident"], one["priority"], one["state"], clock(one["opened_ms"], session.settings),
         one["service"], one["assignee"], one["title"])
        for one in found
    ]  # fmt: skip
    print_table(("incident", "priority", "state", "opened", "service", "owner", "title"), rows)


@app.command()
def show(ctx: typer.Context, incident: Incident, as_json: JsonOption = False) -> None:
    """One incident: its facts and its timeline. 事件详情。"""
    session = _session(ctx)
    found = session.remote.get(f"/api/v1/incidents/{quote(incident, safe='')}")
    if as_json:
        print_json(found)
        return
    facts = found["incident"]
    print_table(("", ""), [(key, _cell(key, value, session.settings)) for key, value in facts.items() if value])
    typer.echo()
    entries = found["timeline"][::-1]
    rows = [(clock(one["at_ms"], session.settings), one["type"], one["actor"], one["event_id"]) for one in entries]
    print_table(("at", "what", "who", "event"), rows)


@app.command()
def ack(ctx: typer.Context, incident: Incident) -> None:
    """I have seen it and take care; the response clock stops. 响应。"""
    ask(ctx, Acknowledge(incident=incident))


@app.command()
def assign(ctx: typer.Context, incident: Incident, assignee: Annotated[str, typer.Argument(help="who")]) -> None:
    """Make somebody the owner. 指派责任人。"""
    ask(ctx, Assign(incident=incident, assignee=assignee))


@app.command()
def note(ctx: typer.Context, incident: Incident, text: Annotated[str, typer.Argument(help="what to write")]) -> None:
    """Write on the timeline. 备注。"""
    ask(ctx, AddNote(incident=incident, text=text))


@app.command()
def classify(
    ctx: typer.Context,
    incident: Incident,
    module: Module = "",
    organisation: Organisation = "",
    problem_type: ProblemType = "",
) -> None:
    """Say where it belongs, all three at once; what is not given is not known. 分类。"""
    parts = {"module": module, "organisation": organisation, "problem_type": problem_type}
    ask(ctx, Classify(incident=incident, **parts))


@app.command()
def counts(
    ctx: typer.Context,
    by: Annotated[str, typer.Option(help="module, organisation or problem_type")] = "module",
    state: Annotated[str, typer.Option(help="as for list; all counts every incident")] = "all",
    as_json: JsonOption = False,
) -> None:
    """How many incidents belong to which module, organisation or problem type. 分类统计。"""
    found = _session(ctx).remote.get("/api/v1/incident-counts", by=by, state=state)["counts"]
    if as_json:
        print_json(found)
        return
    print_table((by, "all", "open"), [(one["value"] or "–", str(one["total"]), str(one["open"])) for one in found])


@app.command()
def resolve(
    ctx: typer.Context,
    incident: Incident,
    solution: Annotated[str, typer.Option(help="what was done")] = "",
    cause_code: Annotated[str, typer.Option(help="the kind of cause")] = "",
) -> None:
    """It is over. 解决。"""
    ask(ctx, Resolve(incident=incident, solution=solution, cause_code=cause_code))


@app.command()
def close(ctx: typer.Context, incident: Incident, text: Annotated[str, typer.Option("--note")] = "") -> None:
    """Nothing more is to be done. 关闭。"""
    ask(ctx, Close(incident=incident, note=text))


@app.command()
def merge(
    ctx: typer.Context,
    incident: Incident,
    into: Annotated[str, typer.Argument(help="the incident that goes on")],
    reason: Annotated[str, typer.Option()] = "",
) -> None:
    """The first is the same trouble as the second, and goes on there. 合并。"""
    ask(ctx, Merge(incident=incident, into=into, reason=reason))


def _session(ctx: typer.Context) -> _Session:
    session = ctx.find_object(_Session)
    assert session is not None
    return session


def ask(ctx: typer.Context, command: IncidentCommand | TicketCommand) -> None:
    """Send one command, and say what it has caused."""
    events = _session(ctx).remote.post("/api/v1/commands", command.model_dump(mode="json"))["events"]
    if not events:
        typer.echo(f"{command.incident}: already so")
    for event in events:
        typer.echo(f"{event['id']}  {event['subject']}: {event['type']}")


def _cell(key: str, value: Any, settings: Settings) -> str:
    if key.endswith("_ms") and isinstance(value, int) and value > 1_000_000_000_000:
        return clock(value, settings)
    return "" if value is None else str(value)
