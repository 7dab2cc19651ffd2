"""Bytes on disk per alert, new and re-sent, beside the JSON that came: the journal alone, and the whole file."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import text

from bench.journals import empty_store, fill
from bench.measures.ingest import BODY
from bench.session import Session
from engine.store import Store
from projections import ALL, Projector, create_tables

ROUNDS = 10


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
            file_bytes=sizes["file"] / number, journal_share_of_raw=sizes["journal"] / sizes["raw"], alerts=number,
        )  # fmt: skip


def _sizes(session: Session, alerts: int, rounds: int) -> dict[str, int]:
    fleet = session.fleet()
    bodies = [body for round_ in range(rounds) for body in fleet.bodies(0, alerts, BODY, round_)]
    with empty_store() as (store, path):
        fill(store, bodies, 1000 * fleet.base_s, commit=4)
        models = ALL()
        create_tables(store.engine, models)
        Projector(
            store.writing, lambda part, after, limit: store.log(partition=part, after=after, limit=limit), models
        ).catch_up()  # fmt: skip
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
