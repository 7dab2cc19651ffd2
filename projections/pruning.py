"""Pruning: what read models say in detail of incidents that were over long ago leaves the database; the log keeps it.

The tickets themselves, trends, ledgers and accident proposals stay. A rebuild of a projection brings its rows back from
the log, until they are pruned again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import get_args

import structlog
from sqlalchemy import Column, Connection, Select, delete, func, or_, select
from sqlalchemy.exc import SQLAlchemyError

from projections.deliveries import DeliveryState, deliveries_table
from projections.projection import checkpoints
from projections.sla import sla_table
from projections.ticket_tables import alerts_table, tickets_table
from projections.timeline import deliveries_table as timeline_deliveries_table
from projections.timeline import timeline_table
from schemas.errors import StoreUnavailable

DAY_MS = 86_400_000
CHUNK = 200
"""Incidents in one transaction: on SQLite a commit waits for it."""
FIRST_LOOK_S = 600.0
EVERY_S = 86_400.0

_OVER = ("resolved", "in_review", "closed", "merged", "false_alarm")
_UNFINISHED = [state for state in get_args(DeliveryState) if state in ("requested", "started", "retrying")]
_DETAILS: tuple[Column[str], ...] = (
    alerts_table.c.incident, timeline_table.c.incident, deliveries_table.c.incident, sla_table.c.incident,
)  # fmt: skip

log = structlog.get_logger(__name__)

Writing = Callable[[], AbstractContextManager[Connection]]


async def keep_pruning(writing: Writing, kept_days: int, now_ms: Callable[[], int]) -> None:
    """Prune once a day what is older than `kept_days`. Runs until it is cancelled."""
    await asyncio.sleep(FIRST_LOOK_S)
    while True:
        try:
            pruned = await asyncio.to_thread(prune, writing, now_ms() - kept_days * DAY_MS)
        except (StoreUnavailable, SQLAlchemyError) as refused:
            log.error("read_models_not_pruned", problem=str(refused))
        else:
            if pruned:
                log.info("read_models_pruned", incidents=pruned)
        await asyncio.sleep(EVERY_S)


def prune(writing: Writing, before_ms: int) -> int:
    """Remove the details of incidents that are over and had their last event before `before_ms`; how many there were.

    Details are alerts, timeline, clocks and deliveries. Nothing is done while a projection is halted or behind another:
    it could still need its rows.
    """
    pruned = 0
    while True:
        with writing() as tx:
            if not _agree(tx):
                return pruned
            some = list(tx.scalars(_prunable(before_ms).limit(CHUNK)))
            told = select(deliveries_table.c.delivery).where(deliveries_table.c.incident.in_(some))
            tx.execute(delete(timeline_deliveries_table).where(timeline_deliveries_table.c.delivery.in_(told)))
            for column in _DETAILS:
                tx.execute(delete(column.table).where(column.in_(some)))
        pruned += len(some)
        if len(some) < CHUNK:
            return pruned


def _agree(tx: Connection) -> bool:
    """Whether all projections of each partition stand at one position, and none is halted."""
    at = checkpoints.c
    apart = func.min(at.position) != func.max(at.position)
    astray = select(at.partition).group_by(at.partition).having(or_(apart, func.count(at.halted_reason) > 0))
    return tx.execute(astray).first() is None


def _prunable(before_ms: int) -> Select[tuple[str]]:
    own, told, clock = tickets_table.c, deliveries_table.c, sla_table.c
    shown = select(timeline_table.c.seq).where(timeline_table.c.incident == own.incident).exists()
    pending = select(told.delivery).where(told.incident == own.incident, told.state.in_(_UNFINISHED)).exists()
    runs = select(clock.run).where(clock.incident == own.incident, clock.stopped_ms.is_(None)).exists()
    over = (own.state.in_(_OVER), own.updated_ms < before_ms, own.firing_count == 0)
    return select(own.incident).where(*over, shown, ~pending, ~runs).order_by(own.updated_ms)
