"""Retention: old records leave the database for the archive, verified first, and never younger than the floor.

The log is never pruned. R13 asks for six months of audit records.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import msgspec
from sqlalchemy import delete, func, insert, select

from engine.chain import GENESIS
from engine.store.archive import Segment, write_segment
from engine.store.database import outages_named
from engine.store.store import Store
from engine.store.tables import EVENTS, JOURNAL, PRUNING, SEGMENTS
from schemas.errors import ConfigError, StoreUnavailable
from schemas.records import Record

FLOOR_DAYS = 180
"""R13: records are kept for six months at least, where they are at hand."""
DAY_MS = 86_400_000
SEGMENT_RECORDS = 20_000
"""Records of one segment: as many leave the database in one transaction, during which a SQLite writer waits."""


def archive_journal(
    store: Store, folder: Path, *, older_than_days: int, now_ms: int, core_version: int, partition: int = 0
) -> list[Segment]:
    """Move the records that are older into the archive, segment by segment; the segments that were made.

    The age counts back from the newest record where that is older than `now_ms`: a clock that runs ahead archives
    nothing early. A snapshot of this core must stand behind what goes, so that a start needs no archive. Raises
    ConfigError below the floor, StoreUnavailable where nothing more could be archived (what was pruned is archived).
    """
    if older_than_days < FLOOR_DAYS:
        raise ConfigError(f"{older_than_days} days are too few: records are kept for {FLOOR_DAYS} at least (R13)")
    first, newest_ms = _extent(store, partition)
    if first is None:
        return []
    before_ms = min(now_ms, newest_ms) - older_than_days * DAY_MS
    snapshot = store.snapshot(partition=partition, core_version=core_version)
    behind = snapshot.position.next_offset if snapshot else 0
    old = _older(store.journal(partition=partition, start=first), before_ms)
    made: list[Segment] = []
    while (head := next(old, None)) is not None:
        if head[0] >= behind:
            if not made:
                raise StoreUnavailable(f"no snapshot stands behind record {head[0]}: restart the server, it makes one")
            break
        records = _bounded(chain([head], old), min(head[0] + SEGMENT_RECORDS, behind))
        made.append(_archive(store, folder, partition, records))
        old = _older(store.journal(partition=partition, start=made[-1].next_offset), before_ms)
    return made


def _archive(store: Store, folder: Path, partition: int, records: Iterator[tuple[int, Record]]) -> Segment:
    """One segment: written and read back, then recorded and pruned in one transaction."""
    with outages_named(f"archive to {folder}"):
        segment = write_segment(folder, partition, records, lambda stop: _head_before(store, partition, stop))
        own = (JOURNAL.c.partition == partition) & (JOURNAL.c.offset >= segment.first_offset)
        with store.writing(durable=True) as connection:
            connection.execute(insert(SEGMENTS), msgspec.structs.asdict(segment))
            connection.execute(insert(PRUNING), {"partition": partition})
            gone = connection.execute(delete(JOURNAL).where(own & (JOURNAL.c.offset < segment.next_offset))).rowcount
            connection.execute(delete(PRUNING))
            if gone != segment.records:
                raise StoreUnavailable(
                    f"{gone} records stand where {segment.records} were archived: nothing was pruned"
                )
    return segment


def _extent(store: Store, partition: int) -> tuple[int | None, int]:
    """The first offset in the table and the time of the last record there."""
    own = JOURNAL.c.partition == partition
    with outages_named("read the extent of the journal"), store.engine.connect() as connection:
        first = connection.execute(select(func.min(JOURNAL.c.offset)).where(own)).scalar()
        newest = select(JOURNAL.c.at_ms).where(own).order_by(JOURNAL.c.offset.desc()).limit(1)
        return first, connection.execute(newest).scalar() or 0


def _head_before(store: Store, partition: int, offset: int) -> bytes:
    own = (EVENTS.c.partition == partition) & (EVENTS.c.offset < offset)
    last = select(EVENTS.c.hash).where(own).order_by(EVENTS.c.offset.desc(), EVENTS.c.idx.desc()).limit(1)
    with outages_named("read the head of the log"), store.engine.connect() as connection:
        found = connection.execute(last).scalar()
    return GENESIS if found is None else bytes(found)


def _older(records: Iterator[tuple[int, Record]], before_ms: int) -> Iterator[tuple[int, Record]]:
    for offset, record in records:
        if record.at_ms >= before_ms:
            return
        yield offset, record


def _bounded(records: Iterator[tuple[int, Record]], stop: int) -> Iterator[tuple[int, Record]]:
    for offset, record in records:
        yield offset, record
        if offset + 1 >= stop:
            return
