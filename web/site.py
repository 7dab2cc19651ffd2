"""The parts that every page and every call of the API reach: one bundle, made once, carried by the application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from fastapi import Request
from sqlalchemy import Engine

from schemas.config import Settings
from schemas.ports import Runtime
from web.accounts import Accounts
from web.live import Live
from web.view import View

Status = Callable[[], Mapping[str, object]]
"""The installation's state for `/-/ready`: ``ready`` (bool) and whatever else is worth telling."""


Reload = Callable[[], Awaitable[None]]
"""Reads the configuration again and puts it in force; raises a TocsinError where it is refused."""


@dataclass(frozen=True)
class Site:
    """What the web is about and made of. `engine` is read only, for projections; it runs since `began_ms`."""

    runtime: Runtime
    settings: Settings
    engine: Engine
    accounts: Accounts
    view: View
    live: Live
    status: Status
    reload: Reload
    began_ms: int


def site_of(request: Request) -> Site:
    """The bundle behind a request."""
    site: Site = request.app.state.site
    return site


def uses_tls(settings: Settings) -> bool:
    """Whether browsers reach us over TLS, so that cookies may be bound to it."""
    return settings.server.behind_tls_proxy or settings.rules.external_url.startswith("https://")


def cookie_name(settings: Settings) -> str:
    """`__Host-` binds the cookie to this host and TLS (RFC 6265bis, 4.1.3.2); plain on loopback without TLS."""
    return "__Host-tocsin" if uses_tls(settings) else "tocsin_session"
