"""Rows of the plan that nothing here can fill yet, each with its reason, so that the report does not pass over them."""

from __future__ import annotations

from bench.session import Session

MISSING = (
    ("ingest", "100 silences and inhibition rules in force", "Tocsin has neither yet"),
    ("console", "a page of GET /api/v2/alerts", "Tocsin takes alerts at that address and does not list them yet"),
    ("ingest", "Alerta", "a web application on PostgreSQL or MongoDB; not installed here, and not in the lock"),
    ("ingest", "Keep", "over a hundred dependencies of its own; not installed here, and not in the lock"),
)


def run(session: Session) -> None:
    """Name them."""
    for measure, subject, reason in MISSING:
        session.lacks(measure, subject, reason)
