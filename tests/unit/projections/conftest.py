"""A projection's database in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Connection, create_engine, insert
from sqlalchemy.pool import StaticPool

from engine.store.rows import event_row
from engine.store.tables import EVENTS
from projections import Projection, create_tables
from schemas.events import LoggedEvent
from tests.events import EventLog

COLUMNS = [column.name for column in EVENTS.columns]

Given = Callable[..., Connection]


@pytest.fixture
def given() -> Iterator[Given]:
    """`given(projection, log)`: a connection to the log and the rows that the projection makes of it."""
    engine = create_engine("sqlite://", poolclass=StaticPool)

    with engine.connect() as conn:

        def applied(projection: Projection, log: EventLog) -> Connection:
            create_tables(engine, [projection])
            EVENTS.create(conn, checkfirst=True)
            rows = [dict(zip(COLUMNS, event_row(at), strict=True)) for at in log.events]
            if rows:
                conn.execute(insert(EVENTS), rows)
            wanted: list[LoggedEvent] = [at for at in log.events if type(at.event.data) in projection.handles]
            projection.apply_all(wanted, conn)
            return conn

        yield applied
    engine.dispose()
