"""Who may ask Alertmanager's API: everybody where it is open, on a loopback address; else who shows a token.

The token is that of a user of Tocsin, as Bearer credential or as the password of Basic: `amtool` and Grafana can give
either. What senders of alerts show is the business of `web.ingest`.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import Scope

from web.accounts import Role
from web.alertmanager.queries import Refused
from web.alertmanager.wire import answer
from web.site import site_of

OPEN_ACTOR = "alertmanager-api"
"""Who acts where nobody has to say who they are."""


async def caller(request: Request, role: Role) -> str:
    """The actor of a request that needs `role`. Raises Refused (401, 403)."""
    token = token_in(request.headers.get("authorization", ""))
    if token:
        user = await run_in_threadpool(site_of(request).accounts.user_of_api_token, token)
        if user is None:
            raise _unknown("unknown token")
        if not user.may(role):
            raise Refused(answer(f"your role does not allow this: it needs {role}", 403))
        return f"user:{user.name}"
    if site_of(request).settings.server.alertmanager_api != "open":
        raise _unknown("no token")
    if not _is_addressed_to_us(request):
        raise Refused(answer("this address is not one of this server", 403))
    return OPEN_ACTOR


async def may_send(scope: Scope) -> bool:
    """Whether who asks may send alerts without a source's token: an operator with a token, or anybody where all may."""
    try:
        await caller(Request(scope), "operator")
    except Refused:
        return False
    return True


def _unknown(reason: str) -> Refused:
    refused = Refused(answer(reason, 401))
    refused.response.headers["www-authenticate"] = 'Bearer realm="tocsin", Basic realm="tocsin"'
    return refused


def token_in(authorization: str) -> str:
    """The Bearer credential, or the password of Basic; empty where there is none."""
    scheme, _, credential = authorization.strip().partition(" ")
    if scheme.lower() == "bearer":
        return credential.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(credential.strip(), validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""


def _is_addressed_to_us(request: Request) -> bool:
    """Whether the Host is one that no stranger's name server can point here: it would make a page's script one of ours.

    Requests that a browser sends for a page of another site are refused as well.
    """
    if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return False
    host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    if host in ("localhost", urlsplit(site_of(request).settings.rules.external_url).hostname):
        return True
    try:
        return bool(ipaddress.ip_address(host))
    except ValueError:
        return False
