"""Coming and going: sign in and out, the first administrator, one's password, the language."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from web.accounts import AccountRefused, Session
from web.guard import AnyForm, Viewer, ViewerForm, address_of, any_session_of, check_origin, must_enrol
from web.people import SecondFactorAsked
from web.site import cookie_name, site_of, uses_tls
from web.texts import LANGUAGES
from web.view import LANGUAGE_COOKIE

router = APIRouter(include_in_schema=False)

Field = Annotated[str, Form(max_length=1000)]


def local_path(wish: str) -> str:
    """Where to go next: a path on this site, never another host (``//evil``, ``/\\evil``, ``http:…`` become ``/``)."""
    parts = urlsplit(wish)
    plain = wish.startswith("/") and not wish.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc
    return wish if plain and wish.isprintable() and "\\" not in wish else "/"


def see_other(path: str) -> RedirectResponse:
    """Post/redirect/get: after a form the browser fetches `path`, so that a reload sends nothing twice."""
    return RedirectResponse(path, 303)


@router.get("/login")
def login_page(request: Request, next: str = "/") -> Response:
    """The sign-in form."""
    if session := any_session_of(request):
        return see_other("/account/second-factor" if must_enrol(request, session) else local_path(next))
    return site_of(request).view.page(request, "login.html", next=local_path(next), refused="", name="")


@router.post("/login")
def login(request: Request, name: Field = "", password: Field = "", next: Field = "/") -> Response:
    """Open a session, or show the form again with the reason (401; 429 while locked)."""
    check_origin(request)
    site = site_of(request)
    try:
        session = site.accounts.sign_in(name, password, ip=address_of(request))
    except SecondFactorAsked as asked:
        return code_page(request, asked.pending, next)
    except AccountRefused as refused:
        status = 429 if refused.code == "locked" else 401
        facts = {"next": local_path(next), "refused": refused.code, "name": name}
        return site.view.page(request, "login.html", status=status, **facts)
    return welcome(request, session, next)


def code_page(request: Request, pending: str, next: str, refused: str = "") -> Response:
    """The form for the second factor's code; with a reason it is 401, or 429 while locked."""
    status = 429 if refused == "locked" else 401 if refused else 200
    facts = {"pending": pending, "next": local_path(next), "refused": refused}
    return site_of(request).view.page(request, "login_code.html", status=status, **facts)


def welcome(request: Request, session: Session, next: str) -> Response:
    """Hand the session's cookie and the person's language to the browser, and send it where it wanted to go."""
    response = _with_session(request, see_other(local_path(next)), session.token)
    return _with_language(request, response, site_of(request).accounts.belongings.language(session.user.name))


def _with_language(request: Request, response: Response, language: str) -> Response:
    """Set the language of this browser, if it is one that we speak."""
    if language in LANGUAGES:
        secure = uses_tls(site_of(request).settings)
        response.set_cookie(LANGUAGE_COOKIE, language, max_age=366 * 86_400, secure=secure, samesite="lax")
    return response


def _with_session(request: Request, response: Response, token: str) -> Response:
    settings = site_of(request).settings
    response.set_cookie(
        cookie_name(settings),
        token,
        max_age=settings.server.session_hours * 3600,
        path="/",
        secure=uses_tls(settings),
        httponly=True,
        samesite="lax",
    )
    return response


@router.post("/logout")
def logout(request: Request, session: AnyForm) -> Response:
    """End the session."""
    site = site_of(request)
    site.accounts.sign_out(session, ip=address_of(request))
    response = see_other("/login")
    response.delete_cookie(
        cookie_name(site.settings), path="/", secure=uses_tls(site.settings), httponly=True, samesite="lax"
    )
    return response


@router.get("/setup")
def setup_page(request: Request, token: Annotated[str, Query(max_length=200)] = "") -> Response:
    """The form for the first administrator; 404 once there is one."""
    site = site_of(request)
    if not site.accounts.awaits_set_up(token):
        return site.view.page(request, "message.html", status=404, message="setup.over")
    return site.view.page(request, "setup.html", token=token, refused="", name="")


@router.post("/setup")
def setup(request: Request, token: Field = "", name: Field = "", password: Field = "") -> Response:
    """Create the first administrator and sign in."""
    check_origin(request)
    site, name, ip = site_of(request), name.strip(), address_of(request)
    try:
        site.accounts.set_up(token, name, password, ip=ip)
    except AccountRefused as refused:
        if refused.code == "setup_over":
            return site.view.page(request, "message.html", status=404, message="setup.over")
        return site.view.page(request, "setup.html", status=400, token=token, refused=refused.code, name=name)
    session = site.accounts.sign_in(name, password, ip=ip)
    return _with_session(request, see_other("/"), session.token)


@router.get("/account")
def account_page(request: Request, session: Viewer, said: str = "") -> Response:
    """One's own account: password and API tokens."""
    return _own_page(request, session, said=said)


def _own_page(
    request: Request, session: Session, status: int = 200, *, said: str = "", refused: str = "", issued: str = ""
) -> Response:
    site = site_of(request)
    tokens = site.accounts.belongings.api_tokens(session.user.name)
    facts = {"said": said, "refused": refused, "issued": issued, "tokens": tokens}
    return site.view.page(request, "account.html", status=status, **facts)


@router.post("/account/password")
def change_password(request: Request, session: ViewerForm, old: Field = "", new: Field = "") -> Response:
    """Change one's password; other sessions end."""
    site = site_of(request)
    try:
        site.accounts.change_password(session, old, new, ip=address_of(request))
    except AccountRefused as refused:
        return _own_page(request, session, 400, refused=refused.code)
    return see_other("/account?said=password_changed")


@router.post("/account/tokens")
def issue_token(request: Request, session: ViewerForm, label: Field = "") -> Response:
    """Issue an API token and show it, once."""
    site = site_of(request)
    token = site.accounts.issue_api_token(session.user, label.strip() or "-", ip=address_of(request))
    return _own_page(request, session, issued=token)


@router.post("/account/tokens/{token_id}/revoke")
def revoke_token(request: Request, session: ViewerForm, token_id: str) -> Response:
    """End one of one's own API tokens; programs that use it are refused from now on."""
    belongings = site_of(request).accounts.belongings
    revoked = belongings.revoke_api_token(session.user.name, token_id, ip=address_of(request))
    return see_other(f"/account?said={'token_revoked' if revoked else 'unchanged'}")


@router.post("/language")
def switch_language(request: Request, language: Field = "", next: Field = "/") -> Response:
    """Keep the language in a cookie, which anybody may have, and with the account of who is signed in."""
    check_origin(request)
    session = any_session_of(request)
    if session and language in LANGUAGES:
        site_of(request).accounts.belongings.keep_language(session.user.name, language)
    return _with_language(request, see_other(local_path(next)), language)
