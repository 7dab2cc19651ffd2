"""`GET /status` and `/receivers`, and what an Alertmanager is asked to do: `/-/reload`."""

from __future__ import annotations

from importlib.metadata import version

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from schemas.errors import TocsinError
from schemas.matchers import matches
from web.alertmanager import queries
from web.alertmanager.access import caller
from web.alertmanager.config_text import config_text, receivers_of
from web.alertmanager.wire import answer, moment
from web.site import site_of

SPEAKS = "0.34.2"
"""The version of Alertmanager whose API this is: `amtool` compares it with its own, and others choose by it."""


async def get_status(request: Request) -> Response:
    """Version, uptime, the routing in force as an `alertmanager.yml` without its secrets, and the cluster.

    A server tells of itself alone there, as an Alertmanager without peers does: a standby takes over by the database.
    """
    site = site_of(request)
    host, port = request.scope.get("server") or ("", 0)
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    said = {"version": SPEAKS, "revision": "", "branch": f"tocsin {version('tocsin')}"}
    return answer(
        {
            "cluster": {"name": "tocsin", "status": "ready", "peers": [{"name": "tocsin", "address": address}]},
            "versionInfo": said | {"buildUser": "", "buildDate": "", "goVersion": ""},
            "config": {"original": config_text(site.runtime.live().rules(), site.settings.channels)},
            "uptime": moment(site.began_ms),
        }
    )


async def get_receivers(request: Request) -> Response:
    """The receivers by name."""
    wanted = queries.matchers(request, "receiver_matchers", "failed to parse receiver_matchers param: ")
    named = [(name, queries.receiver_labels(name)) for name in receivers_of(site_of(request).runtime.live().rules())]
    kept = [{"name": name, "labels": labels} for name, labels in named if matches(wanted, labels)]
    return answer(kept)


async def post_reload(request: Request) -> Response:
    """Read the configuration again; 500 with the reason where it is refused and the old one stays in force."""
    await caller(request, "admin")
    try:
        await site_of(request).reload()
    except TocsinError as refused:
        return PlainTextResponse(f"failed to reload config: {refused}\n", 500)
    return Response(status_code=200)
