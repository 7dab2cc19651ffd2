"""One writer a database: a locked file beside SQLite's, an advisory lock on PostgreSQL. Both end with their process."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from sqlalchemy import Connection

from engine.store.database import LOCK_KEY
from schemas.errors import ConcurrencyConflict


class LockFile:
    """An flock'ed file; the kernel lets go of it when the process ends, however it ends."""

    def __init__(self, database: Path) -> None:
        self.database = database
        self.path = database.with_name(database.name + ".writer")
        self._descriptor: int | None = None

    def take(self) -> None:
        """Hold the lock; raises ConcurrencyConflict naming the process that holds it, OSError if there is no disk."""
        if self._descriptor is not None:
            return
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as held:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise ConcurrencyConflict(
                f"process {holder or '?'} already writes to this database (lock file {self.path}); stop it first"
            ) from held
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Let go. The file stays: removing it would let two processes lock two files of one name."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def take_advisory_lock(connection: Connection) -> None:
    """Hold PostgreSQL's lock for the life of this session; raises ConcurrencyConflict naming the holder."""
    if connection.exec_driver_sql("SELECT pg_try_advisory_lock(%s)", (LOCK_KEY,)).scalar_one():
        return
    holder = connection.exec_driver_sql(
        "SELECT format('%%s from %%s since %%s', pid, coalesce(host(client_addr), 'a local socket'), backend_start)"
        " FROM pg_locks JOIN pg_stat_activity USING (pid)"
        " WHERE locktype = 'advisory' AND granted AND datname = current_database()"
        " AND (classid::bigint << 32) + objid::bigint = %s",
        (LOCK_KEY,),
    ).scalar()
    raise ConcurrencyConflict(f"session {holder or '?'} already writes to this database; stop it first")
