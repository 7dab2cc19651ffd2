"""What a channel would say about an incident, before it has to: templates are looked at here."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import get_args

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import Response

from projections import tickets
from schemas.events import Notice, NoticeKind
from web.guard import Viewer
from web.site import Site, site_of

router = APIRouter(include_in_schema=False)

Preview = Callable[[str, Notice], list[tuple[str, str]]]
"""`(channel, notice)` to the parts of the message. Raises LookupError for a channel that is not there."""

KINDS = tuple(kind for kind in get_args(NoticeKind) if kind != "group")
ALERTS_NAMED = 10


def use_previews(app: FastAPI, preview: Preview, version: Callable[[], str]) -> None:
    """Bring what renders messages; `version` is that of the installation's own templates, empty without any."""
    app.state.preview, app.state.template_version = preview, version


@router.get("/channels/preview")
def preview_page(
    request: Request, session: Viewer, channel: str = "", incident: str = "", kind: str = "opened", language: str = ""
) -> Response:
    """The message of one kind about a real incident; of the latest where none is named."""
    site = site_of(request)
    names = sorted(site.settings.channels)
    channel = channel if channel in names else next(iter(names), "")
    notice = _notice(site, incident, kind if kind in KINDS else "opened", language)
    preview: Preview | None = getattr(request.app.state, "preview", None)
    parts = preview(channel, notice) if preview and notice and channel else []
    version: Callable[[], str] = getattr(request.app.state, "template_version", str)
    return site.view.page(
        request, "channel_preview.html", names=names, channel=channel, kinds=KINDS, notice=notice, parts=parts,
        version=version(), missing=bool(incident) and notice is None,
    )  # fmt: skip


def _notice(site: Site, incident: str, kind: str, language: str) -> Notice | None:
    """A notice as the core would make it of the incident as it stands now."""
    rules = site.settings.rules
    with site.engine.connect() as conn:
        ticket = tickets.get_ticket(conn, incident) if incident else None
        if not incident:
            ticket = next(iter(tickets.list_tickets(conn, limit=1)), None)
        if ticket is None:
            return None
        alerts = tickets.ticket_alerts(conn, ticket.incident, ALERTS_NAMED)
    names = [str(json.loads(alert.labels).get("alertname", alert.fingerprint)) for alert in alerts]
    return Notice(
        kind=kind,  # type: ignore[arg-type]
        incident=ticket.incident,
        title=ticket.title,
        priority=ticket.priority,
        severity=ticket.severity,
        state=ticket.state,
        service=ticket.service,
        opened_ms=ticket.opened_ms,
        at_ms=site.runtime.now_ms(),
        alert_count=ticket.alert_count,
        alerts=names,
        assignee=ticket.assignee,
        url=f"{rules.external_url.rstrip('/')}/incidents/{ticket.incident}",
        language="en" if language == "en" else "zh" if language == "zh" else rules.language,
        timezone=rules.timezone,
    )
