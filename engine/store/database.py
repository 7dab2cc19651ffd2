"""The database under the store: how it is opened, what SQLite needs to be told, and which errors mean an outage."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from engine.store.answering import DEAD_PEER, use_answering
from schemas.errors import ConcurrencyConflict, ConfigError, StoreUnavailable

BUSY_TIMEOUT_S = 10
"""How long SQLite waits for another process's write before it gives up."""
CONNECT_TIMEOUT_S = 10
_DEAD_PEER = "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3"
"""PostgreSQL notices within 11 s that our machine is gone, and frees the writer's lock for a standby."""
POOL = 16
"""Connections that are kept; as many again under load, and then readers wait."""
LOCK_KEY = int.from_bytes(b"tocsin\x00\x01")
"""PostgreSQL advisory lock of the one writer; advisory locks are counted per database."""
SCHEMA_LOCK_KEY = LOCK_KEY + 1
"""The same for the moment in which the tables are made."""

WRITES = "tocsin_writes"
"""Execution option of a connection whose transactions take SQLite's write lock at their beginning."""

_SQLITE_OUTAGES = {
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_NOMEM,
}  # fmt: skip
_SQLITE_DAMAGES = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_POSTGRESQL_OUTAGES = ("08", "40", "53", "55", "57", "58", "XX")
"""SQLSTATE classes that are about the server and not about the statement (PostgreSQL manual, appendix A)."""


def database_url(url: str, password: str | None = None) -> URL:
    """The SQLAlchemy URL with its driver and password; raises ConfigError for what the store cannot run on."""
    try:
        parsed = make_url(url)
    except ArgumentError as unreadable:
        raise ConfigError(f"not a database URL: {unreadable}", key="store.url") from unreadable
    if password is not None:
        parsed = parsed.set(password=password)
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise ConfigError(f"expected sqlite:///FILE or postgresql://…, not {backend}", key="store.url")
    if parsed.database in (None, "", ":memory:"):
        raise ConfigError("the journal needs a file: sqlite:///FILE", key="store.url")
    return parsed.set(drivername="sqlite+pysqlite")


def open_engine(url: URL, *, read_only: bool) -> Engine:
    """An engine whose connections are set up for the store; makes the folder of a new SQLite file."""
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(url, read_only)
    options = f"{_DEAD_PEER} -c default_transaction_read_only=on" if read_only else _DEAD_PEER
    arguments = {"connect_timeout": CONNECT_TIMEOUT_S, "application_name": "tocsin", "options": options, **DEAD_PEER}
    engine = create_engine(url, pool_pre_ping=True, pool_size=POOL, max_overflow=POOL, connect_args=arguments)
    use_answering(engine)
    return engine


def _sqlite_engine(url: URL, read_only: bool) -> Engine:
    assert url.database is not None
    path = Path(url.database)
    if not read_only:
        path.parent.mkdir(parents=True, exist_ok=True)
    # A reader of a WAL file writes its shared-memory index, so "rw" without "create" is the least that works.
    target = url.set(
        database=f"file:{quote(str(path.absolute()))}",
        query={**url.query, "uri": "true", "mode": "rw" if read_only else "rwc"},
    )
    # A pooled connection is used by one thread at a time, but not always by the one that opened it.
    arguments = {"timeout": BUSY_TIMEOUT_S, "check_same_thread": False}
    engine = create_engine(target, pool_size=POOL, max_overflow=POOL, connect_args=arguments)

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, see below
        if read_only:
            connection.execute("PRAGMA query_only = ON")
        else:
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    @event.listens_for(engine, "handle_error")
    def _name_damage(context: ExceptionContext) -> None:
        # sqlite3 files damaged pages under errors of the statement, and names no file.
        cause = context.original_exception
        if isinstance(cause, sqlite3.Error) and getattr(cause, "sqlite_errorcode", 0) & 0xFF in _SQLITE_DAMAGES:
            named = sqlite3.OperationalError(f"{path}: {cause}")
            named.sqlite_errorcode = cause.sqlite_errorcode
            raise OperationalError(context.statement, None, named) from cause

    return engine


def read_only_place(url: URL) -> str:
    """What SQLite does not say of a file that it cannot open; empty where that is not the reason."""
    if url.get_backend_name() != "sqlite" or url.database is None:
        return ""
    folder = Path(url.database).absolute().parent
    mounted = folder.exists() and os.statvfs(folder).f_flag & os.ST_RDONLY
    return " on a file system that is mounted read-only" if mounted else ""


def make_durable(connection: Connection, durable: bool = True) -> None:
    """Let the commits of this connection wait for the disk, or not. Outside of a transaction on SQLite only."""
    if connection.dialect.name == "sqlite":
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        raw.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")


def is_outage(error: SQLAlchemyError) -> bool:
    """Whether the database or its disk failed, and not the statement."""
    if not isinstance(error, DBAPIError):
        return isinstance(error, PoolExhausted)
    if error.connection_invalidated:
        return True
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", -1) & 0xFF in _SQLITE_OUTAGES
    state = getattr(cause, "sqlstate", None)
    return isinstance(error, OperationalError) if state is None else state.startswith(_POSTGRESQL_OUTAGES)


@contextmanager
def outages_named(doing: str) -> Iterator[None]:
    """Every database or disk error inside becomes StoreUnavailable; a row that was there before, a conflict."""
    try:
        yield
    except (IntegrityError, psycopg.IntegrityError, sqlite3.IntegrityError) as taken:
        cause = getattr(taken, "orig", taken)
        raise ConcurrencyConflict(f"{doing}: another writer's row is in the way ({cause})") from taken
    except UnicodeDecodeError as noise:  # SQLite quotes a damaged schema in its message
        raise StoreUnavailable(f"{doing}: the database is damaged, its schema is no text") from noise
    except (SQLAlchemyError, psycopg.Error, sqlite3.Error, OSError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        raise StoreUnavailable(f"{doing}: {' '.join(str(cause).split())}") from error  # drivers answer in paragraphs
