"""The desk of the rules as the web reaches it, and the rules by which texts and periods come in."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, HTTPException, Query, Request

from schemas.config import Rules
from schemas.desk import RulesDesk
from schemas.errors import ConfigError
from web.site import site_of

MOST_BYTES = 32 * 1024 * 1024
"""Of rules in one request, tables included."""
DAY_MS = 86_400_000

Days = Annotated[float, Query(gt=0, le=3660)]


def use_desk(app: FastAPI, desk: RulesDesk) -> None:
    """Let the application change rules at this desk."""
    app.state.desk = desk


def desk_of(request: Request) -> RulesDesk:
    """The desk; 404 where the installation has none."""
    desk: RulesDesk | None = getattr(request.app.state, "desk", None)
    if desk is None:
        raise HTTPException(404)
    return desk


async def rules_in(request: Request) -> Rules:
    """The rules in the body of a request: JSON by its content type, else YAML. Raises ConfigError."""
    body = await request.body()
    if len(body) > MOST_BYTES:
        raise ConfigError(f"{len(body)} bytes are too many, {MOST_BYTES} at most")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise ConfigError("expected UTF-8 text") from None
    as_json = request.headers.get("content-type", "").partition(";")[0].strip() == "application/json"
    return desk_of(request).read(text, as_json=as_json)


def period(request: Request, days: float) -> tuple[int, int]:
    """The last so many days, as (since, until) in UTC milliseconds."""
    now_ms = site_of(request).runtime.now_ms()
    return max(0, int(now_ms - days * DAY_MS)), now_ms
