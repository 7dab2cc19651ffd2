"""The pages that tell of many incidents: the books, trends, service targets, the assessment, the channels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request
from sqlalchemy import Connection
from starlette.responses import Response

from projections import assessment, deliveries, ledger, rejections, sla, tickets, trends
from projections import held as held_alerts
from projections.deliveries import ChannelHealth
from projections.sla import ClockRow
from projections.tickets import TicketRow
from projections.trends import DayTrend
from schemas.events import DISPOSITIONS
from web.actions import reason_told
from web.charts import DESK, PHONE, Series, stacked_columns
from web.guard import Viewer
from web.incidents import PRIORITIES, latest_runs
from web.reasons import plainly
from web.site import Site, site_of
from web.texts import text

router = APIRouter(include_in_schema=False)

DAY_MS = 86_400_000
FOREVER_MS = 2**53
PROMISES_SHOWN = 40
"""Incidents in each list of service targets; its heading counts them all."""
DELIVERIES_SHOWN, DELIVERIES_KEPT = 15, 300
"""On one page, and on all pages together."""
FAILURES_SHOWN = 5


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
        held, held_counts = held_alerts.held_now(conn), held_alerts.held_counts(conn)
    used = [name for name in DISPOSITIONS if any(counts.get(name) for counts in books.by_source.values())]
    now = sum(sum(counts.values()) for counts in site.runtime.dispositions().values())
    facts: dict[str, Any] = {"books": books, "used": used, "unentered": max(0, now - books.received)}
    facts |= {"held": held, "held_counts": held_counts}
    return site.view.page(request, "ledger.html", **facts, invalid=invalid, plainly=plainly)


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
    title, names = site.view.words(request)("trends.chart"), [day[5:] for day in calendar]
    charts = [stacked_columns(title, names, series, sheet) for sheet in (PHONE, DESK)]
    facts: dict[str, Any] = {"series": series, "charts": charts, "totals": totals[::-1], "days": days}
    return site.view.page(request, "trends.html", **facts, weeks=weekly(totals)[::-1])


def weekly(days: Sequence[DayTrend]) -> list[DayTrend]:
    """The sums of each week from Monday, in order; `day` is the first of its days on which something happened."""
    weeks = groupby(days, lambda one: date.fromisoformat(one.day).isocalendar()[:2])
    return [_sum_of(list(ones)) for _, ones in weeks]


def _sum_of(days: Sequence[DayTrend]) -> DayTrend:
    sums = {name: sum(getattr(one, name) for one in days) for name in trends.MEASURES}
    return DayTrend(days[0].day, "", **sums)


@router.get("/sla")
def sla_page(request: Request, session: Viewer) -> Response:
    """The clocks that run and the promises of the last 90 days that were broken."""
    site = site_of(request)
    now = site.runtime.now_ms()
    with site.engine.connect() as conn:
        under_way = sla.running(conn)
        open_now = {clock.incident for clock in under_way}
        missed = sla.breaches(conn, now - 90 * DAY_MS, now + DAY_MS)[::-1]
        over = [clock for clock in missed if clock.incident not in open_now]
        facts: dict[str, Any] = {"running": _promises(conn, under_way), "broken": _promises(conn, over)}
    counts = {"running_count": len(open_now), "broken_count": len({clock.incident for clock in over})}
    return site.view.page(request, "sla.html", **facts, **counts, shown=PROMISES_SHOWN)


@dataclass(frozen=True)
class Promises:
    """One incident and where its clocks stand."""

    ticket: TicketRow
    clocks: list[ClockRow]


def _promises(conn: Connection, clocks: Sequence[ClockRow]) -> list[Promises]:
    """The incidents of these clocks, in their order, each once and with all of its clocks."""
    named = list(dict.fromkeys(clock.incident for clock in clocks))[:PROMISES_SHOWN]
    found = [(tickets.get_ticket(conn, incident), sla.clocks_of(conn, incident)) for incident in named]
    return [Promises(ticket, latest_runs(runs)) for ticket, runs in found if ticket is not None]


@router.get("/assessment")
def assessment_page(request: Request, session: Viewer) -> Response:
    """The deductions that annex 3 suggests, with their evidence: proposals, for a named person to decide."""
    site = site_of(request)
    with site.engine.connect() as conn:
        deduction = assessment.proposed_deduction(conn, 0, FOREVER_MS)
        named = [line.proposal.incident for line in deduction.lines]
        evidence = {entry.event_id: entry for incident in named for entry in tickets.timeline(conn, incident)}
    annex = {line.proposal.criterion: text("zh", f"criterion.{line.proposal.criterion}") for line in deduction.lines}
    contracts = site.settings.rules.contracts
    facts: dict[str, Any] = {"deduction": deduction, "evidence": evidence, "annex": annex, "contracts": contracts}
    return site.view.page(request, "assessment.html", **facts)


@router.get("/channels")
def channels_page(request: Request, session: Viewer, said: str = "", refused: str = "") -> Response:
    """Each configured channel with what it last really did, and the latest deliveries."""
    site = site_of(request)
    with site.engine.connect() as conn:
        health = {channel.channel: channel for channel in deliveries.channel_health(conn)}
        latest = deliveries.recent(conn, DELIVERIES_KEPT)
    number = request.query_params.get("page", "1")
    pages = max(1, math.ceil(len(latest) / DELIVERIES_SHOWN))
    page = min(max(1, int(number) if number.isdecimal() and len(number) < 4 else 1), pages)
    first = (page - 1) * DELIVERIES_SHOWN
    week_ago = site.runtime.now_ms() - 7 * DAY_MS
    lost = [row for row in latest if row.state in ("failed", "unconfirmed") and row.requested_ms > week_ago]
    channels = sorted(site.settings.channels.items(), key=lambda one: (_standing(health.get(one[0])), one[0]))
    facts: dict[str, Any] = {
        "channels": [(name, channel, health.get(name), _standing(health.get(name))) for name, channel in channels],
        "failures": lost[:FAILURES_SHOWN] if page == 1 else [],
        "latest": latest[first : first + DELIVERIES_SHOWN],
        "page": page,
        "pages": pages,
    }
    reason = reason_told(request, session)
    return site.view.page(request, "channels.html", **facts, said=said, refused=refused, reason=reason)


def _standing(health: ChannelHealth | None) -> int:
    """How urgently a channel needs a look: 0 failing, 1 unproven, 2 healthy."""
    if health is None:
        return 1
    if health.failing_since_ms:
        return 0
    return 2 if (health.last_success_ms or 0) > (health.last_failure_ms or 0) else 0
