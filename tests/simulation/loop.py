"""An asyncio loop without a clock, a socket or a thread: time jumps to whatever is due next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Any

Work = Callable[..., object]


class Stalled(Exception):
    """Nothing is scheduled: everybody waits for somebody else."""


class _Idle:
    """Stands where a loop waits for its sockets: waiting is what moves the time."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        """Let `timeout` seconds pass at once."""
        if timeout is None:
            raise Stalled("nothing will ever happen again")
        self._loop.now_s += timeout
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs callbacks in asyncio's own order at virtual times; what goes to an executor is handed to `work`."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.before_turn: Callable[[], None] = lambda: None
        self.work: Callable[[bool, Work, asyncio.Future[Any]], None] = lambda _writer, _work, _future: None
        self._selector = _Idle(self)
        self._clock_resolution = 1e-6

    def time(self) -> float:
        """Seconds since the beginning of the history."""
        return self.now_s

    def run_in_executor(self, executor: Executor | None, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """No thread: `work` decides when the function runs and when its result is seen."""
        future: asyncio.Future[Any] = self.create_future()
        self.work(executor is not None, partial(func, *args), future)
        return future

    def _run_once(self) -> None:
        self.before_turn()
        super()._run_once()  # type: ignore[misc]

    def _process_events(self, event_list: list[Any]) -> None:
        """No sockets, no events."""

    def _write_to_self(self) -> None:
        """Nobody calls from another thread."""
