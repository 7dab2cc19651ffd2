"""Reports of a period (R1.6, R1.7, R1.9): as a page, as a download, and in the API."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from projections.measures import DIMENSIONS, MEASURES, Dimension, Sums
from projections.reporting import Period, Report, incident_lines, period_named, period_of, report_on
from web.accounts import User
from web.guard import Viewer, api_user
from web.reporting import FORMATS, MEDIA_TYPES, Format, document
from web.reporting.content import content_of, shown
from web.site import Site, site_of

router = APIRouter()

Reader = Annotated[User, Depends(api_user("viewer"))]
_REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"description": "No or unknown token, or no session"},
    403: {"description": "The role does not allow it"},
}

PeriodName = Annotated[str, Query(max_length=10, description="2026-10-08, 2026-W41, 2026-10, 2026-Q4, 2026-H2, 2026")]


def _last_month(site: Site) -> Period:
    today = datetime.fromtimestamp(site.runtime.now_ms() / 1000, ZoneInfo(site.settings.rules.timezone)).date()
    return period_of("month", today.replace(day=1) - timedelta(days=1))


def _asked(site: Site, name: str) -> tuple[Period, bool]:
    """The period of that name; last month, and whether the name was wrong, where it is none."""
    try:
        return (period_named(name), False) if name else (_last_month(site), False)
    except ValueError:
        return _last_month(site), True


def _report(site: Site, period: Period, rows: Dimension, columns: Dimension) -> Report:
    now_ms, timezone = site.runtime.now_ms(), site.settings.rules.timezone
    with site.engine.connect() as conn:
        return report_on(conn, period, made_ms=now_ms, timezone=timezone, pivot=(rows, columns))


@router.get("/reports", include_in_schema=False)
def reports_page(
    request: Request,
    session: Viewer,
    period: PeriodName = "",
    rows: Dimension = "module",
    columns: Dimension = "problem_type",
) -> Response:
    """One period: key figures beside the period before, its trend, each split, and any pair as a cross table."""
    site = site_of(request)
    wanted, wrong = _asked(site, period)
    language = site.view.language(request)
    content = content_of(_report(site, wanted, rows, columns), language)

    def told(value: Any, changed: bool) -> str:
        return shown(value, language, signed=changed)

    facts: dict[str, Any] = {"content": content, "period": wanted, "wrong": wrong, "told": told}
    return site.view.page(
        request, "summary.html", **facts, dimensions=DIMENSIONS, rows=rows, columns=columns, formats=FORMATS
    )


@router.get("/reports/download", include_in_schema=False)
def download(
    request: Request,
    session: Viewer,
    period: PeriodName,
    format: Format,
    rows: Dimension = "module",
    columns: Dimension = "problem_type",
) -> Response:
    """The report of a period as a file."""
    site = site_of(request)
    wanted, _ = _asked(site, period)
    with site.engine.connect() as conn:
        lines = incident_lines(conn, wanted) if format == "xlsx" else []
    body = document(_report(site, wanted, rows, columns), lines, format, site.view.language(request))
    named = {"Content-Disposition": f'attachment; filename="tocsin-{wanted.name}.{format}"'}
    return Response(body, media_type=MEDIA_TYPES[format], headers=named)


@router.get(
    "/api/v1/reports/{period}", responses=_REFUSALS | {404: {"description": "No period has that name"}}, tags=["v1"]
)
def measures_of(
    request: Request,
    user: Reader,
    period: str,
    rows: Dimension = "module",
    columns: Dimension = "problem_type",
) -> Response:
    """The figures of a period and of the one before: sums, measures, trend, splits, and one pair as a cross table.

    Times are milliseconds, shares are from 0 to 1; null where there is nothing to divide by.
    """
    try:
        wanted = period_named(period)
    except ValueError as wrong:
        return Response(msgspec.json.encode({"detail": str(wrong)}), 404, media_type="application/json")
    report = _report(site_of(request), wanted, rows, columns)
    measures = {"measures": _measures(report.total), "measures_before": _measures(report.before)}
    body = msgspec.json.encode({**msgspec.structs.asdict(report), **measures})
    return Response(body, media_type="application/json")


def _measures(sums: Sums) -> dict[str, float | None]:
    return {name: sums.measure(name) for name in MEASURES}
