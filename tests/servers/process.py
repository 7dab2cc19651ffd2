"""One server process of a test: its output goes to a file, and it is ended by its own process id."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
PATIENCE_S = 120.0
"""How long tests wait for what must come, and for answers: long enough for a machine that is busy with other things.
It costs nothing when all is well; nothing is measured by it."""
STOP_S = 60.0
"""How long a server may take to end politely before it is killed, where nobody asks how it has ended."""
LOG_SHOWN = 4000
"""Characters of a server's output that a failure shows."""


class Process:
    """A program that can be started more than once; `log` holds what all of its runs have written."""

    def __init__(self, name: str, command: Sequence[str], log: Path) -> None:
        self.name, self.command, self.log = name, list(command), log
        self._running: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of the present run."""
        assert self._running is not None, f"{self.name} does not run"
        return self._running.pid

    @property
    def exit_code(self) -> int | None:
        """How the latest run has ended, or None while it runs."""
        return self._running.poll() if self._running else None

    def start(self) -> None:
        """Start it; it need not be ready when this returns."""
        with self.log.open("ab") as log:
            self._running = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill(self) -> None:
        """End it at once, without a chance to say goodbye (SIGKILL)."""
        assert self._running is not None
        self._running.send_signal(signal.SIGKILL)
        self._running.wait(PATIENCE_S)

    def terminate(self) -> None:
        """Ask it to end (SIGTERM)."""
        assert self._running is not None
        self._running.send_signal(signal.SIGTERM)

    async def ended(self) -> int:
        """Its exit code, once it has ended; fails when it does not end within PATIENCE_S."""
        await eventually(lambda: self.exit_code is not None, f"the end of {self.name}", every_s=0.03)
        code = self.exit_code
        assert code is not None
        return code

    async def answers(self, check: Callable[[], Awaitable[bool]], timeout_s: float = PATIENCE_S) -> None:
        """Wait until `check` holds; fails at once, with the log, when the process ends before."""

        async def running() -> bool:
            assert self.exit_code is None, f"{self.name} has ended with {self.exit_code}:\n{self.tail()}"
            return await check()

        await eventually(running, f"{self.name} to be ready", timeout_s=timeout_s, every_s=0.03)

    def tail(self) -> str:
        """The end of what it has written."""
        return self.log.read_text("utf-8", "replace")[-LOG_SHOWN:] if self.log.exists() else ""

    def stop(self) -> None:
        """End it politely, then by force; harmless when it does not run."""
        if self._running is None or self._running.poll() is not None:
            return
        self.terminate()
        try:
            self._running.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()


async def eventually(
    look: Callable[[], T | Awaitable[T]], what: str, *, timeout_s: float = PATIENCE_S, every_s: float = 0.1
) -> T:
    """The first result of `look` that counts as true; fails after `timeout_s`, saying `what` was waited for."""
    until = time.monotonic() + timeout_s
    while True:
        found = look()
        if isinstance(found, Awaitable):
            found = await found
        if found:
            return found
        assert time.monotonic() < until, f"waited {timeout_s:g} s for {what}; last seen: {found!r}"
        await asyncio.sleep(every_s)
