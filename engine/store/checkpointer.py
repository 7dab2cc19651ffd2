"""SQLite's write-ahead log, folded into the database by a thread of its own: no commit has to wait for that.

By itself SQLite lets the commit do it that makes the log longer than 1,000 pages. See sqlite.org/wal.html; its
"checkpoint" is called folding here, because Tocsin has checkpoints of another kind.
"""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import structlog
from sqlalchemy import Engine, event

from engine.store.turns import Turns
from schemas.errors import StoreUnavailable

EVERY_S = 0.1
"""Between two foldings while there are commits: so little is to be done each time that the disk stays free for them."""
BEGIN_ANEW_BYTES = 8 * 1024 * 1024
"""A log of this length is begun anew from its start, for which commits wait a moment: to write where the file has its
blocks already is cheaper for the disk than to make the file longer."""
FILE_KEPT_BYTES = 64 * 1024 * 1024
"""What the file keeps of its length when a longer log is begun anew."""
LIMIT_BYTES = 4 * 1024**3
"""No commit is taken while the log is longer than this because some reader keeps it from being begun anew."""
READERS_WAIT_MS = 10_000
"""How long commits wait for such a reader at most, once the log is too long."""

log = structlog.get_logger(__name__)


class Checkpointer:
    """Folds the log of one database that this process writes to. `wrote` and `refuse_when_full` are cheap."""

    def __init__(self, engine: Engine, file: Path, turns: Turns) -> None:
        self._file, self._turns = file, turns
        self._dirty, self._stopping = threading.Event(), threading.Event()
        self._full = ""
        self._troubled = False
        event.listen(engine, "connect", _fold_nothing)
        engine.dispose()  # connections that were opened before would still fold by themselves
        self._thread = threading.Thread(target=self._run, name="tocsin-wal", daemon=True)
        self._thread.start()

    def wrote(self) -> None:
        """A transaction was committed."""
        if not self._dirty.is_set():
            self._dirty.set()

    def refuse_when_full(self) -> None:
        """Raises StoreUnavailable while the log must not grow any more."""
        if self._full:
            raise StoreUnavailable(self._full)

    def close(self) -> None:
        """Stop folding; SQLite folds what is left when the last connection is closed."""
        self._stopping.set()
        self._dirty.set()
        self._thread.join()

    def _run(self) -> None:
        connection: sqlite3.Connection | None = None
        while not self._stopping.is_set():
            self._dirty.wait()
            if self._stopping.wait(EVERY_S):
                break
            self._dirty.clear()
            try:
                connection = connection or sqlite3.connect(self._file, isolation_level=None)
                self._fold(connection)
                self._troubled = False
            except sqlite3.Error as refused:
                if not self._troubled:
                    log.error("wal_not_folded", problem=str(refused))
                self._troubled = True
                self._dirty.set()
        if connection is not None:
            connection.close()

    def _fold(self, connection: sqlite3.Connection) -> None:
        """Fold what can be folded beside commits; begin the log anew when it has become long."""
        connection.execute("PRAGMA busy_timeout = 0")
        size = _folded(connection, "PASSIVE")
        if size >= BEGIN_ANEW_BYTES:
            _folded(connection, "PASSIVE")  # what came during the first
            with self._turns.after():  # nobody commits: the little that came during the second is folded, too
                size = _folded(connection, "RESTART")
        if size >= LIMIT_BYTES:
            connection.execute(f"PRAGMA busy_timeout = {READERS_WAIT_MS}")
            size = _folded(connection, "TRUNCATE")
        was_full, self._full = self._full, ""
        if size >= LIMIT_BYTES:
            self._full = f"the write-ahead log has {size >> 20} MiB: some reader keeps it from being folded in"
            self._dirty.set()
            if not was_full:
                log.error("wal_too_long", problem=self._full)


def _folded(connection: sqlite3.Connection, how: str) -> int:
    """The length of the log in bytes after an attempt to fold it; 0 where it is begun anew with the next commit."""
    busy, pages, done = connection.execute(f"PRAGMA wal_checkpoint({how})").fetchone()
    if how != "PASSIVE" and not busy and pages == done:
        return 0
    (page_size,) = connection.execute("PRAGMA page_size").fetchone()
    return int(pages * page_size)


def _fold_nothing(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute(f"PRAGMA journal_size_limit = {FILE_KEPT_BYTES}")
