"""The web application, put together: ingest first, then API, console and what watches them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from urllib.parse import quote

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from schemas.config import Settings
from schemas.errors import ConfigError, NotDecidedYet, Overloaded, StoreUnavailable
from schemas.ports import Runtime
from web import (
    acknowledging,
    actions,
    admin,
    api,
    api_docs,
    assessing,
    channel_preview,
    incidents,
    oncall,
    reports,
    rules,
    rules_api,
    second_factor_pages,
    signin,
    summaries,
)
from web.accounts import Accounts
from web.alertmanager import alertmanager_routes, may_send
from web.assets import Assets
from web.edge import SECURITY_HEADERS, BelowPrefix, Edge, Requests
from web.guard import NotAllowed, NotSignedIn, Viewer, session_of
from web.ingest import ingest_routes, receivers
from web.ingest_protocol import protocol_for
from web.live import Live
from web.metrics import TocsinCollector, new_registry
from web.pagerduty import pagerduty_route
from web.site import Reload, Site, Status, site_of, uses_tls
from web.view import View

log = structlog.get_logger(__name__)


def _always_ready() -> Mapping[str, object]:
    return {"ready": True}


async def _not_reloaded() -> None:
    raise ConfigError("this server was started without a way to read its configuration again")


def create_app(
    runtime: Runtime,
    settings: Settings,
    engine: Engine,
    accounts: Accounts,
    status: Status = _always_ready,
    registry: CollectorRegistry | None = None,
) -> FastAPI:
    """The application around a running engine.

    `engine` is where the projections are read; `status` answers `/-/ready` (its ``ready`` decides 200 or 503);
    `registry` may bring the runtime's own collectors. Before stopping the server call `app.state.site.live.close()`:
    servers wait for open connections, and pages that listen keep theirs open.
    """
    registry = registry or new_registry()
    assets, live = Assets(), Live(runtime)
    view = View(settings.rules, assets, runtime.now_ms)
    site = Site(runtime, settings, engine, accounts, view, live, status, _not_reloaded, runtime.now_ms())
    registry.register(TocsinCollector(runtime, engine, live))

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        listening = asyncio.create_task(live.run(), name="live pages")
        yield
        live.close()
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening

    alert_receivers, requests = receivers(runtime, settings, may_send), Requests(registry)
    app = FastAPI(
        title="Tocsin", version="1", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url="/api/openapi.json",
        routes=[
            *ingest_routes(*alert_receivers), pagerduty_route(runtime, settings), *alertmanager_routes(),
            Route("/static/{file}", assets.serve),
        ],
    )  # fmt: skip
    app.state.site, app.state.registry = site, registry
    app.state.http = protocol_for(alert_receivers, requests.measure, settings.server.route_prefix)
    for router in (api.router, api_docs.router, signin.router, incidents.router, actions.router, reports.router):
        app.include_router(router)
    for router in (admin.router, rules.router, rules_api.router, channel_preview.router):
        app.include_router(router)
    for router in (oncall.router, acknowledging.router, second_factor_pages.router, summaries.router):
        app.include_router(router)
    app.include_router(assessing.router)
    app.add_api_route("/events", events, methods=["GET"], include_in_schema=False)
    app.add_api_route("/metrics", metrics, methods=["GET"], include_in_schema=False)
    app.add_api_route("/-/healthy", healthy, methods=["GET", "HEAD"], include_in_schema=False)
    app.add_api_route("/-/ready", ready, methods=["GET", "HEAD"], include_in_schema=False)
    app.add_middleware(Edge, requests=requests, tls=uses_tls(settings))
    if settings.server.route_prefix:
        app.add_middleware(BelowPrefix, prefix=settings.server.route_prefix)
    _add_refusals(app)
    return app


def use_reload(app: FastAPI, reload: Reload) -> None:
    """Do this for `/-/reload`."""
    app.state.site = replace(app.state.site, reload=reload)


async def events(request: Request, session: Viewer, incident: str | None = None) -> Response:
    """Server-Sent Events for open pages: that something changed about incidents, or one; never what."""

    async def still_signed_in() -> bool:
        return await run_in_threadpool(session_of, request, touch=False) is not None

    stream = site_of(request).live.stream(incident, still_signed_in)
    # X-Accel-Buffering: nginx would otherwise gather events before it passes them on.
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


def metrics(request: Request) -> Response:
    """The metrics, for Prometheus."""
    return Response(generate_latest(request.app.state.registry), media_type=CONTENT_TYPE_LATEST)


async def healthy() -> Response:
    """The process answers."""
    return PlainTextResponse("Tocsin is healthy.\n")


def ready(request: Request) -> Response:
    """Whether inputs are accepted and judged: 200, else 503, with the reasons."""
    status = dict(site_of(request).status())
    return JSONResponse(status, 200 if status.get("ready", True) else 503)


# --- refusals -----------------------------------------------------------------------------------------------------


def _add_refusals(app: FastAPI) -> None:
    app.add_exception_handler(NotSignedIn, _not_signed_in)
    app.add_exception_handler(NotAllowed, _not_allowed)
    app.add_exception_handler(NotDecidedYet, _accepted)
    app.add_exception_handler(Overloaded, _busy)
    app.add_exception_handler(StoreUnavailable, _busy)
    app.add_exception_handler(OperationalError, _busy)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _broken)


def _for_programs(request: Request) -> bool:
    return request.url.path.startswith(("/api/", "/hooks/", "/-/"))


def _refusal(request: Request, status: int, code: str, headers: Mapping[str, str] | None = None) -> Response:
    if _for_programs(request):
        words = site_of(request).view.words(request)
        return JSONResponse({"code": code, "reason": words(f"refused.{code}")}, status, headers)
    page = site_of(request).view.page(request, "message.html", status=status, message=f"refused.{code}")
    page.headers.update(headers or {})
    return page


async def _not_signed_in(request: Request, refused: Exception) -> Response:
    if _for_programs(request):
        return _refusal(request, 401, "signed_out", {"WWW-Authenticate": "Bearer"})
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if request.method not in ("GET", "HEAD"):
        wanted = "/"
    to = f"/login?next={quote(wanted)}" if wanted != "/" else "/login"
    if request.headers.get("hx-request") == "true":
        return Response(status_code=401, headers={"HX-Redirect": to})
    if request.url.path == "/events":
        return PlainTextResponse("signed out\n", 401)
    return signin.see_other(to)


async def _not_allowed(request: Request, refused: Exception) -> Response:
    assert isinstance(refused, NotAllowed)
    return _refusal(request, 403, refused.code)


async def _accepted(request: Request, waiting: Exception) -> Response:
    """Kept and not decided yet (in a cluster): to ask again with the same Idempotency-Key is safe."""
    assert isinstance(waiting, NotDecidedYet)
    place = {"partition": waiting.partition, "offset": waiting.offset}
    return JSONResponse({"code": "not_decided_yet", "reason": str(waiting), **place}, 202, {"Retry-After": "1"})


async def _busy(request: Request, refused: Exception) -> Response:
    if isinstance(refused, Overloaded):
        return _refusal(request, 503, "overloaded", {"Retry-After": str(max(1, refused.retry_after_s))})
    return _refusal(request, 503, "unavailable", {"Retry-After": "5"})


async def _http(request: Request, refused: Exception) -> Response:
    assert isinstance(refused, HTTPException)
    if refused.status_code == 404:
        return _refusal(request, 404, "not_found")
    return JSONResponse({"code": f"http_{refused.status_code}", "reason": refused.detail}, refused.status_code,
                        dict(refused.headers or {}))  # fmt: skip


async def _invalid(request: Request, refused: Exception) -> Response:
    assert isinstance(refused, RequestValidationError)
    wrong = [{"place": ".".join(map(str, error["loc"])), "reason": error["msg"]} for error in refused.errors()]
    reason = "; ".join(f"{one['place']}: {one['reason']}" for one in wrong[:10])
    return JSONResponse({"code": "invalid", "reason": reason, "problems": wrong[:50]}, 422)


async def _broken(request: Request, error: Exception) -> Response:
    log.error("request_failed", path=request.url.path, error=repr(error))
    answer = _refusal(request, 500, "broken")
    answer.headers.update(SECURITY_HEADERS)  # this one is sent from outside the middleware
    return answer
