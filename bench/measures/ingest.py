"""Alerts over HTTP into running servers: many or one a request, new or re-sent, answered as each server answers.

Tocsin answers after its fsync, Alertmanager before it keeps anything. The CPU figure counts what a server does behind
its answers too, until it is idle again; `cores` is while it answers.
"""

from __future__ import annotations

from msgspec.structs import replace

from bench.client import Job, Measured
from bench.meters import cpu_s, fsync_ms, settle
from bench.servers import Server, sink
from bench.session import Session

BODY = 64
"""Prometheus sends at most so many alerts a request."""
WARM = 640
"""Alerts sent ahead of the first measurement, so that no server is measured cold."""
PROBES = 30
"""Bare writes ahead of each case: how quick the disk is just then."""
FAR = 10_000_000
"""Numbers of alerts that belong to no other case start here."""


def run(session: Session) -> None:
    """Every case on a fresh server of each kind, the kinds taking turns."""
    with sink() as port:
        for turn in range(session.options.runs):
            # Whoever goes second finds a busier disk or a warmer cache: take turns in that, too.
            kinds = session.servers if turn % 2 == 0 else session.servers[::-1]
            for kind in kinds:
                with kind(port) as server:
                    _cases(session, server, turn)


def _cases(session: Session, server: Server, turn: int) -> None:
    options, fleet = session.options, session.fleet(turn)
    bulk = Job(
        port=0, pid=0, fleet=fleet, first=0, alerts=options.new_alerts, per_body=BODY, connections=4, at_most_s=60
    )  # fmt: skip
    server.load(replace(bulk, first=FAR, alerts=WARM))
    settle(server.pid)
    _measure(session, server, "new, 64 a request, 4 connections", bulk)
    known = replace(bulk, alerts=options.resent_alerts)
    server.load(known)
    settle(server.pid)
    resend = replace(known, resend=True, at_most_s=options.seconds)
    _measure(session, server, "re-sent, 64 a request, 4 connections", resend)
    for connections in (32, 1):
        _measure(session, server, _single("re-sent", connections), replace(resend, per_body=1, connections=connections))
    single = replace(bulk, first=2 * FAR, per_body=1, alerts=options.single_alerts, at_most_s=options.seconds)
    _measure(session, server, _single("new", 32), replace(single, connections=32))
    _measure(session, server, _single("new", 1), replace(single, first=3 * FAR, connections=1))


def _single(mode: str, connections: int) -> str:
    return f"{mode}, 1 a request, {connections} connection{'s'[: connections > 1]}"


def _measure(session: Session, server: Server, case: str, job: Job) -> None:
    fsync = fsync_ms(server.folder, PROBES)
    measured = server.load(job)
    settle(server.pid)
    figures = figures_of(measured, cpu_s(server.pid) - measured.cpu_before_s)
    session.sample("ingest", case, server.name, **figures, fsync_ms=fsync)


def figures_of(measured: Measured, cpu_till_idle_s: float) -> dict[str, float]:
    """The figures of one run; CPU through the time that the server took to become idle."""
    alerts = max(1, measured.alerts)
    return {
        "alerts_per_s": measured.alerts / measured.elapsed_s,
        "cpu_ms_per_1000": 1e6 * cpu_till_idle_s / alerts,
        "answering_cpu_ms_per_1000": 1e6 * measured.cpu_s / alerts,
        "cores": measured.cpu_s / measured.elapsed_s,
        "main_thread_cores": measured.main_thread_cpu_s / measured.elapsed_s,
        "client_cores": measured.client_cpu_s / measured.elapsed_s,
        "p50_ms": measured.p50_ms,
        "p99_ms": measured.p99_ms,
        "alerts": measured.alerts,
        "refused": measured.refused,
    }
