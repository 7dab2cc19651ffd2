"""Channels that are slow, fail, and lie; and the peer behind each, which knows what really arrived."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import msgspec

from notifiers.ratelimit import Rate
from schemas.deliveries import Receipt
from schemas.errors import DeliveryError
from schemas.events import Notice
from tests.simulation.process import Process
from tests.simulation.world import World

MOODS: dict[str, tuple[tuple[str, float], ...]] = {
    "well": (("ok", 1.0),),
    "usual": (
        ("ok", 12.0), ("slow", 1.0), ("error", 2.0), ("throttled", 1.0), ("timeout_after_accept", 1.0),
        ("timeout_unseen", 0.5), ("accept_twice", 0.5), ("lying_error", 0.5), ("lying_ok", 0.5), ("refused", 0.5),
        ("bug", 0.3), ("hangs", 0.3), ("crash", 0.4),
    ),
    "down": (("error", 3.0), ("throttled", 1.0), ("refused", 1.0)),
}  # fmt: skip
"""How often a channel in that mood behaves in which way."""


class Peer(msgspec.Struct):
    """The vendor's side: what arrived there, by delivery; and in which deliveries the vendor lied."""

    arrived: Counter[str] = msgspec.field(default_factory=Counter)
    doubled: Counter[str] = msgspec.field(default_factory=Counter)
    lied: set[str] = msgspec.field(default_factory=set)


class Channel:
    """One channel as one process sees it."""

    def __init__(self, world: World, process: Process, name: str, hands: Hands) -> None:
        self._world, self._process, self._name, self._hands = world, process, name, hands
        self.rate = Rate(burst=3, per_minute=6) if name == "chat" else None

    def render(self, notice: Notice) -> str:
        """What a person reads."""
        return f"{notice.kind} {notice.incident} {notice.title}"

    async def deliver(self, payload: str, *, delivery: str) -> Receipt:
        """Hand over once, in today's mood."""
        world, hands = self._world, self._hands
        hands.taken(self._name, delivery)
        mood = "well" if world.calm else hands.moods.get(self._name, "usual")
        ways, weights = zip(*MOODS[mood], strict=True)
        way = world.dice.choices(ways, weights)[0]
        world.say(f"channel {self._name}: {delivery} {way}: {payload[:60]}")
        world.saw(f"channel: {way}")
        await asyncio.sleep(world.about(90) if way == "slow" else world.about(0.5))
        return await self._answer(way, delivery)

    async def _answer(self, way: str, delivery: str) -> Receipt:
        peer = self._hands.peer
        if way in ("ok", "slow", "accept_twice", "lying_error", "timeout_after_accept"):
            peer.arrived[delivery] += 1
        match way:
            case "ok" | "slow" | "lying_ok":
                return Receipt("0", f"m-{delivery}")
            case "accept_twice":
                peer.doubled[delivery] += 1
                return Receipt("0", "twice")
            case "lying_error":
                peer.lied.add(delivery)
                raise DeliveryError("500 although it was taken", vendor_code="500")
            case "error":
                raise DeliveryError("connection refused", vendor_code="")
            case "throttled":
                raise DeliveryError("too many", vendor_code="429", retry_after_s=self._world.dice.choice((1, 60)))
            case "refused":
                raise DeliveryError("no such robot", vendor_code="300001", permanent=True)
            case "timeout_after_accept" | "timeout_unseen":
                raise DeliveryError("no answer within 10 s", maybe_sent=True)
            case "bug":
                raise ZeroDivisionError("in the channel's own code")
        return await self._never(way, delivery)

    async def _never(self, way: str, delivery: str) -> Receipt:
        """No answer: the channel hangs, or Tocsin dies while the message is on its way."""
        if self._world.chance(0.5):
            self._hands.peer.arrived[delivery] += 1
        if way == "crash":
            self._world.saw("crash: between a delivery's start and its record")
            self._hands.crash(f"while {delivery} is handed over")
        await asyncio.sleep(100_000)
        raise AssertionError("nobody waits so long")


class Hands:
    """What all lives of Tocsin share with the channels."""

    def __init__(self, taken: Callable[[str, str], None], crash: Callable[[str], None]) -> None:
        """`taken` is told of each message in the moment in which a channel gets it."""
        self.taken, self.crash = taken, crash
        self.peer = Peer()
        self.moods: dict[str, str] = {}
