"""The pages that tell of many incidents: the books, trends, service targets, the assessment, the channels."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from projections import assessment, deliveries, ledger, rejections, sla, trends
from schemas.events import DISPOSITIONS
from web.actions import reason_told
from web.charts import Series, stacked_columns
from web.guard import Viewer
from web.incidents import PRIORITIES
from web.site import Site, site_of

router = APIRouter(include_in_schema=False)

DAY_MS = 86_400_000
FOREVER_MS = 2**53
CLOCKS_SHOWN = 60
"""Of each table; its heading counts them all."""


def days_until_now(site: Site, days: int) -> list[str]:
    """The last `days` calendar days of the installation's time zone, today last, as ISO dates."""
    today = datetime.fromtimestamp(site.runtime.now_ms() / 1000, ZoneInfo(site.settings.rules.timezone)).date()
    return [(today - timedelta(days=back)).isoformat() for back in range(days - 1, -1, -1)]


@router.get("/ledger")
def ledger_page(request: Request, session: Viewer) -> Response:
    """The books: every alert received and its disposition."""
    site = site_of(request)
    with site.engine.connect() as conn:
        books, invalid = ledger.balance(conn), rejections.latest(conn)
    used = [name for name in DISPOSITIONS if any(counts.get(name) for counts in books.by_source.values())]
    now = sum(sum(counts.values()) for counts in site.runtime.dispositions().values())
    facts: dict[str, Any] = {"books": books, "used": used, "unentered": max(0, now - books.received)}
    return site.view.page(request, "ledger.html", **facts, invalid=invalid)


@router.get("/trends")
def trends_page(request: Request, session: Viewer, days: Annotated[int, Query(ge=7, le=90)] = 14) -> Response:
    """New incidents a day by priority, and how fast they were answered and solved."""
    site = site_of(request)
    calendar = days_until_now(site, days)
    with site.engine.connect() as conn:
        by_priority = trends.daily(conn, calendar[0], calendar[-1], by="priority")
        totals = trends.daily(conn, calendar[0], calendar[-1])
    opened = {(trend.day, trend.key): trend.opened for trend in by_priority}
    series = [
        Series(priority, f"c{rank}", [opened.get((day, priority), 0) for day in calendar])
        for rank, priority in enumerate(PRIORITIES, 1)
    ]
    title = site.view.words(request)("trends.chart")
    chart = stacked_columns(title, [day[5:] for day in calendar], series)
    facts: dict[str, Any] = {"series": series, "chart": chart, "totals": totals[::-1], "days": days}
    return site.view.page(request, "trends.html", **facts)


@router.get("/sla")
def sla_page(request: Request, session: Viewer) -> Response:
    """The clocks that run and the promises of the last 90 days that were broken."""
    site = site_of(request)
    now = site.runtime.now_ms()
    with site.engine.connect() as conn:
        running = sla.running(conn)
        broken = sla.breaches(conn, now - 90 * DAY_MS, now + DAY_MS)[::-1]
    return site.view.page(request, "sla.html", running=running, broken=broken, shown=CLOCKS_SHOWN)


@router.get("/assessment")
def assessment_page(request: Request, session: Viewer) -> Response:
    """The deductions that annex 3 suggests, with their evidence: proposals, for a named person to decide."""
    site = site_of(request)
    with site.engine.connect() as conn:
        deduction = assessment.proposed_deduction(conn, 0, FOREVER_MS)
    return site.view.page(request, "assessment.html", deduction=deduction)


@router.get("/channels")
def channels_page(request: Request, session: Viewer, said: str = "", refused: str = "") -> Response:
    """Each configured channel with what it last really did, and the latest deliveries."""
    site = site_of(request)
    with site.engine.connect() as conn:
        health = {channel.channel: channel for channel in deliveries.channel_health(conn)}
        recent = deliveries.recent(conn, 50)
    reason = reason_told(request, session)
    facts: dict[str, Any] = {"channels": site.settings.channels, "health": health, "recent": recent}
    return site.view.page(request, "channels.html", **facts, said=said, refused=refused, reason=reason)
