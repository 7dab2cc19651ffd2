"""PostgreSQL connections that do not wait for ever: a server that gives no sign of life counts as gone.

The kernel's keepalives find a dead machine. They do not find a proxy or a firewall that keeps a connection open and
passes nothing on: for that the answers themselves are waited for, for a limited time.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, TypeVar

import psycopg
from sqlalchemy import Connection, Engine, event

ANSWER_LIMIT_S = 20.0
"""How long an answer may take; then the connection is given up, and whoever waits for it is told 503."""
LONG_LIMIT_S = 600.0
"""The same for work that takes its time, and for which nobody waits: read models, archives, schema versions."""
DEAD_PEER = {
    "keepalives": 1, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 15_000,
}  # fmt: skip
"""Our kernel notices within 11 s that the other machine is gone, and within 15 s that it takes nothing any more."""

RV = TypeVar("RV")


class AnsweringConnection(psycopg.Connection[Any]):
    """A connection that is given up when the server does not answer within `limit_s`; then OperationalError."""

    limit_s: float | None = None
    """None: ANSWER_LIMIT_S."""

    def wait(self, gen: Any, *args: Any, **options: Any) -> Any:
        """Consume a generator of psycopg's, which yields whenever it needs the network."""
        limit_s = ANSWER_LIMIT_S if self.limit_s is None else self.limit_s
        try:
            return super().wait(_bounded(gen, limit_s), *args, **options)
        except _Silence as silence:
            self.pgconn.finish()
            raise psycopg.OperationalError(str(silence)) from None


class _Silence(Exception):
    """The server has not answered in time."""


def _bounded(gen: Generator[Any, Any, RV], limit_s: float) -> Generator[Any, Any, RV]:
    """The same generator, but that it fails when nothing was ready (0) and the time is over."""
    until_s = monotonic() + limit_s
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if not ready and monotonic() > until_s:
                raise _Silence(f"PostgreSQL has not answered within {limit_s:g} s")
            wanted = gen.send(ready)
    except StopIteration as done:
        result: RV = done.value
        return result


def use_answering(engine: Engine) -> None:
    """Let an engine for PostgreSQL make connections of this kind."""

    @event.listens_for(engine, "do_connect")
    def _connect(_dialect: Any, _record: Any, cargs: Any, cparams: Any) -> AnsweringConnection:
        return AnsweringConnection.connect(*cargs, **cparams)


@contextmanager
def patient(connection: Connection) -> Iterator[None]:
    """Statements inside may take LONG_LIMIT_S each; of other databases all may take as long as they like."""
    raw = connection.connection.driver_connection
    if not isinstance(raw, AnsweringConnection):
        yield
        return
    raw.limit_s = LONG_LIMIT_S
    try:
        yield
    finally:
        raw.limit_s = None
