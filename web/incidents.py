"""The incident list and the page of one incident. Both only read; what acts stands in `web.actions`."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from typing import Annotated, Any, get_args
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from sqlalchemy import Connection
from starlette.responses import Response

from projections import deliveries, links, sla, tickets
from projections.sla import ClockRow
from projections.tickets import AlertRow, TicketFilter
from schemas.events import IncidentState, Priority
from web.actions import Offer, offered, reason_told
from web.guard import Viewer
from web.paging import Pagings
from web.site import site_of
from web.story import Teller

router = APIRouter(include_in_schema=False)

OPEN: tuple[IncidentState, ...] = ("triggered", "acknowledged", "assigned", "diagnosing", "mitigated")
"""The states in which somebody still has to do something about the trouble itself."""
PRIORITIES: tuple[Priority, ...] = get_args(Priority)
PAGE_SIZE = 30
PLACES = ("instance", "pod", "host", "hostname", "node", "device", "namespace")


@dataclass(frozen=True)
class Filters:
    """What the list is narrowed to, as it stands in the address."""

    state: str = "open"
    priority: str = ""
    service: str = ""
    q: str = ""
    module: str = ""
    organisation: str = ""
    problem_type: str = ""

    def address(self, path: str = "/", **changes: object) -> str:
        """The list's address with some of the filters changed, or that of another page that is narrowed alike."""
        wanted = asdict(self) | changes
        given = {name: value for name, value in wanted.items() if value and (name, value) != ("state", "open")}
        return f"{path}?{urlencode(given)}" if given else path

    @property
    def narrowed(self) -> bool:
        """Whether something is set that the phone folds away."""
        return replace(self, state="open") != Filters()

    @property
    def plain(self) -> bool:
        """Whether this is the list as it first appears: everything that is open."""
        return self == Filters()

    def wanted(self) -> TicketFilter:
        """The same as the tickets' own filter."""
        wanted = TicketFilter(service=self.service.strip(), text=self.q.strip(), module=self.module.strip())
        wanted["organisation"], wanted["problem_type"] = self.organisation.strip(), self.problem_type.strip()
        if self.state != "all":
            wanted["states"] = OPEN
        if self.priority in PRIORITIES:
            wanted["priorities"] = tuple(name for name in PRIORITIES if name == self.priority)
        return wanted


Short = Annotated[str, Query(max_length=200)]


def filters_of(request: Request) -> Filters:
    """The filters in the address, each cut at 200 characters."""
    asked = {field.name: request.query_params.get(field.name, "")[:200] for field in fields(Filters)}
    asked["state"] = "all" if asked["state"] == "all" else "open"
    return Filters(**asked)


Narrowed = Annotated[Filters, Depends(filters_of)]


@router.get("/")
def incident_list(request: Request, session: Viewer, filters: Narrowed) -> Response:
    """The incidents; for htmx only the rows."""
    site = site_of(request)
    number = request.query_params.get("page", "1")
    with site.engine.connect() as conn:
        count = tickets.count_tickets(conn, **filters.wanted())
        pages = max(1, math.ceil(count / PAGE_SIZE))
        page = min(max(1, int(number) if number.isdecimal() and len(number) < 7 else 1), pages)
        urgent_first = filters.state == "open"
        place = {"limit": PAGE_SIZE, "offset": (page - 1) * PAGE_SIZE}
        rows = tickets.list_tickets(conn, **place, urgent_first=urgent_first, **filters.wanted())
        clocks = {clock.incident: clock for clock in reversed(sla.running(conn, of=[row.incident for row in rows]))}
    template = "_rows.html" if request.headers.get("hx-request") else "incidents.html"
    facts: dict[str, Any] = {"filters": filters, "rows": rows, "clocks": clocks, "count": count, "open_states": OPEN}
    return site.view.page(request, template, **facts, page=page, pages=pages, priorities=PRIORITIES)


@router.get("/counts")
def counts_page(request: Request, session: Viewer, filters: Narrowed, by: Short = "module") -> Response:
    """The incidents that match, counted by one part of their classification."""
    site = site_of(request)
    part = next((name for name in tickets.PARTS if name == by), tickets.PARTS[0])
    with site.engine.connect() as conn:
        counts = tickets.counts_by(conn, part, **filters.wanted())
    return site.view.page(request, "counts.html", filters=filters, by=part, parts=tickets.PARTS, counts=counts)


@router.get("/incidents/{incident}")
def incident_page(
    request: Request, session: Viewer, paging: Pagings, incident: str, said: str = "", refused: str = ""
) -> Response:
    """One incident: its state, what may be done, its clocks, alerts, timeline and deliveries."""
    site = site_of(request)
    with site.engine.connect() as conn:
        facts = incident_facts(conn, incident)
    if facts is None:
        return site.view.page(request, "message.html", status=404, message="refused.not_found")
    live = bool(request.headers.get("hx-request"))
    return site.view.page(
        request,
        "_incident.html" if live else "incident.html",
        **facts,
        live=live,
        paging=paging,
        offer=offered(facts["ticket"].state) if session.user.may("operator") else Offer(),
        said=said,
        refused=refused,
        reason=reason_told(request, session),
        teller=partial(Teller, channel_types={name: one.type for name, one in site.settings.channels.items()}),
    )


def incident_facts(conn: Connection, incident: str) -> dict[str, Any] | None:
    """Everything that the projections know of one incident, or None."""
    ticket = tickets.get_ticket(conn, incident)
    if ticket is None:
        return None
    return {
        "ticket": ticket,
        "clocks": latest_runs(sla.clocks_of(conn, incident)),
        "alerts": [ShownAlert.of(alert) for alert in tickets.ticket_alerts(conn, incident)],
        "timeline": tickets.timeline(conn, incident)[::-1],
        "deliveries": deliveries.of_incident(conn, incident),
        "linked": links.links_of(conn, incident),
    }


def latest_runs(clocks: list[ClockRow]) -> list[ClockRow]:
    """Of each clock the run that counts now: a reopened incident began another."""
    return list({clock.clock: clock for clock in clocks}.values())


@dataclass(frozen=True)
class ShownAlert:
    """An alert with its labels decoded."""

    row: AlertRow
    labels: dict[str, str]
    annotations: dict[str, str]

    @classmethod
    def of(cls, row: AlertRow) -> ShownAlert:
        """Decode the labels and annotations that the projection keeps as JSON."""
        return cls(row, json.loads(row.labels), json.loads(row.annotations))

    @property
    def name(self) -> str:
        """What people call it."""
        return self.labels.get("alertname") or self.row.fingerprint

    @property
    def place(self) -> str:
        """Where it burns: the most telling label, to tell alerts of one name apart."""
        return next((self.labels[label] for label in PLACES if label in self.labels), "")

    @property
    def summary(self) -> str:
        """The sender's own sentence about it, or nothing."""
        return next(
            (self.annotations[key] for key in ("summary", "description", "message") if key in self.annotations), ""
        )
