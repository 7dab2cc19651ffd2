"""The assessment of one period on the console: score, ratings, items, deductions with their events, annexes."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote, urlencode

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from projections import assessment_periods as read
from schemas.annexes import ASPECTS, CRITERIA, wording
from schemas.assessment import Period
from schemas.assessment_score import digest, if_decided, score
from web.accounts import Session
from web.actions import ask, reason_told
from web.annexes import FORMATS, annexes
from web.guard import Viewer, form_of
from web.signin import see_other
from web.site import site_of

router = APIRouter(include_in_schema=False)

MemberForm = Annotated[Session, Depends(form_of("viewer"))]
"""Whoever is signed in: what they may do is the contract's affair, and the core's."""

_COMMANDS = frozenset({
    "open_assessment", "rate_service", "judge_service_item", "propose_deduction", "decide_deduction",
    "receive_assessment_documents", "sign_assessment",
})  # fmt: skip
_LISTS = frozenset({"evidence", "documents", "incidents"})
"""Fields that take a line for each."""


def seen_by(period: Period, viewer: str) -> Period:
    """The period without what raters have given and `viewer` may not see yet."""
    ratings = {name: one for name, one in period.ratings.items() if read.may_see_rating(period, name, viewer)}
    return msgspec.structs.replace(period, ratings=ratings)


def _assessed(request: Request, contract: str, name: str) -> read.Assessed | None:
    with site_of(request).engine.connect() as conn:
        return read.period_of(conn, contract, name)


def _missing(request: Request) -> Response:
    return site_of(request).view.page(request, "message.html", status=404, message="refused.not_found")


@router.get("/assessment/{contract}/{name}")
def period_page(
    request: Request, session: Viewer, contract: str, name: str, said: str = "", refused: str = ""
) -> Response:
    """One period: what it scores and pays, and the forms of whoever is part of the contract."""
    site = site_of(request)
    found = _assessed(request, contract, name)
    known = site.settings.rules.contracts.get(contract)
    if found is None and (known is None or known.period(name) is None):
        return _missing(request)
    facts: dict[str, Any] = {"contract": contract, "name": name, "terms": known, "found": found}
    if found is not None:
        period = seen_by(found.period, session.user.name)
        result = score(period)
        upheld = {
            one.id: if_decided(period, {one.id: "rejected"})
            for one in period.deductions.values()
            if one.standing in ("appealed", "confirmed")
        }
        facts |= {"period": period, "result": result, "upheld": upheld, "sources": found.sources}
        facts |= {"counted": {one.id: one for one in result.deductions}, "digest": digest(found.period)}
        facts |= {"complete": len(period.ratings) == len(found.period.terms.raters)}
    facts |= {"aspects": ASPECTS, "criteria": CRITERIA, "wording": wording, "formats": sorted(FORMATS)}
    reason = reason_told(request, session)
    return site.view.page(request, "assessment_period.html", **facts, said=said, refused=refused, reason=reason)


@router.get("/assessment/{contract}/{name}/annexes.{kind}")
def annexes_file(request: Request, session: Viewer, contract: str, name: str, kind: str) -> Response:
    """All annexes as one file; of raters only what this person may see."""
    found = _assessed(request, contract, name)
    if found is None or kind not in FORMATS:
        return _missing(request)
    content = annexes(seen_by(found.period, session.user.name), kind)
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(f'{contract}-{name}.{kind}')}"}
    return Response(content, media_type="application/octet-stream", headers=headers)


@router.post("/assessment/{contract}/{name}/{command}")
async def change_period(request: Request, session: MemberForm, contract: str, name: str, command: str) -> Response:
    """One command about a period; the core says who may."""
    if command not in _COMMANDS:
        return _missing(request)
    fields: dict[str, Any] = {}
    for key, value in (await request.form()).items():
        if key != "csrf" and isinstance(value, str) and value.strip():
            lines = [line.strip() for line in value.splitlines() if line.strip()]
            several = key in _LISTS and command in ("propose_deduction", "receive_assessment_documents")
            fields[key] = lines if several else value
    fields |= {"type": command, "contract": contract, "period": name}
    said = await ask(request, f"user:{session.user.name}", fields)
    if not isinstance(said, dict):
        said = {"said": "done"}
    return see_other(f"/assessment/{quote(contract, safe='')}/{quote(name, safe='')}?{urlencode(said)}")
