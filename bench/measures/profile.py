"""Where the server's time goes: cProfile of every thread under new and under re-sent alerts."""

from __future__ import annotations

import pstats
from pathlib import Path

from msgspec.structs import replace

from bench.client import Job
from bench.measures.ingest import BODY
from bench.meters import settle
from bench.servers import Tocsin, sink
from bench.session import Session

SHOWN = 45


def run(session: Session, folder: Path) -> None:
    """Profile each workload on a server of its own; the dearest functions of each thread are printed."""
    options = session.options
    new = Job(
        port=0, pid=0, fleet=session.fleet(), first=0, alerts=options.new_alerts, per_body=BODY, connections=4,
        at_most_s=60,
    )  # fmt: skip
    known = replace(new, alerts=options.resent_alerts)
    again = replace(known, resend=True, at_most_s=8.0)
    for case, jobs in (("new", (new,)), ("re-sent", (known, again))):
        kind = type("Profiled", (Tocsin,), {"profile_to": (folder / case).resolve()})
        with sink() as port, kind(port) as server:
            for job in jobs:
                print(case, server.load(job), flush=True)
                settle(server.pid)
        for profile in sorted((folder / case).glob("*.prof")):
            print(f"=== {case}: {profile.name}", flush=True)
            pstats.Stats(str(profile)).strip_dirs().sort_stats("tottime").print_stats(SHOWN)
