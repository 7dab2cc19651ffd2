"""The alerts of the tickets: which of them one batch of events touches, and how they change their ticket."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, select, update

from projections.projection import Row
from projections.rows import read_keys, upsert_cells
from projections.ticket_tables import alerts_table, tickets_table
from schemas import events as e

_RESOLVE = "UPDATE ticket_alerts SET resolved_ms = ? WHERE incident = ? AND fingerprint = ?"


class TicketAlerts:
    """The alerts that one batch touches: which of them are known and firing, and what is to be written."""

    def __init__(self, tx: Connection, keys: Iterable[tuple[str, str]]) -> None:
        columns = (alerts_table.c.incident, alerts_table.c.fingerprint, alerts_table.c.resolved_ms)
        found = read_keys(tx, columns, keys, columns[:2])
        self._firing = {(incident, alert): resolved_ms is None for incident, alert, resolved_ms in found}
        self._new: dict[tuple[str, str], tuple[Any, ...]] = {}
        self._resolved: dict[tuple[str, str], int] = {}

    def join(self, ticket: Row, alerts: Sequence[e.AlertRef], logged: e.LoggedEvent) -> None:
        """The alerts fire in this ticket, as `logged` says; one that did so before is not counted twice."""
        incident, partition, seq = ticket["incident"], logged.partition, logged.seq
        firing, new = self._firing, self._new
        known = begun = 0
        for alert in alerts:
            key = (incident, alert.fingerprint)
            was = firing.get(key)
            known += was is not None
            begun += not was
            firing[key] = True
            new[key] = (incident, alert.fingerprint, alert.starts_ms, None, partition, seq)
        if self._resolved:
            for alert in alerts:
                self._resolved.pop((incident, alert.fingerprint), None)
        ticket["alert_count"] += len(alerts) - known
        ticket["firing_count"] += begun

    def resolve(self, ticket: Row, fingerprints: Sequence[str], at_ms: int) -> None:
        """The alerts healed; those that this ticket does not know, or that had healed before, change nothing."""
        for fingerprint in fingerprints:
            key = (ticket["incident"], fingerprint)
            if not self._firing.get(key):
                continue
            self._firing[key] = False
            ticket["firing_count"] -= 1
            if key in self._new:
                self._new[key] = (*self._new[key][:3], at_ms, *self._new[key][4:])
            else:
                self._resolved[key] = at_ms

    def save(self, tx: Connection) -> None:
        """Write what changed."""
        upsert_cells(tx, alerts_table, list(self._new.values()))
        if self._resolved:
            mark = "?" if tx.dialect.paramstyle == "qmark" else "%s"
            resolved = [(at_ms, incident, alert) for (incident, alert), at_ms in self._resolved.items()]
            tx.exec_driver_sql(_RESOLVE.replace("?", mark), resolved)


def move_alerts(tx: Connection, merged: str, into: str) -> None:
    """The incident merged into answers for the alerts of the other from now on."""
    of = alerts_table.c
    known = select(of.fingerprint).where(of.incident == into)
    tx.execute(update(alerts_table).where(of.incident == merged, of.fingerprint.not_in(known)).values(incident=into))
    tx.execute(delete(alerts_table).where(of.incident == merged))
    _recount(tx, merged, into)


def take_alerts(tx: Connection, incident: str, fingerprints: Sequence[str]) -> None:
    """These alerts go on in another incident."""
    of = alerts_table.c
    for fingerprint in fingerprints:
        tx.execute(delete(alerts_table).where(of.incident == incident, of.fingerprint == fingerprint))
    _recount(tx, incident)


def _recount(tx: Connection, *incidents: str) -> None:
    of = alerts_table.c
    for incident in incidents:
        mine = select(func.count()).where(of.incident == incident)
        counts = {
            "alert_count": mine.scalar_subquery(),
            "firing_count": mine.where(of.resolved_ms.is_(None)).scalar_subquery(),
        }
        tx.execute(update(tickets_table).where(tickets_table.c.incident == incident).values(counts))
