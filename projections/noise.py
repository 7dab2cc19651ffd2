"""The noise board: which alerts cost most pages, how many of these helped anybody, and the rule that would spare them.

A page helps when a person took its incident up and nobody called it a false alarm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import BigInteger, Boolean, Column, Connection, Index, Integer, MetaData, String, Table, select

from projections.projection import PlainText, Projection, Row, plain
from projections.rows import MAX_KEY, Rows
from schemas import events as e
from schemas.alerts import labels_of

Suggestion = Literal["hold_back", "flapping", "noise", "none"]

PAGES: Final[frozenset[e.NoticeKind]] = frozenset({"opened", "raised", "reopened", "breached"})
FEWEST_PAGES: Final = 3
"""Fewer pages than this are no pattern."""
SHORT_MS: Final = 10 * 60_000
"""What heals by itself within this is worth waiting for instead of paging."""

_metadata = MetaData()

incidents_table = Table(
    "noise_incidents",
    _metadata,
    Column("incident", String(120), primary_key=True),
    Column("alertname", PlainText, nullable=False),
    Column("service", PlainText, nullable=False),
    Column("opened_ms", BigInteger, nullable=False),
    Column("healed_ms", BigInteger, comment="how long it took to heal by itself, the last time; null: it did not"),
    Column("since_ms", BigInteger, nullable=False, comment="opened or reopened for the last time"),
    Column("pages", Integer, nullable=False),
    Column("reopened", Integer, nullable=False),
    Column("useful", Boolean, nullable=False, comment="a person took it up, and it was no false alarm"),
    Column("false_alarm", Boolean, nullable=False),
    Column("position", BigInteger, nullable=False, comment="seq of the last event applied to this row"),
    Index("noise_by_time", "opened_ms"),
)

_TAKEN_UP = (e.IncidentAcknowledged, e.IncidentAssigned, e.DiagnosisStarted, e.IncidentMitigated)


class NoiseProjection(Projection):
    """One row for each incident; those that people reported have no alert's name."""

    name = "noise"
    version = 1
    handles = frozenset(
        {
            e.IncidentOpened, e.IncidentReopened, e.IncidentResolved, e.IncidentMarkedFalseAlarm, e.DeliveryRequested,
            *_TAKEN_UP,
        }
    )  # fmt: skip
    tables = (incidents_table,)

    def apply_all(self, events: Sequence[e.LoggedEvent], tx: Connection) -> None:
        """Follow the incidents. Raises LookupError on an event of an incident that was never opened."""
        rows = Rows(tx, incidents_table, (_incident(logged.event.data) for logged in events))
        for logged in events:
            data: Any = logged.event.data
            row = rows.get(_incident(data))
            if row is not None and logged.seq <= row["position"]:
                continue
            if isinstance(data, e.IncidentOpened):
                rows.put(_opened(data, logged.event.at_ms) | {"position": logged.seq})
            elif row is not None:
                rows.put(_after(row, data, logged.event) | {"position": logged.seq})
            elif not isinstance(data, e.DeliveryRequested):  # of a channel's test, or of a notification group
                raise LookupError(f"{data.incident} has no beginning")
        rows.save(tx)


def _incident(data: Any) -> str:
    return str(data.notice.incident if isinstance(data, e.DeliveryRequested) else data.incident)


def _opened(data: e.IncidentOpened, at_ms: int) -> Row:
    first = labels_of(bytes(data.alerts[0].labels)) if data.alerts else {}
    name = data.labels.get("alertname") or first.get("alertname", "")
    return {
        "incident": data.incident, "alertname": plain(name[:MAX_KEY]), "service": plain(data.service[:MAX_KEY]),
        "opened_ms": at_ms, "since_ms": at_ms, "healed_ms": None, "pages": 0, "reopened": 0, "useful": False,
        "false_alarm": False,
    }  # fmt: skip


def _after(row: Row, data: Any, event: e.Event) -> Row:
    match data:
        case e.DeliveryRequested():
            return row | {"pages": row["pages"] + (data.notice.kind in PAGES)}
        case e.IncidentReopened():
            return row | {"reopened": row["reopened"] + 1, "since_ms": event.at_ms}
        case e.IncidentResolved(automatic=True):
            return row | {"healed_ms": event.at_ms - row["since_ms"]}
        case e.IncidentResolved():
            return row | {"useful": row["useful"] or (event.actor != "system" and not row["false_alarm"])}
        case e.IncidentMarkedFalseAlarm():
            return row | {"useful": False, "false_alarm": True}
    return row | {"useful": not row["false_alarm"]}  # taken up


class Noisy(msgspec.Struct, frozen=True):
    """What one alert of one service cost since then, and the rule that would spare it (YAML; empty: none is due)."""

    alertname: str
    service: str
    incidents: int
    pages: int
    useful_pages: int
    false_alarms: int
    reopened: int
    pages_per_useful: float
    """Pages for one that helped; all of them where none did."""
    suggestion: Suggestion
    rule: str = ""


def board(conn: Connection, since_ms: int, limit: int = 50) -> list[Noisy]:
    """The alerts that opened incidents since then, the costliest per useful page first."""
    found: dict[tuple[str, str], list[Any]] = {}
    column = incidents_table.c
    order = (column.alertname, column.service, column.opened_ms)
    for row in conn.execute(select(incidents_table).where(column.opened_ms >= since_ms).order_by(*order)):
        found.setdefault((row.alertname, row.service), []).append(row)
    noisy = [_noisy(name, service, rows) for (name, service), rows in found.items()]
    noisy.sort(key=lambda one: (-one.pages_per_useful, -one.pages, one.alertname, one.service))
    return [one for one in noisy if one.pages and one.alertname][:limit]


def _noisy(alertname: str, service: str, rows: list[Any]) -> Noisy:
    pages = sum(row.pages for row in rows)
    useful = sum(row.pages for row in rows if row.useful)
    reopened = sum(row.reopened for row in rows)
    suggestion, rule = _suggested(alertname, service, rows, pages, useful)
    return Noisy(
        alertname=alertname, service=service, incidents=len(rows), pages=pages, useful_pages=useful,
        false_alarms=sum(row.false_alarm for row in rows), reopened=reopened,
        pages_per_useful=round(pages / useful, 2) if useful else float(pages), suggestion=suggestion, rule=rule,
    )  # fmt: skip


def _suggested(alertname: str, service: str, rows: list[Any], pages: int, useful: int) -> tuple[Suggestion, str]:
    """The mildest rule that fits: wait where it heals soon, hold where it comes and goes, noise where none helped."""
    if pages < FEWEST_PAGES or not alertname or 2 * useful > pages:
        return "none", ""
    healed = sorted(row.healed_ms for row in rows if row.healed_ms is not None and not row.useful)
    if len(healed) >= FEWEST_PAGES and healed[(9 * len(healed) - 1) // 10] <= SHORT_MS:
        for_s = 60 * max(1, math.ceil(healed[(9 * len(healed) - 1) // 10] / 60_000))
        return "hold_back", _rule("hold_back", alertname, service, f"    for_s: {for_s}\n")
    if sum(row.reopened for row in rows) >= 2 * len(rows):
        return "flapping", "flapping:\n  enabled: true\n  window_s: 3600\n"
    if useful == 0:
        return "noise", _rule("noise", alertname, service, "")
    return "none", ""


def _rule(section: str, alertname: str, service: str, more: str) -> str:
    name = "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in alertname.lower()).strip("-")
    matchers = [f"alertname={_quoted(alertname)}"] + ([f"service={_quoted(service)}"] if service else [])
    lines = "".join(f"      - {_single(matcher)}\n" for matcher in matchers)
    return f"{section}:\n  - name: {(name or 'noisy')[:60]}\n    matchers:\n{lines}{more}"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _single(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
