"""Bytes on disk per alert, new and re-sent, and per incident from its first alert to its end.

The journal alone, beside the JSON that came; the log; and the whole file with the read models and every index.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from sqlalchemy import text

from bench.journals import Past, empty_store, fill, project, received
from bench.measures.ingest import BODY
from bench.session import Session
from engine.store import Store

ROUNDS = 10
OF_AN_INCIDENT = 4


def run(session: Session) -> None:
    """Exact, so once: the same alerts new, and then with nine rounds of re-sending behind them."""
    alerts = max(BODY, min(session.options.replay_alerts // ROUNDS, 20_000))
    new = _sizes(session, alerts, 1)
    both = _sizes(session, alerts, ROUNDS)
    again = {name: both[name] - new[name] for name in new}
    for case, sizes, number in (("new", new, alerts), ("re-sent", again, (ROUNDS - 1) * alerts)):
        session.sample(
            "disk", case, "tocsin",
            raw_bytes=sizes["raw"] / number, journal_bytes=sizes["journal"] / number, log_bytes=sizes["log"] / number,
            file_bytes=sizes["file"] / number, journal_share_of_raw=sizes["journal"] / sizes["raw"],
            journal_share_of_file=sizes["journal"] / sizes["file"], alerts=number,
        )  # fmt: skip
    _incidents(session)


def _incidents(session: Session) -> None:
    """Incidents of four alerts in one request: opened, paged, resolved by a second request, paged again."""
    number = max(4, min(session.options.incidents, 2_000))
    fleet, size = session.fleet(), OF_AN_INCIDENT
    fleet = msgspec.structs.replace(fleet, per_service=size, services=number)
    at_ms, raw = 1000 * fleet.base_s, 0
    with empty_store() as (store, path):
        past = Past(store, at_ms, commit=4)
        for incident in range(number):
            firing = [fleet.alert(each) for each in range(incident * size, (incident + 1) * size)]
            over = [{**alert, "endsAt": alert["startsAt"]} for alert in firing]
            for body in (msgspec.json.encode(firing), msgspec.json.encode(over)):
                at_ms += 1000
                raw += len(body)
                past.take(received(body, at_ms))
        past.commit()
        project(store)
        sizes = {**_columns(store), "file": _file(store, path)}
    session.sample(
        "disk", f"incident of {size} alerts, opened to resolved", "tocsin",
        raw_bytes=raw / number, journal_bytes=sizes["journal"] / number, log_bytes=sizes["log"] / number,
        file_bytes=sizes["file"] / number, journal_share_of_raw=sizes["journal"] / raw,
        journal_share_of_file=sizes["journal"] / sizes["file"], incidents=number,
    )  # fmt: skip


def _sizes(session: Session, alerts: int, rounds: int) -> dict[str, int]:
    fleet = session.fleet()
    bodies = [body for round_ in range(rounds) for body in fleet.bodies(0, alerts, BODY, round_)]
    with empty_store() as (store, path):
        fill(store, bodies, 1000 * fleet.base_s, commit=4)
        project(store)
        return {"raw": sum(map(len, bodies)), **_columns(store), "file": _file(store, path)}


def _columns(store: Store) -> dict[str, int]:
    with store.engine.connect() as connection:
        journal = connection.execute(text("SELECT sum(length(body)) FROM journal")).scalar_one()
        log = connection.execute(text("SELECT sum(length(data) + length(hash)) FROM events")).scalar() or 0
    return {"journal": journal, "log": log}


def _file(store: Store, path: Path) -> int:
    with store.engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        connection.commit()
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.stat().st_size
