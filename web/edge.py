"""What holds for every answer: security headers and a count. Raw ASGI, so that the hot path pays almost nothing."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # not no-referrer: a form POST would then carry "Origin: null"
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class Requests:
    """Counts and times answered requests by area, method and status."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._answered = Counter(
            "tocsin_http_requests_total", "HTTP requests answered", ("area", "method", "status"), registry=registry
        )
        self._seconds = Histogram(
            "tocsin_http_request_seconds", "Time until an answer began", ("area",), registry=registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
        )  # fmt: skip
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def measure(self, area: str, method: str, status: int, seconds: float) -> None:
        """One request was answered. Looking the counters up by their labels costs more than counting."""
        key = (area, method, status)
        known = self._known.get(key)
        if known is None:
            known = self._answered.labels(area, method, str(status)), self._seconds.labels(area)
            self._known[key] = known
        known[0].inc()
        known[1].observe(seconds)


class Edge:
    """ASGI middleware: adds the headers and measures requests by first path segment, method and status."""

    def __init__(self, app: ASGIApp, *, requests: Requests, tls: bool) -> None:
        self._app, self._requests = app, requests
        headers = dict(SECURITY_HEADERS)
        if tls:
            headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        area, began = _area(scope["path"]), time.perf_counter()
        method = scope["method"] if scope["method"] in _METHODS else "other"

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                if not any(name == b"cache-control" for name, _ in headers):
                    headers.append((b"cache-control", b"no-store"))
                message["headers"] = headers + self._headers
                self._requests.measure(area, method, message["status"], time.perf_counter() - began)
            await send(message)

        await self._app(scope, receive, send_with_headers)


class BelowPrefix:
    """ASGI middleware: what programs ask of an Alertmanager is found below a path as well, as `--web.route-prefix`."""

    def __init__(self, app: ASGIApp, *, prefix: str) -> None:
        self._app, self._prefix = app, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            rest = scope["path"].removeprefix(self._prefix)
            if rest != scope["path"] and (rest.startswith(_FOR_PROGRAMS) or rest == "/metrics"):
                scope = dict(scope, path=rest, raw_path=rest.encode())
        await self._app(scope, receive, send)


_FOR_PROGRAMS = ("/api/v2/", "/-/")
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE"))
_AREAS = frozenset(
    ("incidents", "hooks", "events", "static", "metrics", "login", "ledger", "trends", "sla", "assessment", "channels")
)


def _area(path: str) -> str:
    """A label of few values, whatever path a stranger asks for."""
    first, _, rest = path.lstrip("/").partition("/")
    if first == "api":
        return "alerts" if rest == "v2/alerts" else "api"
    if first == "-":
        return "health"
    return first if first in _AREAS else "other"
