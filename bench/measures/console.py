"""What a person at the console and a program at the API wait for with very many active alerts and open incidents."""

from __future__ import annotations

import time

from msgspec.structs import replace

from bench.journals import empty_store, fill, project
from bench.meters import percentile, settle
from bench.servers import sink
from bench.session import Session
from bench.visits import filled, get, signed_in
from engine.store import Store
from projections.tickets import count_tickets
from web.incidents import OPEN

PAGES = {
    "incident list (GET /)": "/",
    "incidents over the API, 50 of them": "/api/v1/incidents?limit=50",
    "alerts of one service over Alertmanager's API": "/api/v2/alerts?filter=service%3Dservice-00007",
    "alerts over Alertmanager's API, 100 of them": "/api/v2/alerts?limit=100",
}
WARM = 3
"""Requests ahead of those that count: templates are compiled and pages of the database read once."""


def run(session: Session) -> None:
    """One server on a database that was filled in process; the pages take turns."""
    options = session.options
    incidents = max(1, options.console_alerts // options.alerts_per_incident)
    fleet = session.fleet(services=incidents)
    fleet = replace(fleet, base_s=int(time.time()), per_service=options.alerts_per_incident)
    with empty_store() as (store, path):
        judge = fill(store, fleet.bodies(0, options.console_alerts, 64), 1000 * fleet.base_s, delivers=True)
        project(store)
        store.save_snapshot(judge.snapshot())
        facts = {"alerts": float(options.console_alerts), "open_incidents": float(_open(store))}
        store.close()
        with sink() as port, filled(path)(port) as server:
            settle(server.pid)
            headers = signed_in(server)
            for page in PAGES.values():
                get(server.port, page, headers, WARM)
            for _ in range(options.runs):
                for case, page in PAGES.items():
                    taken, size = get(server.port, page, headers, options.reads)
                    session.sample(
                        "console", case, "tocsin",
                        p50_ms=1000 * percentile(taken, 0.5), p99_ms=1000 * percentile(taken, 0.99),
                        answer_bytes=size, **facts,
                    )  # fmt: skip


def _open(store: Store) -> int:
    with store.engine.connect() as connection:
        return count_tickets(connection, states=OPEN)
