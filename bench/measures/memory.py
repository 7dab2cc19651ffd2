"""Resident memory of a server with so many active alerts, after it has settled; and once somebody has looked.

Looking is the console's list for Tocsin, a page of it; Alertmanager's API has no pages, so there it is all alerts.
"""

from __future__ import annotations

from bench.client import Job
from bench.measures.ingest import BODY
from bench.meters import memory_mb, settle
from bench.servers import Server, Tocsin, sink
from bench.session import Session
from bench.visits import get, signed_in


def run(session: Session) -> None:
    """Each size on a fresh server of each kind, once: memory hardly varies from run to run."""
    with sink() as port:
        for alerts in session.options.memory_alerts:
            for kind in session.servers:
                with kind(port) as server:
                    empty, _ = memory_mb(server.pid)
                    headers = signed_in(server) if isinstance(server, Tocsin) else {}
                    job = Job(
                        port=0, pid=0, fleet=session.fleet(), first=0, alerts=alerts, per_body=BODY, connections=4,
                        at_most_s=120,
                    )  # fmt: skip
                    sent = server.load(job)
                    settle(server.pid)
                    now, peak = memory_mb(server.pid)
                    session.sample(
                        "memory", f"{alerts:,} active alerts", server.name,
                        rss_mb=now, peak_mb=peak, empty_mb=empty, alerts=sent.alerts,
                    )  # fmt: skip
                    _look(session, server, headers, alerts)


def _look(session: Session, server: Server, headers: dict[str, str], alerts: int) -> None:
    """Memory behind the answer to one look, and its bytes."""
    taken, size = get(server.port, "/" if headers else "/api/v2/alerts", headers)
    settle(server.pid)
    now, peak = memory_mb(server.pid)
    session.sample(
        "memory", f"{alerts:,} active alerts, after a look at them", server.name,
        rss_mb=now, peak_mb=peak, look_s=taken[0], look_mb=size / 1e6,
    )  # fmt: skip
