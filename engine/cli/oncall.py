"""`tocsin oncall`: who is on call on a running Tocsin, gaps, calendars, and changes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

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
from schemas.commands import RemoveOncallChange, SetOverride, SetVacation, SwapShifts
from schemas.config import Settings

app = typer.Typer(no_args_is_help=True, help="Who is on call on a running Tocsin. 值班。")

Schedule = Annotated[str, typer.Argument(help="the key of a schedule in the rules")]
Person = Annotated[str, typer.Argument(help="the key of a person in the rules")]
At = Annotated[str, typer.Argument(help="local time of this installation, as in 2026-10-01T09:00")]
Reason = Annotated[str, typer.Option(help="why")]


class _Session:
    def __init__(self, settings: Settings, remote: Remote) -> None:
        self.settings, self.remote = settings, remote


@app.callback()
def connect(ctx: typer.Context, url: UrlOption = None, token: TokenOption = None, config: ConfigOption = None) -> None:
    """Who is on call on a running Tocsin. 值班。"""
    settings = settings_of(config)
    ctx.obj = _Session(settings, Remote.of(settings, url, token))


@app.command()
def who(
    ctx: typer.Context,
    schedule: Annotated[str, typer.Argument(help="a schedule (default: all)")] = "",
    at: Annotated[str, typer.Option(help="at this local time instead of now")] = "",
    as_json: JsonOption = False,
) -> None:
    """Who is on call now, or at another moment, and why. 当前值班人。"""
    session = _session(ctx)
    params: dict[str, str | int] = {"schedule": schedule} | ({"at_ms": _moment(at, session.settings)} if at else {})
    found = session.remote.get("/api/v1/oncall", **params)
    if as_json:
        print_json(found)
        return
    rows = [
        (name, duty["person"] or "nobody", " ".join(filter(None, (duty["why"], duty["by"]))), duty["instead_of"])
        for name, duty in found["oncall"].items()
    ]
    print_table(("schedule", "on call", "why", "instead of"), rows)


@app.command()
def schedule(
    ctx: typer.Context,
    schedule: Schedule,
    days: Annotated[int, typer.Option(min=1, max=400)] = 14,
    as_json: JsonOption = False,
) -> None:
    """The shifts of the days to come. 值班表。"""
    session = _session(ctx)
    found = session.remote.get("/api/v1/oncall/shifts", schedule=schedule, days=days)["shifts"]
    if as_json:
        print_json(found)
        return
    rows = [
        (clock(one["starts_ms"], session.settings), clock(one["ends_ms"], session.settings),
         one["duty"]["person"] or "nobody", one["duty"]["why"])
        for one in found
    ]  # fmt: skip
    print_table(("from", "until", "on call", "why"), rows)


@app.command()
def gaps(
    ctx: typer.Context, days: Annotated[int, typer.Option(min=1, max=400)] = 30, as_json: JsonOption = False
) -> None:
    """The times in which nobody is on call; exit code 1 where there are any. 值班空档。"""
    session = _session(ctx)
    found = session.remote.get("/api/v1/oncall/gaps", days=days)["gaps"]
    if as_json:
        print_json(found)
    else:
        rows = [(one["schedule"], *(clock(one[key], session.settings) for key in ("starts_ms", "ends_ms")))
                for one in found]  # fmt: skip
        print_table(("schedule", "from", "until"), rows)
    if found:
        raise typer.Exit(1)


@app.command()
def changes(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Overrides, swaps and vacations, each with who made it and when. 调整记录。"""
    session = _session(ctx)
    found = session.remote.get("/api/v1/oncall/changes")["changes"]
    if as_json:
        print_json(found)
        return
    rows = [
        (one["id"], one["kind"], one["person"], one.get("replaces", ""), one.get("schedule", ""),
         clock(one["starts_ms"], session.settings), clock(one["ends_ms"], session.settings), one.get("made_by", ""))
        for one in found
    ]  # fmt: skip
    print_table(("id", "kind", "person", "for", "schedule", "from", "until", "made by"), rows)


@app.command()
def ical(
    ctx: typer.Context, schedule: Schedule, person: Annotated[str, typer.Option(help="only their shifts")] = ""
) -> None:
    """The shifts of the next 120 days as iCalendar on standard output. 导出日历。"""
    typer.echo(_session(ctx).remote.text("/api/v1/oncall/calendar", schedule=schedule, person=person), nl=False)


@app.command()
def override(ctx: typer.Context, schedule: Schedule, person: Person, starts: At, ends: At, reason: Reason = "") -> None:
    """Let somebody be on call instead of whoever it would be. 临时替班。"""
    begin, end = (_moment(at, _session(ctx).settings) for at in (starts, ends))
    _ask(ctx, SetOverride(schedule=schedule, person=person, starts_ms=begin, ends_ms=end, reason=reason))


@app.command()
def swap(
    ctx: typer.Context,
    schedule: Schedule,
    person: Person,
    with_person: Annotated[str, typer.Argument(help="who takes over")],
    starts: At,
    ends: At,
) -> None:
    """Let one person take over another's time on call. 换班。"""
    begin, end = (_moment(at, _session(ctx).settings) for at in (starts, ends))
    _ask(ctx, SwapShifts(schedule=schedule, person=person, with_person=with_person, starts_ms=begin, ends_ms=end))


@app.command()
def vacation(ctx: typer.Context, person: Person, starts: At, ends: At, reason: Reason = "") -> None:
    """Somebody cannot be on call; others stand in. 休假。"""
    begin, end = (_moment(at, _session(ctx).settings) for at in (starts, ends))
    _ask(ctx, SetVacation(person=person, starts_ms=begin, ends_ms=end, reason=reason))


@app.command()
def remove(ctx: typer.Context, change: Annotated[str, typer.Argument(help="the id of a change")]) -> None:
    """Take back an override, a swap or a vacation. 撤销调整。"""
    _ask(ctx, RemoveOncallChange(id=change))


def _session(ctx: typer.Context) -> _Session:
    session = ctx.find_object(_Session)
    assert session is not None
    return session


def _moment(text: str, settings: Settings) -> int:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"not a time: {text}") from None
    zoned = at if at.tzinfo is not None else at.replace(tzinfo=ZoneInfo(settings.rules.timezone))
    return int(zoned.astimezone(UTC).timestamp() * 1000)


def _ask(ctx: typer.Context, command: Any) -> None:
    events = _session(ctx).remote.post("/api/v1/commands", command.model_dump(mode="json"))["events"]
    for event in events:
        if not event["type"].startswith("oncall_"):
            continue  # what a gap that is filled or made has caused
        change = event["data"].get("change", event["data"])
        typer.echo(f"{event['id']}  {event['type']}: {change['id']}")
