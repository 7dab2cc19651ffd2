"""Resident memory of a server with so many active alerts, after it has settled."""

from __future__ import annotations

from bench.client import Job
from bench.measures.ingest import BODY
from bench.meters import memory_mb, settle
from bench.servers import sink
from bench.session import Session


def run(session: Session) -> None:
    """Each size on a fresh server of each kind, once: memory hardly varies from run to run."""
    with sink() as port:
        for alerts in session.options.memory_alerts:
            for kind in session.servers:
                with kind(port) as server:
                    empty, _ = memory_mb(server.pid)
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
