"""A projection's database in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import StaticPool

from projections import Projection, create_tables
from schemas.events import LoggedEvent
from tests.events import EventLog

Given = Callable[..., Connection]


@pytest.fixture
def given() -> Iterator[Given]:
    """`given(projection, *events)`: a connection to the rows that the projection makes of the events."""
    engine = create_engine("sqlite://", poolclass=StaticPool)

    with engine.connect() as conn:

        def applied(projection: Projection, log: EventLog) -> Connection:
            create_tables(engine, [projection])
            wanted: list[LoggedEvent] = [at for at in log.events if type(at.event.data) in projection.handles]
            projection.apply_all(wanted, conn)
            return conn

        yield applied
    engine.dispose()
