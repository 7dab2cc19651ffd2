"""The outbox: each attempt at most once, its answer reported until it is on record, channels apart from each other."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest

from notifiers.outbox import Outbox
from notifiers.ratelimit import Rate
from schemas.deliveries import PendingDelivery, Receipt
from schemas.errors import DeliveryError, Overloaded, StoreUnavailable
from schemas.events import Notice
from schemas.ports import Runtime

NOTICE = Notice("opened", "INC-1", "t", "P1", "critical", "triggered", "s", 0, 0, 1)


class Engine:
    """The outbox's side of the Runtime port, in memory: hands out attempts, records what it is told.

    `trouble` is raised by the next calls, one each; `unwanted` deliveries are no longer to be sent.
    """

    def __init__(self, *pending: PendingDelivery) -> None:
        self.pending = pending
        self.calls: list[tuple[Any, ...]] = []
        self.reports: dict[str, dict[str, Any]] = {}
        self.trouble: dict[str, deque[Exception]] = {"attempting": deque(), "delivered": deque()}
        self.unwanted: set[str] = set()

    async def pending_deliveries(self) -> AsyncIterator[PendingDelivery]:
        for one in self.pending:
            yield one

    async def attempting(self, delivery: str, attempt: int) -> bool:
        self.calls.append(("attempting", delivery, attempt))
        if self.trouble["attempting"]:
            raise self.trouble["attempting"].popleft()
        return delivery not in self.unwanted

    async def delivered(self, delivery: str, attempt: int, outcome: str, **told: Any) -> None:
        self.calls.append(("delivered", delivery, attempt, outcome))
        if self.trouble["delivered"]:
            raise self.trouble["delivered"].popleft()
        self.reports[delivery] = {"outcome": outcome, **told}


class Channel:
    """A channel in memory: `answer` is called at each delivery and may return, raise or take its time."""

    def __init__(self, answer: Callable[[], Any] = lambda: Receipt("0", "m1"), rate: Rate | None = None) -> None:
        self.answer, self.rate = answer, rate
        self.sent: list[str] = []

    def render(self, notice: Notice) -> str:
        return notice.title

    async def deliver(self, payload: str, *, delivery: str) -> Receipt:
        self.sent.append(delivery)
        answer = self.answer()
        return cast("Receipt", await answer if asyncio.iscoroutine(answer) else answer)


class Naps:
    """A clock and the sleep that moves it, so that no test waits."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.taken: list[float] = []

    def clock(self) -> float:
        return self.now_s

    async def sleep(self, wait_s: float) -> None:
        self.taken.append(round(wait_s, 3))
        self.now_s += wait_s
        await asyncio.sleep(0)


def pending(delivery: str, channel: str = "a", *, started: bool = False) -> PendingDelivery:
    return PendingDelivery(delivery, channel, 1, NOTICE, started)


def refuse(**how: Any) -> Callable[[], Any]:
    """An answer that raises DeliveryError."""

    def answer() -> Any:
        raise DeliveryError("no", **how)

    return answer


async def run(engine: Engine, channels: dict[str, Channel], naps: Naps | None = None, **how: Any) -> None:
    """Run the outbox until the engine has nothing more pending and every lane is empty."""
    naps = naps or Naps()
    outbox = Outbox(cast("Runtime", engine), cast("Any", channels), clock=naps.clock, sleep=naps.sleep, **how)
    async with asyncio.timeout(5):
        await outbox.run()


async def test_intent_then_sending_then_the_vendors_answer() -> None:
    """The attempt is on record before it is made, and the receipt after it, word for word."""
    engine, channel = Engine(pending("d1")), Channel()
    await run(engine, {"a": channel})
    assert engine.calls == [("attempting", "d1", 1), ("delivered", "d1", 1, "ok")]
    assert channel.sent == ["d1"]
    assert engine.reports["d1"] | {"vendor_code": "0", "vendor_message_id": "m1"} == engine.reports["d1"]


async def test_a_crash_between_sending_and_recording_does_not_page_twice() -> None:
    """What had already been handed over before a crash is reported unknown, and not sent again."""
    engine, channel = Engine(pending("d1", started=True)), Channel()
    await run(engine, {"a": channel})
    assert channel.sent == []
    assert engine.calls == [("delivered", "d1", 1, "unknown")]
    assert "may have arrived" in engine.reports["d1"]["reason"]


async def test_what_is_no_longer_wanted_is_not_sent() -> None:
    """An acknowledgement that came first stops the message, without a report."""
    engine, channel = Engine(pending("d1")), Channel()
    engine.unwanted.add("d1")
    await run(engine, {"a": channel})
    assert channel.sent == []
    assert engine.reports == {}


@pytest.mark.parametrize(
    ("answer", "outcome", "retry_after_s"),
    [
        (refuse(retry_after_s=600, vendor_code="130101"), "retry", 600),
        (refuse(), "retry", None),
        (refuse(permanent=True), "failed", None),
        (refuse(maybe_sent=True), "unknown", None),
        (refuse(maybe_sent=True, permanent=True), "unknown", None),
        (lambda: 1 / 0, "failed", None),
    ],
)
async def test_each_trouble_has_its_word(answer: Callable[[], Any], outcome: str, retry_after_s: int | None) -> None:
    """The channel's error becomes one of the four outcomes, once, and the next delivery goes on."""
    engine, bad, good = Engine(pending("d1"), pending("d2", "b")), Channel(answer), Channel()
    await run(engine, {"a": bad, "b": good})
    assert bad.sent == ["d1"]
    assert engine.reports["d1"]["outcome"] == outcome
    assert engine.reports["d1"]["retry_after_s"] == retry_after_s
    assert engine.reports["d1"]["reason"]
    assert engine.reports["d2"]["outcome"] == "ok"


async def test_a_notice_that_cannot_be_rendered_fails_alone() -> None:
    """A bug in a template fails that delivery and no other on the same channel."""

    class Picky(Channel):
        def render(self, notice: Notice) -> str:
            return notice.title if notice.title == "t" else str(1 / 0)

    bad = PendingDelivery("d1", "a", 1, Notice("opened", "I", "x", "P1", "critical", "triggered", "s", 0, 0, 1))
    engine, channel = Engine(bad, pending("d2")), Picky()
    await run(engine, {"a": channel})
    assert [engine.reports[delivery]["outcome"] for delivery in ("d1", "d2")] == ["failed", "ok"]
    assert channel.sent == ["d2"]


async def test_an_unknown_channel_is_reported() -> None:
    """A channel that was taken out of the configuration fails, so that the core can go to the next one."""
    engine = Engine(pending("d1", "gone"))
    await run(engine, {})
    assert engine.reports["d1"]["outcome"] == "failed"
    assert "gone" in engine.reports["d1"]["reason"]


async def test_a_channel_that_hangs_is_given_up_as_unknown() -> None:
    """Past the last time limit nobody knows whether it arrived."""
    engine, channel = Engine(pending("d1")), Channel(lambda: asyncio.Event().wait())
    await run(engine, {"a": channel}, attempt_timeout_s=0.01)
    assert engine.reports["d1"]["outcome"] == "unknown"


async def test_a_report_that_is_refused_is_repeated_without_a_second_sending() -> None:
    """The store being away delays the report; the message is sent once."""
    engine, channel, naps = Engine(pending("d1")), Channel(), Naps()
    engine.trouble["delivered"].extend([StoreUnavailable("disk"), Overloaded(), StoreUnavailable("disk")])
    await run(engine, {"a": channel}, naps)
    assert channel.sent == ["d1"]
    assert [call[0] for call in engine.calls] == ["attempting"] + ["delivered"] * 4
    assert engine.reports["d1"]["outcome"] == "ok"
    assert naps.taken == [0.2, 0.5, 1.0]


async def test_nothing_is_sent_before_its_intent_is_on_record() -> None:
    """While the engine cannot record the intent, the message waits."""
    engine, channel, naps = Engine(pending("d1")), Channel(), Naps()
    engine.trouble["attempting"].extend([Overloaded(), StoreUnavailable("disk")])
    await run(engine, {"a": channel}, naps)
    assert [call[0] for call in engine.calls] == ["attempting"] * 3 + ["delivered"]
    assert channel.sent == ["d1"]


async def test_an_error_that_nobody_foresaw_does_not_stop_the_lane() -> None:
    """A bug on the engine's side costs one report; the channel goes on."""
    engine, channel = Engine(pending("d1"), pending("d2")), Channel()
    engine.trouble["delivered"].append(KeyError("bug"))
    await run(engine, {"a": channel})
    assert channel.sent == ["d1", "d2"]
    assert list(engine.reports) == ["d2"]


async def test_a_slow_channel_does_not_block_another() -> None:
    """While one channel hangs, all of another's messages go out, in order."""
    freed = asyncio.Event()

    async def wait() -> Receipt:
        await freed.wait()
        return Receipt()

    def last() -> Receipt:
        if len(quick.sent) == 3:
            freed.set()  # the slow one can only end after the quick one's last message
        return Receipt()

    slow, quick = Channel(wait), Channel(last)
    engine = Engine(pending("s1", "slow"), *(pending(f"q{number}", "quick") for number in range(3)))
    await run(engine, {"slow": slow, "quick": quick})
    assert quick.sent == ["q0", "q1", "q2"]
    assert list(engine.reports)[-1] == "s1"


async def test_one_at_a_time_and_in_order_on_a_channel() -> None:
    """A channel never has two messages under way, and the second never overtakes the first."""
    under_way = 0
    most = 0

    async def busy() -> Receipt:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        return Receipt()

    channel = Channel(busy)
    await run(Engine(*(pending(f"d{number}") for number in range(10))), {"a": channel})
    assert channel.sent == [f"d{number}" for number in range(10)]
    assert most == 1


async def test_the_vendors_pace_delays_and_drops_nothing() -> None:
    """Beyond the burst each message waits for its token, before its attempt is recorded as begun."""
    engine, naps = Engine(*(pending(f"d{number}") for number in range(5))), Naps()
    channel = Channel(rate=Rate(burst=2, per_minute=6))
    await run(engine, {"a": channel}, naps)
    assert naps.taken == [10.0, 10.0, 10.0]
    assert len(channel.sent) == len(engine.reports) == 5


async def test_cancelled_in_an_attempt_it_reports_nothing() -> None:
    """A stop in the middle leaves the attempt begun and unanswered: after the restart it counts as unknown."""
    engine, begun = Engine(pending("d1")), asyncio.Event()

    async def hang() -> Receipt:
        begun.set()
        await asyncio.Event().wait()
        return Receipt()

    task = asyncio.create_task(run(engine, {"a": Channel(hang)}))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert engine.calls == [("attempting", "d1", 1)]
