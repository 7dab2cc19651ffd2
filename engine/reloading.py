"""Reading the configuration again while serving: rules and channels change, or nothing does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from engine.runtime.embedded import EmbeddedRuntime
from notifiers.outbox import Outbox
from notifiers.registry import build_all
from schemas.config import Settings
from schemas.errors import TocsinError

SYSTEM = "system"

log = structlog.get_logger(__name__)


class Reloading:
    """Puts the settings of the files in force, one reading at a time.

    Rules and channels change at once. Where the server listens, what it stores in, and who may send, do not.
    """

    def __init__(self, read: Callable[[], Settings], runtime: EmbeddedRuntime, outbox: Outbox) -> None:
        """`read` reads the files, in a thread; it raises ConfigError."""
        self._read, self._runtime, self._outbox = read, runtime, outbox
        self._turn = asyncio.Lock()

    async def reload(self) -> Settings:
        """Read and put in force; returns what holds now.

        Raises ConfigError or CommandRejected, with place and reason: the old ones go on then, rules and channels both.
        """
        async with self._turn:
            try:
                settings = await asyncio.to_thread(self._read)
                before = self._outbox.use(build_all(settings.channels, settings.templates, settings.directory))
                try:
                    await self._runtime.configure(settings.rules.canonical(), actor=SYSTEM)
                except BaseException:
                    self._outbox.use(before)
                    raise
            except TocsinError as refused:
                log.error("reload_refused", problem=str(refused))
                raise
            log.info("reloaded", rules=settings.rules.digest, channels=len(settings.channels))
            return settings


class OnSignal:
    """Reloads when a signal comes; what becomes of it is in the log."""

    def __init__(self, reload: Callable[[], Awaitable[None]]) -> None:
        self._reload = reload
        self._running: asyncio.Task[None] | None = None

    def __call__(self) -> None:
        """Begin to reload."""
        self._running = asyncio.get_running_loop().create_task(self._quietly(), name="reload")

    async def _quietly(self) -> None:
        try:
            await self._reload()
        except TocsinError:
            return  # logged already
