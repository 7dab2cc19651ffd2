"""On call (值班): who it is now and in the days to come, gaps, and the forms that change it; the same for programs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Annotated, Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse, Response

from schemas.errors import CommandRejected
from schemas.oncall_changes import LATEST_MS
from schemas.roster import Roster, Shift
from web.accounts import User
from web.actions import ask, reason_told
from web.calendars import calendar_of
from web.guard import OperatorForm, Viewer, api_user
from web.signin import see_other
from web.site import site_of

router = APIRouter()
Reader = Annotated[User, Depends(api_user("viewer"))]
Millis = Annotated[int, Query(ge=0, le=LATEST_MS)]
Key = Annotated[str, Query(max_length=63)]

DAY_MS = 86_400_000
SHOWN_DAYS, GAP_DAYS, CALENDAR_DAYS = 14, 30, 120
_REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"description": "No token, or not a valid one"},
    404: {"description": "There is no such schedule"},
    503: {"description": "Not known in this process: retry later, or ask a worker"},
}


def roster_of(request: Request) -> Roster:
    """Who is on call, as it stands now. Raises StoreUnavailable where this process does not know it."""
    return site_of(request).runtime.live().oncall()


@router.get("/oncall", include_in_schema=False)
async def oncall_page(request: Request, session: Viewer, said: str = "", refused: str = "") -> Response:
    """Now, the next two weeks, gaps of the next 30 days, changes, and forms to make them."""
    site = site_of(request)
    now, roster = site.runtime.now_ms(), roster_of(request)
    rules = roster.rules()
    zone = ZoneInfo(rules.timezone)
    tables = [
        (name, schedule, roster.who(name, now), _by_day(roster.shifts(name, now, now + SHOWN_DAYS * DAY_MS), zone))
        for name, schedule in rules.oncall.schedules.items()
    ]
    facts: dict[str, Any] = {
        "tables": tables,
        "gaps": roster.gaps(now, now + GAP_DAYS * DAY_MS),
        "changes": [one for one in reversed(roster.changes()) if one.ends_ms > now],
        "people": {name: person.name or name for name, person in rules.oncall.people.items()},
        "mine": rules.oncall.person_of(session.user.name),
        "now_local": datetime.fromtimestamp(now / 1000, zone).strftime("%Y-%m-%dT%H:%M"),
    }
    reason = reason_told(request, session)
    return site.view.page(request, "oncall.html", **facts, said=said, refused=refused, reason=reason)


def _by_day(shifts: Sequence[Shift], zone: ZoneInfo) -> list[tuple[str, list[Shift]]]:
    """Shifts under the local date on which they begin."""
    dated = groupby(shifts, lambda one: datetime.fromtimestamp(one.starts_ms / 1000, zone).date().isoformat())
    return [(day, list(ones)) for day, ones in dated]


@router.post("/oncall/{change}", include_in_schema=False)
async def change_oncall(request: Request, session: OperatorForm, change: str) -> Response:
    """An override, a swap, a vacation, or the end of one."""
    if change not in ("set_override", "swap_shifts", "set_vacation", "remove_oncall_change"):
        return site_of(request).view.page(request, "message.html", status=404, message="refused.not_found")
    zone = ZoneInfo(roster_of(request).rules().timezone)
    fields: dict[str, Any] = {"type": change}
    for name, value in (await request.form()).items():
        if name == "csrf" or not isinstance(value, str) or not value.strip():
            continue
        if name in ("starts", "ends", "back_starts", "back_ends"):
            fields[f"{name}_ms"] = _moment(value, zone)
        else:
            fields[name] = value
    said = await ask(request, f"user:{session.user.name}", fields)
    if not isinstance(said, dict):
        said = {"said": "done"}
    return see_other(f"/oncall?{urlencode(said)}")


def _moment(local: str, zone: ZoneInfo) -> int | str:
    """UTC milliseconds of what a browser sends for a local time; what is none, as it is: the command refuses it."""
    try:
        at = datetime.fromisoformat(local).replace(tzinfo=zone)
    except ValueError:
        return local
    return int(at.astimezone(UTC).timestamp() * 1000)


# --- for programs -----------------------------------------------------------------------------------------------------


def _refused(refused: CommandRejected) -> Response:
    return JSONResponse({"code": refused.code, "reason": refused.reason}, 404)


def _json(content: object) -> Response:
    return Response(msgspec.json.encode(content), media_type="application/json")


@router.get("/api/v1/oncall", responses=_REFUSALS)
async def who_is_on_call(request: Request, user: Reader, at_ms: Millis = 0, schedule: Key = "") -> Response:
    """Who is on call at a moment (absent: now) by one schedule or by all, and why."""
    roster, at = roster_of(request), at_ms or site_of(request).runtime.now_ms()
    names = [schedule] if schedule else list(roster.rules().oncall.schedules)
    try:
        return _json({"at_ms": at, "oncall": {name: roster.who(name, at) for name in names}})
    except CommandRejected as refused:
        return _refused(refused)


@router.get("/api/v1/oncall/shifts", responses=_REFUSALS)
async def shifts(
    request: Request, user: Reader, schedule: Key, from_ms: Millis = 0, days: Annotated[int, Query(ge=1, le=400)] = 14
) -> Response:
    """The shifts of a schedule, times without anybody included, in order and without holes."""
    begin = from_ms or site_of(request).runtime.now_ms()
    try:
        return _json({"shifts": roster_of(request).shifts(schedule, begin, begin + days * DAY_MS)})
    except CommandRejected as refused:
        return _refused(refused)


@router.get("/api/v1/oncall/gaps", responses=_REFUSALS)
async def gaps(request: Request, user: Reader, days: Annotated[int, Query(ge=1, le=400)] = GAP_DAYS) -> Response:
    """The times of the next days in which nobody is on call, of every schedule where that is a mistake."""
    now = site_of(request).runtime.now_ms()
    return _json({"gaps": roster_of(request).gaps(now, now + days * DAY_MS)})


@router.get("/api/v1/oncall/changes", responses=_REFUSALS)
async def changes(request: Request, user: Reader) -> Response:
    """Overrides, swaps and vacations, those of the last 90 days included, in the order in which they were made."""
    return _json({"changes": roster_of(request).changes()})


@router.get("/api/v1/oncall/calendar", responses=_REFUSALS)
async def calendar(request: Request, user: Reader, schedule: Key, person: Key = "") -> Response:
    """The shifts of the next 120 days as iCalendar (RFC 5545): of everybody, or of one person."""
    now, roster = site_of(request).runtime.now_ms(), roster_of(request)
    try:
        found = roster.shifts(schedule, now, now + CALENDAR_DAYS * DAY_MS)
    except CommandRejected as refused:
        return _refused(refused)
    text = calendar_of(schedule, found, roster.rules().oncall, person=person, at_ms=now)
    return Response(text, media_type="text/calendar; charset=utf-8")
