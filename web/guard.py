"""Who is asking, whether they may, and whether a form really came from one of our own pages."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Annotated, Literal
from urllib.parse import urlsplit

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from web.accounts import Role, Session, User
from web.site import cookie_name, site_of


class NotSignedIn(Exception):
    """Nobody is signed in, or no longer; the application answers with the sign-in page or 401."""


class NotAllowed(Exception):
    """Somebody is signed in but may not do this, or the form is not from our own page; `code` names the text."""

    def __init__(self, code: Literal["not_allowed", "bad_form"]) -> None:
        super().__init__(code)
        self.code = code


def address_of(request: Request) -> str:
    """The address of the asking side, for the audit."""
    return request.client.host if request.client else ""


def session_of(request: Request, *, touch: bool = True) -> Session | None:
    """The session that the request's cookie opens, or None; also None while its person has yet to enrol a second
    factor that their role must have. Reads the database."""
    session = any_session_of(request, touch=touch)
    return None if session is None or must_enrol(request, session) else session


def any_session_of(request: Request, *, touch: bool = True) -> Session | None:
    """As `session_of`, and also of a person who has yet to enrol: for what they need to do so, and nothing else."""
    token = request.cookies.get(cookie_name(site_of(request).settings), "")
    return site_of(request).accounts.session(token, touch=touch) if token else None


def must_enrol(request: Request, session: Session) -> bool:
    """Whether this session's person may do nothing before they enrol a second factor (`server.second_factor_for`)."""
    return not session.user.second_factor and session.user.role in site_of(request).settings.server.second_factor_for


def _is_live_update(request: Request) -> bool:
    """Whether a page fetched this by itself; that does not count as a person being there."""
    return request.headers.get("hx-request") == "true" and request.method == "GET"


def visitor(role: Role) -> Callable[[Request], Session]:
    """A dependency: the signed-in session of somebody who may do what `role` may."""

    def check(request: Request) -> Session:
        session = session_of(request, touch=not _is_live_update(request))
        if session is None:
            raise NotSignedIn
        if not session.user.may(role):
            raise NotAllowed("not_allowed")
        request.state.session = session
        return session

    return check


def any_visitor(request: Request) -> Session:
    """A dependency: the session of anybody, of those too who have yet to enrol a second factor."""
    session = any_session_of(request)
    if session is None:
        raise NotSignedIn
    request.state.session = session
    return session


def form_of(role: Role) -> Callable[..., object]:
    """A dependency for POST: as `visitor`, and the form carries the session's token and comes from our own origin."""
    return _form(visitor(role))


def _form(signed_in: Callable[[Request], Session]) -> Callable[..., object]:
    async def check(request: Request) -> Session:
        session = await run_in_threadpool(signed_in, request)
        check_origin(request)
        shown = (await request.form()).get("csrf", "")
        if not isinstance(shown, str) or not hmac.compare_digest(session.csrf.encode(), shown.encode()):
            raise NotAllowed("bad_form")
        return session

    return check


def check_origin(request: Request) -> None:
    """Refuse what another site made the browser send (Sec-Fetch-Site, else Origin). Raises NotAllowed."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        if site not in ("same-origin", "none"):
            raise NotAllowed("bad_form")
        return
    origin = request.headers.get("origin")
    if origin is None:  # an old browser: the token in the form must do
        return
    ours = {request.headers.get("host", ""), urlsplit(site_of(request).settings.rules.external_url).netloc}
    if urlsplit(origin).netloc not in ours:
        raise NotAllowed("bad_form")


def api_user(role: Role) -> Callable[..., object]:
    """A dependency of the API: the user of a Bearer token, or of the session cookie.

    With the cookie a request that changes something must come from our own origin and carry the session's token as
    `X-CSRF-Token`.
    """

    async def check(request: Request) -> User:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            user = await run_in_threadpool(site_of(request).accounts.user_of_api_token, token.strip())
        else:
            user = await _cookie_user(request)
        if user is None:
            raise NotSignedIn
        if not user.may(role):
            raise NotAllowed("not_allowed")
        return user

    return check


async def _cookie_user(request: Request) -> User | None:
    session = await run_in_threadpool(session_of, request)
    if session is None:
        return None
    if request.method not in ("GET", "HEAD"):
        check_origin(request)
        shown = request.headers.get("x-csrf-token", "")
        if not hmac.compare_digest(session.csrf.encode(), shown.encode()):
            raise NotAllowed("bad_form")
    return session.user


AnyVisitor = Annotated[Session, Depends(any_visitor)]
AnyForm = Annotated[Session, Depends(_form(any_visitor))]
Viewer = Annotated[Session, Depends(visitor("viewer"))]
OperatorForm = Annotated[Session, Depends(form_of("operator"))]
ViewerForm = Annotated[Session, Depends(form_of("viewer"))]
AdminForm = Annotated[Session, Depends(form_of("admin"))]
Admin = Annotated[Session, Depends(visitor("admin"))]
