"""The addresses of Alertmanager's API, and who may ask them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from web.accounts import Role
from web.alertmanager.access import caller
from web.alertmanager.alerts import get_alerts, get_groups
from web.alertmanager.queries import Refused
from web.alertmanager.silences import delete_silence, get_silence, get_silences, post_silence
from web.alertmanager.status import get_receivers, get_status, post_reload
from web.alertmanager.wire import answer, problem

Handler = Callable[[Request], Awaitable[Response]]
API = "/api/v2"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
DEPRECATED = (
    "The Alertmanager v1 API was deprecated in version 0.16.0 and is removed as of version 0.27.0 - please use the "
    "equivalent route in the v2 API"
)


def alertmanager_routes() -> list[Route]:
    """All of API v2 but `POST /alerts`, and what else an Alertmanager is asked.

    They stand behind the routes of `web.ingest`, which take `POST /alerts`.
    """
    return [
        _route("/alerts", POST=None, GET=_read(get_alerts)),
        _route("/alerts/groups", GET=_read(get_groups)),
        _route("/silences", POST=post_silence, GET=_read(get_silences)),
        _route("/silence/{silence}", DELETE=delete_silence, GET=_read(get_silence)),
        _route("/status", GET=_read(get_status)),
        _route("/receivers", GET=_read(get_receivers)),
        Route(API + "/{rest:path}", _unknown, methods=METHODS),
        Route("/-/reload", _guarded(post_reload), methods=["POST", "PUT"]),
        # Before API v1 of Tocsin's own: of Alertmanager's, only what senders of long ago ask.
        Route("/api/v1/alerts", _deprecated, methods=["GET", "POST"]),
    ]


def _route(path: str, **handlers: Handler | None) -> Route:
    """One address with a handler per method; None: another route has it. Others are refused as Alertmanager does."""
    allowed = ",".join(handlers)

    async def dispatch(request: Request) -> Response:
        handler = handlers.get(request.method)
        if handler is None:
            refused = problem(405, f"method {request.method} is not allowed, but [{allowed}] are")
            refused.headers["allow"] = allowed
            return refused
        return await handler(request)

    return Route(API + path, _guarded(dispatch), methods=METHODS)


def _guarded(handler: Handler) -> Handler:
    """The handler, with what it refuses as an answer."""

    async def answered(request: Request) -> Response:
        try:
            return await handler(request)
        except Refused as refused:
            return refused.response

    return answered


def _read(handler: Handler, role: Role = "viewer") -> Handler:
    async def read(request: Request) -> Response:
        await caller(request, role)
        return await handler(request)

    return read


async def _unknown(request: Request) -> Response:
    return problem(404, f"path {request.url.path} was not found")


async def _deprecated(request: Request) -> Response:
    return answer({"status": "deprecated", "error": DEPRECATED}, 410)
