"""The pages of the second factor: the code after the password, enrolling, recovery codes, an administrator's reset."""

from __future__ import annotations

from typing import Any

import segno
from fastapi import APIRouter, Request
from markupsafe import Markup
from starlette.responses import Response

from web import totp
from web.guard import AdminForm, AnyForm, AnyVisitor, address_of, check_origin
from web.people import AccountRefused, Session, digest_of
from web.second_factor import grouped
from web.signin import Field, code_page, local_path, see_other, welcome
from web.site import Site, site_of

router = APIRouter(include_in_schema=False)
PAGE = "/account/second-factor"


@router.post("/login/code")
def answer(request: Request, pending: Field = "", code: Field = "", next: Field = "/") -> Response:
    """Open the session after the code, or ask again with the reason (401; 429 while locked)."""
    check_origin(request)
    site = site_of(request)
    try:
        session = site.accounts.second_factor.answer(pending, code, ip=address_of(request))
    except AccountRefused as refused:
        if refused.code == "sign_in_over":
            facts = {"next": local_path(next), "refused": refused.code, "name": ""}
            return site.view.page(request, "login.html", status=401, **facts)
        return code_page(request, pending, next, refused.code)
    return welcome(request, session, next)


@router.get(PAGE)
def second_factor_page(request: Request, session: AnyVisitor, said: str = "") -> Response:
    """One's own second factor: how to enrol, or what is left of the recovery codes."""
    return _page(request, session, said=said)


def _page(
    request: Request,
    session: Session,
    status: int = 200,
    *,
    said: str = "",
    refused: str = "",
    codes: tuple[str, ...] = (),
) -> Response:
    site = site_of(request)
    on = session.user.second_factor or bool(codes)
    facts: dict[str, Any] = {"on": on, "codes": codes, "said": said, "refused": refused, "uri": "", "left": 0}
    facts["wanted"] = session.user.role in site.settings.server.second_factor_for
    if on:
        facts["left"] = site.accounts.second_factor.codes_left(session.user.name)
    else:
        facts |= _enrolment(site, session.user.name)
    return site.view.page(request, "second_factor.html", status=status, **facts)


def _enrolment(site: Site, user: str) -> dict[str, Any]:
    secret = site.accounts.second_factor.begin(user)
    uri = totp.provisioning_uri(secret, issuer="Tocsin", name=user)
    # Attributes and no style: the pages' Content-Security-Policy allows no styles inside of them.
    code = segno.make(uri, error="m", micro=False).svg_inline(omitsize=True, light="#fff", svgclass="qr")
    return {"uri": uri, "secret": grouped(secret, by=" "), "qr": Markup(code)}


@router.post(PAGE)
def confirm(request: Request, session: AnyForm, code: Field = "") -> Response:
    """Put the second factor in force by its first code, and show the recovery codes, once."""
    factor, name = site_of(request).accounts.second_factor, session.user.name
    try:
        codes = factor.confirm(name, code, keep=digest_of(session.token), ip=address_of(request))
    except AccountRefused as refused:
        return _page(request, session, 400, refused=refused.code)
    return _page(request, session, said="second_factor_on", codes=tuple(codes))


@router.post(f"{PAGE}/renew")
def renew(request: Request, session: AnyForm, code: Field = "") -> Response:
    """New recovery codes, shown once."""
    try:
        codes = site_of(request).accounts.second_factor.renew_codes(session.user.name, code, ip=address_of(request))
    except AccountRefused as refused:
        return _page(request, session, 400, refused=refused.code)
    return _page(request, session, said="codes_renewed", codes=tuple(codes))


@router.post(f"{PAGE}/remove")
def remove(request: Request, session: AnyForm, code: Field = "") -> Response:
    """Take one's own second factor away."""
    try:
        site_of(request).accounts.second_factor.remove(session.user.name, code, ip=address_of(request))
    except AccountRefused as refused:
        return _page(request, session, 400, refused=refused.code)
    return see_other(f"{PAGE}?said=second_factor_off")


@router.post("/users/{name}/second-factor/reset")
def reset(request: Request, session: AdminForm, name: str) -> Response:
    """Let somebody who lost phone and recovery codes in with the password alone, to enrol again."""
    try:
        site_of(request).accounts.second_factor.reset(name, by=session.user.name, ip=address_of(request))
    except AccountRefused as refused:
        return see_other(f"/users?refused={refused.code}")
    return see_other("/users?said=second_factor_reset")
