"""Live pages: one reader of the engine's events wakes every open page (Server-Sent Events).

A page is told only *that* something changed, and fetches its own fragment; so a subscriber that is slow needs no
queue of messages, only the set of incidents it has not heard of, and that set is bounded.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

from schemas.ports import Runtime

HEARTBEAT_S = 15.0
"""Proxies commonly cut a connection that is silent for 60 s or, in some chat clients, 30 s."""
GATHER_S = 0.4
"""Changes are gathered for so long before a page hears of them: at most two or three refreshes a second."""
PENDING_MAX = 500
"""Beyond so many unheard incidents a page is told to reload instead."""
SUBSCRIBERS_MAX = 2_000


class _Subscriber:
    def __init__(self, incident: str | None) -> None:
        self.incident, self.pending, self.overflowed = incident, set[str](), False
        self.woken = asyncio.Event()

    def tell(self, changed: set[str]) -> None:
        heard = changed if self.incident is None else changed & {self.incident}
        if heard and not self.overflowed:
            self.pending |= heard
            if len(self.pending) > PENDING_MAX:
                self.overflowed = True
                self.pending.clear()
        if heard:
            self.woken.set()

    def take(self) -> bytes:
        self.woken.clear()
        name = b"incident" if self.incident else b"incidents"
        message = b"event: reload\ndata: -\n\n"
        if not self.overflowed:
            message = b"event: %b\ndata: %b\n\n" % (name, " ".join(sorted(self.pending)).encode())
        self.overflowed = False
        self.pending.clear()
        return message


class Live:
    """The fan-out. `run` is its one task; `stream` is one page's connection; `close` ends all of them."""

    def __init__(self, runtime: Runtime, *, heartbeat_s: float = HEARTBEAT_S, gather_s: float = GATHER_S) -> None:
        self._runtime, self._heartbeat_s, self._gather_s = runtime, heartbeat_s, gather_s
        self._subscribers: set[_Subscriber] = set()
        self._closed = False

    @property
    def subscribers(self) -> int:
        """How many pages listen at the moment."""
        return len(self._subscribers)

    async def run(self) -> None:
        """Read the engine's events until they end, then close every stream."""
        try:
            async for batch in self._runtime.events():
                subjects = (logged.event.subject for logged in batch)
                changed = {subject.removeprefix("incident/") for subject in subjects if subject.startswith("incident/")}
                self.tell(changed)
        finally:
            self.close()

    def tell(self, changed: set[str]) -> None:
        """Wake the pages that show one of these incidents."""
        for subscriber in self._subscribers if changed else ():
            subscriber.tell(changed)

    def close(self) -> None:
        """End every stream now; pages reconnect by themselves when the server is back."""
        self._closed = True
        for subscriber in self._subscribers:
            subscriber.woken.set()

    async def stream(self, incident: str | None, still_allowed: Callable[[], Awaitable[bool]]) -> AsyncGenerator[bytes]:
        """The bytes of one event stream about all incidents, or one; ends when `still_allowed` says no."""
        subscriber = _Subscriber(incident)
        if self._closed or len(self._subscribers) >= SUBSCRIBERS_MAX:
            return
        self._subscribers.add(subscriber)
        try:
            yield b"retry: 3000\nevent: hello\ndata: -\n\n"
            while not self._closed:
                try:
                    await asyncio.wait_for(subscriber.woken.wait(), self._heartbeat_s)
                except TimeoutError:
                    if not await still_allowed():
                        return
                    yield b": still here\n\n"
                    continue
                await asyncio.sleep(self._gather_s)
                if not self._closed:
                    yield subscriber.take()
        finally:
            self._subscribers.discard(subscriber)
