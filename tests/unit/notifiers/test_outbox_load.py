"""The outbox under load and after a crash: digests, robots that channels share, and asking what became of a message."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

import pytest
from pydantic import SecretStr

from notifiers.notifier import NotReached
from notifiers.outbox import DIGEST_MOST, Outbox
from notifiers.ratelimit import Rate
from notifiers.registry import build
from schemas.channels import DingTalkChannel
from schemas.deliveries import PendingDelivery, Receipt
from schemas.errors import DeliveryError
from schemas.events import Notice
from tests.channel_rigs import notice
from tests.peers.dingtalk import DingTalkPeer


class Engine:
    """The outbox's side of the Runtime port, in memory."""

    def __init__(self, *pending: PendingDelivery, unwanted: Sequence[str] = ()) -> None:
        self.pending, self.unwanted = pending, unwanted
        self.reports: dict[str, tuple[str, str]] = {}

    async def pending_deliveries(self) -> AsyncIterator[PendingDelivery]:
        for one in self.pending:
            yield one

    async def attempting(self, delivery: str, attempt: int) -> bool:
        return delivery not in self.unwanted

    async def delivered(self, delivery: str, attempt: int, outcome: str, **told: Any) -> None:
        assert delivery not in self.reports
        self.reports[delivery] = (outcome, told["reason"] or told["vendor_code"])


class Robot:
    """A channel that can tell of several notices at once, with a rate."""

    def __init__(self, robot: str = "r", answer: Exception | None = None) -> None:
        self.rate, self.robot, self.answer = Rate(burst=1, per_minute=60), robot, answer
        self.sent: list[list[str]] = []

    def render(self, notice: Notice) -> list[str]:
        return [notice.incident]

    def digest(self, notices: Sequence[Notice]) -> list[str]:
        return [notice.incident for notice in notices]

    async def deliver(self, payload: list[str], *, delivery: str) -> Receipt:
        self.sent.append(payload)
        if self.answer is not None:
            raise self.answer
        return Receipt("0")


class Traced(Robot):
    """One whose vendor can be asked; `known` is what it says, by delivery."""

    def __init__(self, known: Receipt | Exception | None) -> None:
        super().__init__(answer=DeliveryError("no answer", maybe_sent=True))
        self.known = known

    async def trace(self, delivery: str) -> Receipt | None:
        if isinstance(self.known, Exception):
            raise self.known
        return self.known


class Clock:
    """A clock and the sleep that moves it."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    async def sleep(self, wait_s: float) -> None:
        self.now_s += wait_s
        await asyncio.sleep(0)


def pages(count: int, channel: str = "a", *, started: bool = False) -> list[PendingDelivery]:
    return [
        PendingDelivery(f"{channel}{n}", channel, 1, notice(incident=f"INC-{n}"), started=started) for n in range(count)
    ]


async def run(engine: Engine, channels: dict[str, Any], clock: Clock | None = None) -> Clock:
    clock = clock or Clock()
    outbox = Outbox(cast("Any", engine), channels, clock=clock, sleep=clock.sleep)
    async with asyncio.timeout(60):
        await outbox.run()
    return clock


async def test_what_a_rate_makes_wait_goes_together() -> None:
    """The first page goes alone and at once; those behind it are one message, and each is answered by it."""
    engine, robot = Engine(*pages(6), unwanted=["a3"]), Robot()
    clock = await run(engine, {"a": robot})
    assert robot.sent == [["INC-0"], ["INC-1", "INC-2", "INC-4", "INC-5"]]
    assert engine.reports == dict.fromkeys(["a0", "a1", "a2", "a4", "a5"], ("ok", "0"))
    assert clock.now_s == 1.0


async def test_a_digest_that_is_refused_is_every_pages_failure() -> None:
    """Each of them then goes its own way in the core: another attempt, another channel."""
    engine, robot = Engine(*pages(3)), Robot(answer=DeliveryError("throttled", vendor_code="130101"))
    await run(engine, {"a": robot})
    assert engine.reports == dict.fromkeys(["a0", "a1", "a2"], ("retry", "throttled"))


async def test_channels_that_share_a_robot_share_its_rate() -> None:
    """The vendor counts by the robot: two channels with one robot wait for each other, others do not."""
    shared, other = Clock(), Clock()
    robots = {"a": Robot("same"), "b": Robot("same")}
    await run(Engine(*pages(1, "a"), *pages(1, "b")), robots, shared)
    await run(Engine(*pages(1, "a"), *pages(1, "b")), {"a": Robot("one"), "b": Robot("another")}, other)
    assert (shared.now_s, other.now_s) == (1.0, 0.0)


async def test_ten_thousand_pages_keep_the_robots_limit_and_block_nobody() -> None:
    """R1.3: a peer that counts 20 a minute refuses none of them, every page is told, another channel does not wait."""
    clock = Clock()
    async with DingTalkPeer(token="tok", per_minute=20) as peer:
        peer.clock = clock
        settings = DingTalkChannel(token=SecretStr("tok"), base_url=peer.url, timeout_s=60)
        ding, other = build("ding", settings), Robot()
        engine = Engine(*pages(10_000, "ding"), *pages(1, "other"))
        await run(engine, {"ding": ding, "other": other}, clock)
        await cast("Any", ding).close()
    assert set(engine.reports.values()) == {("ok", "0")}
    assert len(engine.reports) == 10_001
    assert other.sent == [["INC-0"]]
    assert len(peer.messages) <= 4 + 10_000 / DIGEST_MOST + 1
    assert clock.now_s < 240


@pytest.mark.parametrize("started", [True, False])
@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (Receipt("OK", "B1"), ("ok", "OK")),
        (None, ("unknown", "")),
        (NotReached("nobody", permanent=True), ("failed", "nobody")),
        (DeliveryError("vendor away"), ("unknown", "")),
    ],
)
async def test_the_vendor_is_asked_what_became_of_a_message(
    known: Receipt | Exception | None, expected: tuple[str, str], started: bool
) -> None:
    """After a crash, or no answer: the vendor's own word where it has one, else still "it may have arrived"."""
    engine, channel = Engine(*pages(1, started=started)), Traced(known)
    await run(engine, {"a": channel})
    outcome, words = engine.reports["a0"]
    assert outcome == expected[0]
    assert not expected[1] or words == expected[1]
    assert channel.sent == ([] if started else [["INC-0"]])


@pytest.mark.parametrize("started", [True, False])
async def test_where_a_second_copy_does_no_harm_it_is_sent_again(started: bool) -> None:
    """An idempotent channel: after a crash it sends, and no answer means another attempt."""
    engine, channel = Engine(*pages(1, started=started)), Robot(answer=DeliveryError("cut", maybe_sent=True))
    cast("Any", channel).idempotent = True
    await run(engine, {"a": channel})
    assert channel.sent == [["INC-0"]]
    assert engine.reports == {"a0": ("retry", "cut")}
