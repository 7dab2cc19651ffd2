"""Ports: what the outer rooms (web, notifiers, command line) may ask of a running engine, whichever runtime it is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from schemas.alerts import Alert, Rejected
from schemas.commands import Command
from schemas.deliveries import PendingDelivery
from schemas.events import Disposition, LoggedEvent
from schemas.live import LiveState

Parser = Callable[[bytes, int], Sequence[Alert | Rejected]]
"""`parse(body, at_ms)`: the alerts of a body that came at `at_ms`. Pure; raises InvalidPayload if none can be read."""


class Outcome(msgspec.Struct, frozen=True):
    """What became of one record, after it is on disk: its offset, its events, and its alerts by disposition.

    Where it is kept but not `decided` yet (in a cluster), `offset` is its place in the topic, there are no events, and
    `received` and `problems` say how many items its body has and what of it cannot be read.
    """

    partition: int
    offset: int
    events: Sequence[LoggedEvent]
    dispositions: Mapping[Disposition, int]
    decided: bool = True
    received: int = 0
    problems: Sequence[str] = ()


class Runtime(Protocol):
    """A running engine. Each method returns only after what it did is durable.

    All raise Overloaded (nothing accepted, retry later) and StoreUnavailable (nothing accepted).
    """

    def now_ms(self) -> int:
        """The engine's clock: UTC milliseconds since the epoch, never going back."""
        ...

    async def receive(self, source: str, format: str, body: bytes) -> Outcome:
        """Journal one authentic body from `source`, then judge its alerts with the parser named `format`."""
        ...

    async def command(self, command: Command, *, actor: str, command_id: str) -> Outcome:
        """Ask for something. Raises CommandRejected; no events means that it was already so."""
        ...

    async def change(self, source: str, body: bytes) -> Outcome:
        """Journal a release or another change event."""
        ...

    async def attempting(self, delivery: str, attempt: int) -> bool:
        """About to hand a delivery to its channel: True to go ahead, False when it is no longer wanted."""
        ...

    async def delivered(
        self,
        delivery: str,
        attempt: int,
        outcome: str,
        *,
        vendor_code: str = "",
        vendor_message_id: str = "",
        reason: str = "",
        retry_after_s: int | None = None,
    ) -> None:
        """A channel's answer; `outcome` as in `schemas.records.Delivered`."""
        ...

    def pending_deliveries(self) -> AsyncIterator[PendingDelivery]:
        """First what was pending at start, then each attempt as it falls due, for ever. One consumer."""
        ...

    def events(self) -> AsyncIterator[Sequence[LoggedEvent]]:
        """Batches of committed events from now on, for live pages. A slow reader loses batches, never blocks."""
        ...

    async def caught_up(self) -> None:
        """Wait until the read models show all that was committed before the call (at most two seconds)."""
        ...

    def dispositions(self) -> Mapping[str, Mapping[Disposition, int]]:
        """Alerts received since the beginning, by source and disposition, including what is not yet rolled up."""
        ...

    def live(self) -> LiveState:
        """The alerts and silences as they stand now, to read only."""
        ...
