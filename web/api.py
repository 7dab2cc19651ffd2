"""The HTTP API, `/api/v1`: ask, and read what the log says. Answers are JSON; times are UTC milliseconds."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Body, Depends, Header, Query, Request
from starlette.responses import JSONResponse, Response

from projections import assessment, deliveries, ledger, sla, tickets, trends
from projections.tickets import TicketFilter
from schemas.commands import Command
from schemas.errors import CommandRejected
from schemas.events import IncidentState, LoggedEvent, Priority
from schemas.tickets import ClassifiedBy
from web.accounts import User
from web.guard import api_user
from web.incidents import OPEN, incident_facts
from web.reports import FOREVER_MS, days_until_now
from web.site import site_of

router = APIRouter(prefix="/api/v1", tags=["v1"])

Reader = Annotated[User, Depends(api_user("viewer"))]
Operator = Annotated[User, Depends(api_user("operator"))]
Limit = Annotated[int, Query(ge=1, le=500)]
Offset = Annotated[int, Query(ge=0, le=1_000_000_000)]
_REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"description": "No or unknown token, or no session"},
    403: {"description": "The role does not allow it"},
}


def _json(content: object, status: int = 200) -> Response:
    """msgspec structs as JSON, without a detour."""
    return Response(msgspec.json.encode(content), status, media_type="application/json")


def _event(logged: LoggedEvent) -> dict[str, object]:
    event = logged.event
    named = {"id": logged.id, "type": logged.type, "subject": event.subject, "at_ms": event.at_ms}
    return {**named, "actor": event.actor, "data": event.data}


@router.post(
    "/commands",
    responses={
        **_REFUSALS,
        202: {"description": "In a cluster: kept, and not decided in time. Ask again with the same Idempotency-Key"},
        400: {"description": "The body is not text: {code, reason}"},
        404: {"description": "There is no such incident or channel: {code, reason}"},
        409: {"description": "Not possible in the present state: {code, reason}"},
        503: {"description": "Overloaded or the store is unavailable; nothing was accepted"},
    },
)
async def command(
    request: Request,
    user: Operator,
    command: Annotated[Command, Body(discriminator="type")],
    idempotency_key: Annotated[str | None, Header(max_length=200, min_length=1)] = None,
) -> Response:
    """Run one command; answers after it is on disk, with the events that it caused (none: it was already so).

    With the same `Idempotency-Key` a command is decided once, however often it is sent.
    """
    site = site_of(request)
    # The key is the user's own: nobody can block another's command by guessing it.
    command_id = f"{user.name}/{idempotency_key}" if idempotency_key else str(uuid.uuid4())
    try:
        outcome = await site.runtime.command(command, actor=f"user:{user.name}", command_id=command_id)
    except CommandRejected as rejected:
        status = 404 if rejected.code == "not_found" else 409
        return JSONResponse({"code": rejected.code, "reason": rejected.reason}, status)
    await site.runtime.caught_up()
    return _json({"offset": outcome.offset, "events": [_event(logged) for logged in outcome.events]})


Part = Annotated[str, Query(max_length=200, description="exactly this, confirmed or suggested")]


def wanted_by(
    state: Annotated[list[IncidentState | Literal["open", "all"]] | None, Query()] = None,
    priority: Annotated[list[Priority] | None, Query()] = None,
    service: Annotated[str, Query(max_length=200)] = "",
    text: Annotated[str, Query(max_length=200)] = "",
    opened_after_ms: Annotated[int | None, Query(ge=0, lt=2**53)] = None,
    opened_before_ms: Annotated[int | None, Query(ge=0, lt=2**53)] = None,
    module: Part = "",
    organisation: Part = "",
    problem_type: Part = "",
) -> TicketFilter:
    """Which incidents an address asks for. `state=open` means any open state."""
    wanted = TicketFilter(priorities=priority or (), service=service, text=text)
    wanted["opened_after_ms"], wanted["opened_before_ms"] = opened_after_ms, opened_before_ms
    wanted["module"], wanted["organisation"], wanted["problem_type"] = module, organisation, problem_type
    if state and "all" not in state:
        plain = [name for name in state if name not in ("open", "all")]
        wanted["states"] = [*plain, *(OPEN if "open" in state else ())]  # type: ignore[list-item]
    return wanted


Wanted = Annotated[TicketFilter, Depends(wanted_by)]


@router.get("/incidents", responses=_REFUSALS)
def incidents(request: Request, user: Reader, wanted: Wanted, limit: Limit = 50, offset: Offset = 0) -> Response:
    """The incidents that match, newest first; `total` counts all of them. `state=open` means any open state."""
    with site_of(request).engine.connect() as conn:
        total = tickets.count_tickets(conn, **wanted)
        found = tickets.list_tickets(conn, limit=limit, offset=offset, **wanted)
    return _json({"total": total, "incidents": found})


@router.get("/incident-counts", responses=_REFUSALS)
def incident_counts(request: Request, user: Reader, wanted: Wanted, by: ClassifiedBy = "module") -> Response:
    """The incidents that match, counted by one part of their classification; the empty value is not known."""
    with site_of(request).engine.connect() as conn:
        return _json({"by": by, "counts": tickets.counts_by(conn, by, **wanted)})


@router.get("/incidents/{incident}", responses={**_REFUSALS, 404: {"description": "There is no such incident"}})
def incident(request: Request, user: Reader, incident: str) -> Response:
    """One incident with its clocks, alerts, timeline (newest first) and deliveries."""
    with site_of(request).engine.connect() as conn:
        facts = incident_facts(conn, incident)
        clocks = sla.clocks_of(conn, incident)
        alerts = tickets.ticket_alerts(conn, incident)
    if facts is None:
        return JSONResponse({"code": "not_found", "reason": f"there is no incident {incident}"}, 404)
    timeline = [_raw_data(entry, "data") for entry in facts["timeline"]]
    shown = [_raw_data(alert, "labels", "annotations") for alert in alerts]
    named = {"incident": facts["ticket"], "clocks": clocks, "alerts": shown, "timeline": timeline}
    return _json({**named, "deliveries": facts["deliveries"], "links": facts["linked"]})


def _raw_data(row: msgspec.Struct, *names: str) -> dict[str, object]:
    """A row as a dictionary, its columns of JSON text as the JSON they are."""
    plain = msgspec.structs.asdict(row)
    return plain | {name: msgspec.Raw(plain[name].encode()) for name in names}


@router.get("/ledger", responses=_REFUSALS)
def books(request: Request, user: Reader) -> Response:
    """The books at their last roll-up, and `now`: the counts that include what is not yet rolled up."""
    site = site_of(request)
    with site.engine.connect() as conn:
        balance = ledger.balance(conn)
    now = {source: dict(counts) for source, counts in site.runtime.dispositions().items()}
    return _json({**msgspec.structs.asdict(balance), "now": now})


@router.get("/trends", responses=_REFUSALS)
def daily_trends(
    request: Request,
    user: Reader,
    days: Annotated[int, Query(ge=1, le=400)] = 30,
    by: Literal["service", "severity", "priority"] | None = None,
) -> Response:
    """Counts and sums of each of the last days, as the installation's time zone has days."""
    site = site_of(request)
    calendar = days_until_now(site, days)
    with site.engine.connect() as conn:
        return _json({"days": trends.daily(conn, calendar[0], calendar[-1], by=by)})


Millis = Annotated[int, Query(ge=0, le=FOREVER_MS)]


@router.get("/assessment/proposals", responses=_REFUSALS)
def proposals(request: Request, user: Reader, since_ms: Millis = 0, until_ms: Millis = FOREVER_MS) -> Response:
    """The deductions that annex 3 suggests for a period, each with its evidence. Proposals only."""
    with site_of(request).engine.connect() as conn:
        return _json(assessment.proposed_deduction(conn, since_ms, until_ms))


@router.get("/deliveries", responses=_REFUSALS)
def latest_deliveries(request: Request, user: Reader, limit: Limit = 50) -> Response:
    """The latest deliveries, and each channel's health."""
    with site_of(request).engine.connect() as conn:
        return _json({"deliveries": deliveries.recent(conn, limit), "channels": deliveries.channel_health(conn)})
