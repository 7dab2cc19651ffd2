"""The board: how far each partition is decided and shown, as told by the workers, or else as the database says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

import psycopg
import structlog
from sqlalchemy import Engine, select

from engine.runtime.cluster.tables import CURSORS
from engine.store.database import outages_named
from schemas.errors import StoreUnavailable

CHANNEL = "tocsin"
POLL_S = 0.5
"""How often the database is asked while somebody waits: a told word may be lost with its connection."""
IDLE_POLL_S = 2.0
RECONNECT_S = 0.5

Shown = Callable[[], Mapping[int, int]]
"""The last event of each partition that every read model shows."""

log = structlog.get_logger(__name__)


def connection_url(engine: Engine) -> str:
    """The same database for psycopg alone, which can listen without a thread."""
    return engine.url.set(drivername="postgresql").render_as_string(hide_password=False)


class Board:
    """What is known of every partition: `decided`, the next place of the topic to be decided; `shown`, a seq."""

    def __init__(self, engine: Engine, shown: Shown) -> None:
        self._engine, self._read_shown = engine, shown
        self.decided: dict[int, int] = {}
        self.shown: dict[int, int] = {}
        self._changed = asyncio.Event()
        self._waiting = 0

    def note(self, kind: str, partition: int, upto: int) -> None:
        """A worker said so: ``d`` (decided) or ``s`` (shown)."""
        known = self.decided if kind == "d" else self.shown
        if upto > known.get(partition, -1):
            known[partition] = upto
            changed, self._changed = self._changed, asyncio.Event()
            changed.set()

    async def until(self, holds: Callable[[], bool], wait_s: float | None) -> bool:
        """Whether it holds, at once or within so long (None: however long it takes)."""
        self._waiting += 1
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    while not holds():
                        await self._changed.wait()
            return holds()
        finally:
            self._waiting -= 1

    async def changed(self) -> None:
        """Return when anything has changed."""
        await self._changed.wait()

    async def run(self) -> None:
        """Listen to the workers, and look by itself, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen(), name="board listens")
            group.create_task(self._poll(), name="board looks")

    async def _listen(self) -> None:
        while True:
            try:
                connection = await psycopg.AsyncConnection.connect(
                    connection_url(self._engine), autocommit=True, application_name="tocsin board"
                )
                async with connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    async for told in connection.notifies():
                        for word in told.payload.split():
                            kind, partition, upto = word.split(":")
                            self.note(kind, int(partition), int(upto))
            except (psycopg.Error, OSError) as lost:
                log.warning("board_not_told", problem=" ".join(str(lost).split()))
                await asyncio.sleep(RECONNECT_S)

    async def _poll(self) -> None:
        while True:
            with suppress(StoreUnavailable):
                await self.look()
            await asyncio.sleep(POLL_S if self._waiting else IDLE_POLL_S)

    async def look(self) -> None:
        """Read the database's own word. Raises StoreUnavailable."""
        decided, shown = await asyncio.to_thread(self._read)
        for partition, upto in decided.items():
            self.note("d", partition, upto)
        for partition, upto in shown.items():
            self.note("s", partition, upto)

    def _read(self) -> tuple[Mapping[int, int], Mapping[int, int]]:
        with outages_named("read how far the partitions are"), self._engine.connect() as connection:
            rows = connection.execute(select(CURSORS.c.partition, CURSORS.c.next_topic_offset)).all()
            return {row.partition: row.next_topic_offset for row in rows}, self._read_shown()


class Crier:
    """Tells the boards of all processes, in one word for all that is new. What is lost, they find by themselves."""

    def __init__(self, engine: Engine) -> None:
        self._url = connection_url(engine)
        self._news: dict[tuple[str, int], int] = {}
        self._wake = asyncio.Event()

    def tell(self, kind: str, partition: int, upto: int) -> None:
        """To be told."""
        self._news[kind, partition] = upto
        self._wake.set()

    async def run(self) -> None:
        """Tell for ever."""
        while True:
            try:
                connection = await psycopg.AsyncConnection.connect(
                    self._url, autocommit=True, application_name="tocsin crier"
                )
                async with connection:
                    await connection.execute("SET synchronous_commit = off")
                    while True:
                        await self._wake.wait()
                        self._wake.clear()
                        news, self._news = self._news, {}
                        words = " ".join(f"{kind}:{partition}:{upto}" for (kind, partition), upto in news.items())
                        await connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, words[:7900]))
            except (psycopg.Error, OSError) as lost:
                log.warning("crier_lost", problem=" ".join(str(lost).split()))
                await asyncio.sleep(RECONNECT_S)
