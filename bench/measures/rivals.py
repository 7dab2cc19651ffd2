"""Alerta beside the ingest figures, where it was asked for; and the rows of the plan that nothing here can fill yet."""

from __future__ import annotations

from bench import alerta
from bench.measures.ingest import BODY
from bench.meters import percentile
from bench.peers import Missing
from bench.session import Session

MISSING = (
    ("console", "a page of GET /api/v2/alerts", "Tocsin takes alerts at that address and does not list them yet"),
    ("ingest", "Keep", "this bench does not drive it: a server of its own with very many dependencies"),
)
CONNECTIONS = 4
AT_MOST_S = 15.0
"""Of sending; then what was answered counts."""


def run(session: Session) -> None:
    """New alerts, and the same again, once: it is slow; the rest are named with their reasons."""
    for measure, subject, reason in MISSING:
        session.lacks(measure, subject, reason)
    try:
        with alerta.running(session.options.with_peers) as server:
            _alerta(session, server)
    except Missing as missing:
        session.lacks("ingest", "alerta", str(missing))


def _alerta(session: Session, server: alerta.Alerta) -> None:
    fleet, alerts = session.fleet(), session.options.alerta_alerts
    server.send(alerta.bodies(fleet, 10_000_000, BODY, BODY), 1, AT_MOST_S)
    for mode in ("new", "re-sent"):
        taken, elapsed, cpu = server.send(
            alerta.bodies(fleet, 0, alerts, BODY, round_=int(mode != "new")), CONNECTIONS, AT_MOST_S
        )  # fmt: skip
        sent = BODY * len(taken)
        session.sample(
            "ingest", f"{mode}, {BODY} a request, {CONNECTIONS} connections", server.name,
            alerts_per_s=sent / elapsed, cpu_ms_per_1000=1e6 * cpu / sent, cores=cpu / elapsed,
            p50_ms=1000 * percentile(taken, 0.5), p99_ms=1000 * percentile(taken, 0.99), alerts=sent,
        )  # fmt: skip
