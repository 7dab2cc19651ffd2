"""Proving the log: every event of a partition is recomputed from its stored row, up to the checkpoint's head."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from sqlalchemy import Row, func, select

from engine.chain import PLAIN, Chains, Envelope, Position, verify
from engine.store.appender import read_position
from engine.store.chains import ChainFault
from engine.store.database import outages_named
from engine.store.rows import damage_named, envelope_of
from engine.store.store import Store
from engine.store.tables import EVENTS

CHUNK = 2_000
"""Rows recomputed at a time."""


class VerifyReport(msgspec.Struct, frozen=True):
    """How many events hold, the hash of the last of them in hex, and the first thing that is wrong, if any."""

    events: int
    head: str
    fault: str | None = None


def verify_log(store: Store, partition: int = 0) -> VerifyReport:
    """Recompute the hash chain of a partition, and compare its end with the checkpoint.

    What is appended meanwhile is left for the next time. Raises StoreUnavailable, and ConfigError where the log is
    chained with a key that this store was not given. Cost: one pass over the log.
    """
    last, end = _extent(store, partition)
    try:
        chains = store.chains(partition)
    except ChainFault as forged:
        if forged.key:
            raise
        return _report(Position(), [], str(forged))
    at = Position()
    for rows in _chunks(store, partition, end.next_seq):
        with damage_named(f"an event behind {at.next_seq - 1}"):
            envelopes = [envelope_of(row) for row in rows]
        fault = verify(at.head, at.next_seq, envelopes, chains)
        good = envelopes if fault is None else envelopes[: fault.seq - at.next_seq]
        mistyped = next((row for row in rows[: len(good)] if not _typed(row)), None)
        if mistyped is not None:
            problem = f"event {mistyped.seq}: its type column says {mistyped.type!r}, its data does not"
            return _report(at, good[: mistyped.seq - at.next_seq], problem)
        if fault is not None:
            return _report(at, good, fault.problem)
        at = Position(0, at.next_seq + len(good), good[-1].hash)
    return _report(at, [], _end_fault(last, at, end) or _chain_fault(store, chains, end))


def _extent(store: Store, partition: int) -> tuple[int, Position]:
    # The log first, then the checkpoint: an append in between moves the checkpoint past what was seen, never short.
    query = select(func.coalesce(func.max(EVENTS.c.seq), -1)).where(EVENTS.c.partition == partition)
    with outages_named("read the extent of the log"), store.engine.connect() as connection:
        last: int = connection.execute(query).scalar_one()
        return last, read_position(connection, partition)


def _chunks(store: Store, partition: int, stop: int) -> Iterator[list[Row[Any]]]:
    after: int | None = None  # from the very lowest: a row below 0 is a forgery too
    while True:
        query = select(EVENTS).where(EVENTS.c.partition == partition, EVENTS.c.seq < stop)
        if after is not None:
            query = query.where(EVENTS.c.seq > after)
        with outages_named("read the log"), store.engine.connect() as connection:
            rows = list(connection.execute(query.order_by(EVENTS.c.seq).limit(CHUNK)))
        if not rows:
            return
        yield rows
        after = rows[-1].seq


def _typed(row: Row[Any]) -> bool:
    # Canonical data begins with its type, see schemas.events.encode_data.
    return bytes(row.data).startswith(b'{"type":"' + row.type.encode() + b'"')


def _report(at: Position, good: list[Envelope], fault: str | None) -> VerifyReport:
    head = good[-1].hash if good else at.head
    return VerifyReport(at.next_seq + len(good), head.hex(), fault)


def _end_fault(last: int, at: Position, end: Position) -> str | None:
    if at.next_seq < end.next_seq:
        return f"event {at.next_seq} is missing: the log ends before its checkpoint ({end.next_seq} events)"
    if at.head != end.head:
        return "the last event is not the one that the checkpoint names: the chain was rewritten"
    if last >= end.next_seq:
        return f"event {last} stands behind the checkpoint ({end.next_seq} events): it was not appended by Tocsin"
    return None


def _chain_fault(store: Store, chains: Chains, end: Position) -> str | None:
    if store.chain is not PLAIN and chains.at(end.next_seq) is PLAIN and end.next_seq > 0:
        return (
            f"no event is chained with {store.chain.algorithm}, although the settings ask for it: either nothing was"
            " written since they do, or somebody has made the log again without the key"
        )
    return None
