"""What people do on the console: each form is one command, answered by a redirect after it is on disk."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import Response

from schemas.commands import COMMAND
from schemas.errors import CommandRejected, NotDecidedYet, Overloaded, StoreUnavailable
from schemas.events import IncidentOpened, IncidentState
from schemas.ports import Outcome
from web.accounts import Session
from web.guard import OperatorForm, Viewer
from web.signin import see_other
from web.site import site_of
from web.texts import known

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Offer:
    """The commands that make sense in a state: the one to do next, if any, those at hand, and those seldom needed."""

    lead: str = ""
    plain: tuple[str, ...] = ()
    more: tuple[str, ...] = ()

    @property
    def at_hand(self) -> tuple[str, ...]:
        """What is shown at once, the likeliest first."""
        return ((self.lead,) if self.lead else ()) + self.plain


_RARE = ("classify", "link", "unlink", "split", "set_priority", "merge", "mark_false_alarm")
_LATER = ("resolve", "classify", "link", "unlink")
_OFFERS: dict[IncidentState, Offer] = {
    "triggered": Offer("acknowledge", ("claim", "assign", "start_diagnosis", "mitigate", "resolve", "add_note"), _RARE),
    "acknowledged": Offer("resolve", ("claim", "assign", "start_diagnosis", "mitigate", "add_note"), _RARE),
    "assigned": Offer("resolve", ("hand_over", "assign", "start_diagnosis", "mitigate", "add_note"), _RARE),
    "diagnosing": Offer("resolve", ("hand_over", "assign", "mitigate", "add_note"), _RARE),
    "mitigated": Offer("resolve", ("hand_over", "assign", "add_note"), _RARE),
    "resolved": Offer("", ("verify", "start_review", "close", "add_note", "reopen"), (*_LATER, *_RARE[-2:])),
    "in_review": Offer("", ("verify", "close", "add_note", "reopen"), _LATER),
    "closed": Offer("", ("reopen", "add_note"), _LATER[1:]),
    "merged": Offer("", ("add_note",), _LATER[2:]),
    "false_alarm": Offer("", ("reopen", "add_note"), _LATER[1:]),
}
"""What a page offers in each state. The core decides; this only spares people a refusal."""

_ACTIONS = frozenset(name for one in _OFFERS.values() for name in (*one.at_hand, *one.more))


def offered(state: IncidentState) -> Offer:
    """What makes sense in a state."""
    return _OFFERS[state]


@router.post("/incidents/{incident}/{action}")
async def act(request: Request, session: OperatorForm, incident: str, action: str) -> Response:
    """Run one command on one incident and show the incident again, with what came of it."""
    if action not in _ACTIONS:
        return site_of(request).view.page(request, "message.html", status=404, message="refused.not_found")
    said = await run(request, f"user:{session.user.name}", {"type": action, "incident": incident})
    if isinstance(said, Outcome):
        said = {"said": "done" if said.events else "unchanged"}
    return see_other(f"/incidents/{quote(incident, safe='')}?{urlencode(said)}")


@router.get("/report")
def report_page(request: Request, session: Viewer, refused: str = "") -> Response:
    """The form to report trouble that no alert told of (人工上报)."""
    reason = reason_told(request, session)
    return site_of(request).view.page(request, "report.html", refused=refused, reason=reason)


@router.post("/report")
async def report(request: Request, session: OperatorForm) -> Response:
    """Open an incident by hand and go to its page."""
    came_of_it = await run(request, f"user:{session.user.name}", {"type": "report_incident"})
    if isinstance(came_of_it, dict):
        return see_other(f"/report?{urlencode(came_of_it)}")
    opened = [logged.event.data for logged in came_of_it.events if isinstance(logged.event.data, IncidentOpened)]
    return see_other(f"/incidents/{quote(opened[0].incident, safe='')}?said=done" if opened else "/")


@router.post("/channels/{channel}/test")
async def test_channel(request: Request, session: OperatorForm, channel: str) -> Response:
    """Send a harmless message through one channel (R1.8)."""
    came_of_it = await run(request, f"user:{session.user.name}", {"type": "test_channel", "channel": channel})
    said = came_of_it if isinstance(came_of_it, dict) else {"said": "test_sent"}
    return see_other(f"/channels?{urlencode(said)}")


async def run(request: Request, actor: str, fixed: dict[str, str]) -> Outcome | dict[str, str]:
    """Make a command of the form, ask the engine, and wait until the pages can show it.

    Returns the outcome, or the query that tells the next page why not.
    """
    form = await request.form()
    fields = {
        name: value for name, value in form.items() if isinstance(value, str) and name != "csrf" and value.strip()
    }
    chosen: dict[str, object] = {"alerts": form.getlist("alerts")} if "alerts" in form else {}
    return await ask(request, actor, {**fields, **chosen, **fixed})


async def ask(request: Request, actor: str, fields: Mapping[str, object]) -> Outcome | dict[str, str]:
    """Ask the engine for the command of these fields; returns as `run` does."""
    site = site_of(request)
    try:
        command = COMMAND.validate_python(fields, strict=False)
        outcome = await site.runtime.command(command, actor=actor, command_id=str(uuid.uuid4()))
    except ValidationError as invalid:
        first = invalid.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"][1:])
        return _sealed(request, "invalid", f"{place}: {first['msg']}")
    except CommandRejected as rejected:
        if known(f"refused.{rejected.code}"):
            return {"refused": rejected.code}
        return _sealed(request, "rejected", rejected.reason)
    except NotDecidedYet:
        return {"said": "accepted"}
    except Overloaded:
        return {"refused": "overloaded"}
    except StoreUnavailable:
        return {"refused": "unavailable"}
    await site.runtime.caught_up()
    return outcome


def _sealed(request: Request, code: str, reason: str) -> dict[str, str]:
    """A refusal in words for the next page, sealed so that nobody can put words into our mouth by a link."""
    reason = reason[:300]
    return {"refused": code, "reason": reason, "seal": _seal(request.state.session, reason)}


def reason_told(request: Request, session: Session) -> str:
    """The words of a refusal in the address, if this session was really told them."""
    reason = request.query_params.get("reason", "")
    sealed = hmac.compare_digest(_seal(session, reason).encode(), request.query_params.get("seal", "").encode())
    return reason if sealed else ""


def _seal(session: Session, reason: str) -> str:
    return hmac.new(session.csrf.encode(), reason.encode(), hashlib.sha256).hexdigest()[:32]
