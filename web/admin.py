"""Users and their roles, for administrators."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from web.accounts import ROLES, AccountRefused, Role
from web.guard import Admin, AdminForm, address_of
from web.signin import Field, see_other
from web.site import site_of

router = APIRouter(include_in_schema=False)


def _role(wish: str) -> Role:
    return next((role for role in ROLES if role == wish), "viewer")


@router.get("/users")
def users_page(request: Request, session: Admin, said: str = "", refused: str = "") -> Response:
    """Everybody with an account."""
    site = site_of(request)
    facts: dict[str, Any] = {"users": site.accounts.users(), "roles": ROLES}
    return site.view.page(request, "users.html", **facts, said=said, refused=refused)


@router.post("/users")
def add_user(
    request: Request, session: AdminForm, name: Field = "", password: Field = "", role: Field = "viewer"
) -> Response:
    """Create an account."""
    accounts = site_of(request).accounts
    try:
        accounts.add_user(name.strip(), password, _role(role), by=session.user, ip=address_of(request))
    except AccountRefused as refused:
        return see_other(f"/users?refused={refused.code}")
    return see_other("/users?said=user_added")


@router.post("/users/{name}")
def change_user(
    request: Request, session: AdminForm, name: str, role: Field = "viewer", enabled: Field = ""
) -> Response:
    """Change role and access of an account."""
    accounts = site_of(request).accounts
    try:
        accounts.change_user(name, role=_role(role), enabled=enabled == "yes", by=session.user, ip=address_of(request))
    except AccountRefused as refused:
        return see_other(f"/users?refused={refused.code}")
    return see_other("/users?said=user_changed")
