"""The page behind a link in a message: one button that acknowledges, for a phone on which nobody has signed in.

Opening it changes nothing: chat programs open links by themselves to preview them.
"""

from __future__ import annotations

import re
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from projections import tickets
from projections.tickets import TicketRow
from schemas.commands import Acknowledge
from schemas.errors import CommandRejected, NotDecidedYet
from schemas.links import Permit, Signer
from web.site import Site, site_of

router = APIRouter(include_in_schema=False)

_LONG_NUMBER = re.compile(r"\d{7,}")
_MAILBOX = re.compile(r"[^\s@]+@[^\s@]+")


def _permit(request: Request, token: str) -> Permit | None:
    site = site_of(request)
    return Signer(site.settings.links, site.settings.rules.external_url).permit(token, site.runtime.now_ms())


def _ticket(site: Site, incident: str) -> TicketRow | None:
    with site.engine.connect() as conn:
        return tickets.get_ticket(conn, incident)


def _masked(text: str) -> str:
    """A title as somebody without an account may see it: no numbers of telephones, no mailboxes."""
    return _MAILBOX.sub("***", _LONG_NUMBER.sub("***", text))


async def _page(request: Request, permit: Permit | None, said: str = "") -> Response:
    site = site_of(request)
    ticket = await run_in_threadpool(_ticket, site, permit.incident) if permit is not None else None
    if permit is None or ticket is None:
        return site.view.page(request, "message.html", status=404, message="link.void")
    facts: dict[str, Any] = {"ticket": ticket, "title": _masked(ticket.title), "permit": permit, "said": said}
    page = site.view.page(request, "acknowledge.html", **facts)
    page.headers["Cache-Control"] = "no-store"
    return page


@router.get("/a/{token}")
async def look(request: Request, token: str) -> Response:
    """What it is about, and the button."""
    return await _page(request, _permit(request, token))


@router.post("/a/{token}")
async def acknowledge(request: Request, token: str) -> Response:
    """Acknowledge in the name of the person whom the page was for; the same link a second time does nothing."""
    site, permit = site_of(request), _permit(request, token)
    if permit is None:
        return await _page(request, None)
    try:
        outcome = await site.runtime.command(
            Acknowledge(incident=permit.incident), actor=f"person:{permit.person}", command_id=f"link/{permit.delivery}"
        )
    except NotDecidedYet:
        return await _page(request, permit, "accepted")
    except CommandRejected:
        return await _page(request, permit, "over")
    await site.runtime.caught_up()
    return await _page(request, permit, "done" if outcome.events else "unchanged")
