"""The API of the rules: which are in force, what others would change, and putting them in force without a restart."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from projections import noise, rule_hits
from schemas.errors import CommandRejected, ConfigError
from web.accounts import User
from web.desk import Days, desk_of, period, rules_in
from web.guard import api_user
from web.site import site_of

router = APIRouter(prefix="/api/v1", tags=["rules"])

Reader = Annotated[User, Depends(api_user("viewer"))]
Admin = Annotated[User, Depends(api_user("admin"))]
_REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"description": "No or unknown token, or no session"},
    403: {"description": "The role does not allow it"},
    404: {"description": "There is no such version, or no desk for rules"},
}
_INVALID: dict[int | str, dict[str, Any]] = {
    **_REFUSALS,
    400: {"description": "The rules cannot be taken: {code, reason, line, key}; the old ones stay in force"},
    503: {"description": "Overloaded or the store is unavailable; nothing was accepted"},
}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "What stands under `rules` of a tocsin.yaml, or the whole file",
        "content": {
            "application/yaml": {"schema": {"type": "string"}},
            "application/json": {"schema": {"type": "object"}},
        },
    }
}


def _json(content: object) -> Response:
    return Response(msgspec.json.encode(content), media_type="application/json")


def refused(error: ConfigError | CommandRejected) -> Response:
    """Why rules cannot be taken, with the place."""
    if isinstance(error, CommandRejected):
        return JSONResponse({"code": error.code, "reason": error.reason}, 404 if error.code == "not_found" else 400)
    return JSONResponse({"code": "invalid", "reason": error.problem, "line": error.line, "key": error.key}, 400)


@router.get("/rules", responses=_REFUSALS)
def rules(request: Request, user: Reader, version: Annotated[int | None, Query(ge=1, lt=2**53)] = None) -> Response:
    """The rules in force, or those of one version: as YAML, with who put them in force when and what they changed."""
    desk = desk_of(request)
    try:
        return _json(desk.current() if version is None else desk.version(version))
    except CommandRejected as unknown:
        return refused(unknown)


@router.get("/rules/history", responses=_REFUSALS)
def history(request: Request, user: Reader, limit: Annotated[int, Query(ge=1, le=200)] = 50) -> Response:
    """The latest versions, newest first, each with its diff."""
    return _json({"versions": desk_of(request).history(limit)})


@router.put("/rules", responses=_INVALID, openapi_extra=_BODY)
async def put_rules(request: Request, user: Admin, dry_run: bool = False) -> Response:
    """Put rules in force; with `dry_run` only say what that would change. Whatever is wrong leaves the old ones."""
    desk = desk_of(request)
    try:
        wanted = await rules_in(request)
        if dry_run:
            return _json(await run_in_threadpool(desk.check, wanted))
        return _json(await desk.apply(wanted, actor=f"user:{user.name}"))
    except (ConfigError, CommandRejected) as wrong:
        return refused(wrong)


@router.post("/rules/whatif", responses=_INVALID, openapi_extra=_BODY)
async def whatif(request: Request, user: Admin, days: Days = 30) -> Response:
    """What rules would have made of the last days: incidents, pages, breaches, and what people would have missed."""
    desk = desk_of(request)
    since_ms, until_ms = period(request, days)
    try:
        wanted = await rules_in(request)
        return _json(await run_in_threadpool(desk.what_if, wanted, since_ms=since_ms, until_ms=until_ms))
    except (ConfigError, CommandRejected) as wrong:
        return refused(wrong)


@router.get("/rules/shadow", responses=_REFUSALS)
def shadow(request: Request, user: Reader) -> Response:
    """What the shadow rules would have made of what came since they began; null where there are none."""
    return _json(desk_of(request).shadow())


@router.get("/rules/hits", responses=_REFUSALS)
def hits(request: Request, user: Reader) -> Response:
    """How many alerts each rule, silence and window has been about, as of the last roll-up."""
    with site_of(request).engine.connect() as conn:
        return _json({"hits": rule_hits.hits(conn)})


@router.get("/noise", responses=_REFUSALS)
def noise_board(request: Request, user: Reader, days: Days = 30) -> Response:
    """The alerts that cost most pages per useful page, each with the rule that would spare them."""
    since_ms, _ = period(request, days)
    with site_of(request).engine.connect() as conn:
        return _json({"since_ms": since_ms, "noisy": noise.board(conn, since_ms)})


@router.get("/explain", responses={**_REFUSALS, 404: {"description": "Nothing is known about it in this time"}})
def explain(
    request: Request,
    user: Reader,
    subject: Annotated[str, Query(min_length=1, max_length=200)],
    at_ms: Annotated[int | None, Query(ge=0, lt=2**53)] = None,
    around_s: Annotated[int, Query(ge=1, le=86_400)] = 900,
) -> Response:
    """Why things are so about an alert (its fingerprint), an incident (its id) or a receiver (its name)."""
    try:
        return _json(desk_of(request).explain(subject, at_ms=at_ms, around_ms=1000 * around_s))
    except CommandRejected as unknown:
        return refused(unknown)
