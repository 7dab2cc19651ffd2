"""How fast the past is gone through again: journal to state, log to read models; and how fast the log grows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from bench.journals import empty_store, fill, project
from bench.measures.ingest import BODY
from bench.peers import Missing, append, interpreter
from bench.session import Session
from engine.chain import Position, extend
from engine.core import Core
from engine.runtime.judge import replay
from engine.store import Entry, Store
from projections import ALL, Projector
from schemas.events import LoggedEvent, encode_data
from schemas.records import Tick
from sources import PARSERS

BATCHES = (1, 10, 100, 1000)
ROUNDS = 10
"""So many times each alert of the journal was sent: once new, then again."""


def run(session: Session) -> None:
    """Everything in this process, on one core."""
    _journal(session)
    _log(session)


def _journal(session: Session) -> None:
    options, fleet = session.options, session.fleet()
    distinct = options.replay_alerts // ROUNDS
    with empty_store() as (store, _):
        bodies = (
            body for round_ in range(ROUNDS) for body in fleet.bodies(0, distinct, BODY, round_)
        )  # fmt: skip
        fill(store, bodies, 1000 * fleet.base_s)
        for _ in range(options.runs):
            core, began, cpu = Core(PARSERS), time.perf_counter(), time.process_time()
            for _, record in store.journal():
                core.handle(record)
            elapsed, used = time.perf_counter() - began, time.process_time() - cpu
            alerts = sum(core.books()["prometheus"].values())
            session.sample(
                "replay", "journal through the core", "tocsin",
                alerts_per_s=alerts / elapsed, cpu_ms_per_1000=1e6 * used / alerts, alerts=alerts,
            )  # fmt: skip
            began = time.perf_counter()
            replay(store, PARSERS)
            elapsed = time.perf_counter() - began
            session.sample(
                "replay", "journal through the core, compared with the log", "tocsin",
                alerts_per_s=alerts / elapsed, alerts=alerts,
            )  # fmt: skip


def _log(session: Session) -> None:
    options = session.options
    with empty_store() as (store, _):
        # A service of its own for each body of 16 makes an incident of each.
        fleet = session.fleet(services=options.incidents)
        fill(store, fleet.bodies(0, 16 * options.incidents, 16), 1000 * fleet.base_s)
        projector = project(store)
        events = list(_whole(store))
        size = round(sum(len(encode_data(each.event.data)) for each in events) / len(events))
        peer = _peer(session)
        for _ in range(options.runs):
            _projections(session, store, projector, len(events))
            for batch in BATCHES:
                total = min(len(events), {1: 500, 10: 3000}.get(batch, 20_000))
                _append(session, events[:total], batch)
                if peer is not None:
                    _append_peer(session, peer, total, batch, size)


def _whole(store: Store) -> Iterator[LoggedEvent]:
    after = -1
    while found := store.log(after=after, limit=2000):
        yield from found
        after = found[-1].seq


def _projections(session: Session, store: Store, projector: Projector, events: int) -> None:
    models = ALL()
    with store.writing() as tx:
        for model in models:
            model.truncate(tx)
        tx.exec_driver_sql("DELETE FROM projection_checkpoint")
    began, cpu = time.perf_counter(), time.process_time()
    projector.catch_up()
    elapsed, used = time.perf_counter() - began, time.process_time() - cpu
    session.sample(
        "replay", "log to rebuilt projections", "tocsin",
        events_per_s=events / elapsed, cpu_ms_per_1000=1e6 * used / events, events=events, projections=len(models),
    )  # fmt: skip


def _peer(session: Session) -> Path | None:
    try:
        return interpreter(session.options.with_peers, "eventsourcing")
    except Missing as missing:
        session.lacks("replay", "eventsourcing", str(missing))
        return None


def _append_peer(session: Session, python: Path, total: int, batch: int, size: int) -> None:
    done = append(python, total, batch, size)
    session.sample(
        "replay", _case(batch), f"eventsourcing {done.version}",
        events_per_s=total / done.elapsed_s, cpu_ms_per_1000=1e6 * done.cpu_s / total, events=total,
    )  # fmt: skip


def _case(batch: int) -> str:
    return f"append, {batch:,} event{'s'[: batch > 1]} at once"


def _append(session: Session, events: list[LoggedEvent], batch: int) -> None:
    """Append so many events in each transaction, one record with all of them; the chain is made outside the clock."""
    total = len(events)
    entries: list[Entry] = []
    position = Position()
    for offset, start in enumerate(range(0, total, batch)):
        chunk = events[start : min(start + batch, total)]
        at_ms = chunk[0].event.at_ms
        logged = extend(position, 0, offset, [each.event for each in chunk])
        position = position.after(logged)
        entries.append(Entry(offset, Tick(at_ms), logged))
    with empty_store() as (store, _):
        began, cpu = time.perf_counter(), time.process_time()
        for entry in entries:
            store.append([entry])
        elapsed, used = time.perf_counter() - began, time.process_time() - cpu
    session.sample(
        "replay", _case(batch), "tocsin",
        events_per_s=total / elapsed, cpu_ms_per_1000=1e6 * used / total, events=total,
    )  # fmt: skip
