"""The pages of the rules: which are in force, trying and changing them, who changed what, and the noise board."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import yaml
from fastapi import APIRouter, Form, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from projections import noise, rule_hits
from schemas.config import Rules
from schemas.desk import RulesCheck, RulesDesk
from schemas.errors import CommandRejected, ConfigError
from schemas.whatif import WhatIf
from web.desk import desk_of, period
from web.guard import AdminForm, Viewer
from web.signin import see_other
from web.site import site_of

router = APIRouter(include_in_schema=False)

VERSIONS_SHOWN = 20
LONGEST_SHOWN = 200_000
"""Characters of rules that a page offers to edit; larger ones are changed with `tocsin rules apply`."""
CHOICES = (1, 7, 30, 90)
"""Days of the past that can be tried."""

Text = Annotated[str, Form(max_length=4_000_000)]
Verb = Annotated[str, Form(max_length=20)]
Short = Annotated[str, Query(max_length=200)]
AtMs = Annotated[int | None, Query(ge=0, lt=2**53)]
DaysBack = Annotated[int, Form(ge=1, le=366)]


@dataclass
class Tried:
    """What somebody wants the rules to be, and what came of trying that."""

    text: str
    days: int = 30
    checked: RulesCheck | None = None
    result: WhatIf | None = None
    wrong: ConfigError | None = None


@router.get("/rules")
def rules_page(request: Request, session: Viewer, said: str = "") -> Response:
    """The rules in force, how often each was about an alert, and their history."""
    desk = desk_of(request)
    return _page(request, desk, Tried(desk.current().yaml), said)


@router.post("/rules")
async def change_rules(
    request: Request, session: AdminForm, text: Text = "", verb: Verb = "try", days: DaysBack = 30
) -> Response:
    """Try other rules, see what they would have made of the past, or put them in force."""
    desk = desk_of(request)
    tried = Tried(text, days)
    try:
        rules = await run_in_threadpool(desk.read, text)
        if verb == "apply":
            await desk.apply(rules, actor=f"user:{session.user.name}")
            await site_of(request).runtime.caught_up()
            return see_other("/rules?said=rules_applied")
        tried.checked = await run_in_threadpool(desk.check, rules)
        if verb == "whatif":
            tried.result = await run_in_threadpool(_what_if, request, desk, rules, days)
    except ConfigError as wrong:
        tried.wrong = wrong
    except CommandRejected as wrong:
        tried.wrong = ConfigError(wrong.reason)
    return await run_in_threadpool(_page, request, desk, tried)


@router.get("/explain")
def explain_page(request: Request, session: Viewer, subject: Short = "", at: AtMs = None) -> Response:
    """Why things are so about an alert, an incident or a receiver: each decision with its rule and version."""
    found = None
    if subject:
        try:
            found = desk_of(request).explain(subject, at_ms=at)
        except CommandRejected:
            found = None
    return site_of(request).view.page(request, "explain.html", subject=subject, at=at, found=found)


@router.get("/noise")
def noise_page(request: Request, session: Viewer, days: int = 30) -> Response:
    """The alerts that cost most pages per useful page, each with the rule that would spare them."""
    days = days if days in CHOICES else 30
    since_ms, _ = period(request, days)
    with site_of(request).engine.connect() as conn:
        found = noise.board(conn, since_ms)
    return site_of(request).view.page(request, "noise.html", noisy=found, days=days, choices=CHOICES)


@router.post("/noise")
async def try_suggestion(request: Request, session: AdminForm, text: Text = "", days: DaysBack = 30) -> Response:
    """The rules in force with a suggested one added, and what they would have made of the past."""
    desk = desk_of(request)
    current = await run_in_threadpool(desk.current)
    return await change_rules(request, session, with_rule(current.yaml, text), "whatif", days)


def with_rule(rules: str, suggested: str) -> str:
    """The rules (YAML) with a suggested part: its lists are added to, everything else in it replaces what was.

    >>> with_rule("language: zh\\n", "noise:\\n- name: a\\n")
    'language: zh\\nnoise:\\n- name: a\\n'
    """
    whole, part = yaml.safe_load(rules) or {}, yaml.safe_load(suggested) or {}
    if not isinstance(part, dict):
        return rules
    for key, value in part.items():
        known = whole.get(key)
        if isinstance(value, list) and isinstance(known, list):
            names = {one.get("name") for one in known if isinstance(one, dict)}
            whole[key] = known + [one for one in value if not (isinstance(one, dict) and one.get("name") in names)]
        elif isinstance(value, dict) and isinstance(known, dict):
            whole[key] = known | value
        else:
            whole[key] = value
    return yaml.safe_dump(whole, sort_keys=False, allow_unicode=True, width=120)


def _what_if(request: Request, desk: RulesDesk, rules: Rules, days: int) -> WhatIf:
    since_ms, until_ms = period(request, days)
    return desk.what_if(rules, since_ms=since_ms, until_ms=until_ms)


def _page(request: Request, desk: RulesDesk, tried: Tried, said: str = "") -> Response:
    site = site_of(request)
    with site.engine.connect() as conn:
        hits = rule_hits.hits(conn)
    facts: dict[str, Any] = {
        **vars(tried), "shadow": desk.shadow(), "compared": compared, "current": desk.current(), "hits": hits,
        "history": desk.history(VERSIONS_SHOWN),
        "too_long": len(tried.text) > LONGEST_SHOWN, "choices": CHOICES,
    }  # fmt: skip
    return site.view.page(request, "rules.html", **facts, said=said, status=400 if tried.wrong else 200)


def compared(result: WhatIf) -> list[tuple[str, str, int, int]]:
    """(kind, key, as it was, under the other rules), line by line."""
    was, would = result.actual, result.candidate
    lines = [
        ("incidents", "", was.incidents, would.incidents),
        ("reopened", "", was.reopened, would.reopened),
        ("pages", "", was.pages, would.pages),
    ]
    for kind, one, other in (
        ("pages_to", dict(was.pages_by_receiver), dict(would.pages_by_receiver)),
        ("breaches", {**was.breaches}, {**would.breaches}),
        ("alerts", {**was.dispositions}, {**would.dispositions}),
    ):
        first, second = {str(key): n for key, n in one.items()}, {str(key): n for key, n in other.items()}
        lines += [(kind, key, first.get(key, 0), second.get(key, 0)) for key in sorted({*first, *second})]
    return lines
