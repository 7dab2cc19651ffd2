"""The outbox: takes each attempt that the core has ordered to its channel once, and reports what the channel said.

It decides nothing: whether and when to try again, or through which other channel, is the core's answer to the report.
Each channel has a lane of its own, in order, one message at a time; a slow channel delays only itself. A rate counts by
the robot, though several channels may share it. What a rate makes wait is told in one message, a digest, and each
delivery in it is answered by what became of that.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
import structlog

from notifiers.lanes import Lane
from notifiers.notifier import Digesting, Notifier, NotReached, Traceable, is_idempotent, robot_of
from notifiers.ratelimit import TokenBucket
from notifiers.redaction import redacted
from notifiers.rendering import one_line
from schemas.deliveries import PendingDelivery
from schemas.errors import DeliveryError, Overloaded, StoreUnavailable
from schemas.events import Notice
from schemas.links import Signer
from schemas.ports import Runtime

CONCURRENT = 32
"""Messages under way at once, over all channels."""
ATTEMPT_TIMEOUT_S = 150.0
"""Longer than any channel's own `timeout_s` (at most 120): the last resort against a channel that hangs."""
DIGEST_MOST = 200
"""Messages that go together at most where a vendor's rate makes them wait."""
STORE_WAIT_S = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Waits while the engine takes no report; the last one repeats."""

T = TypeVar("T")
log = structlog.get_logger(__name__)


class Report(msgspec.Struct, frozen=True):
    """What became of one attempt, in the words of `schemas.records.Delivered`."""

    outcome: str
    vendor_code: str = ""
    vendor_message_id: str = ""
    reason: str = ""
    retry_after_s: int | None = None


class Outbox:
    """Carries pending deliveries to their channels until it is cancelled."""

    def __init__(
        self,
        runtime: Runtime,
        notifiers: Mapping[str, Notifier[Any]],
        *,
        attempt_timeout_s: float = ATTEMPT_TIMEOUT_S,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        signer: Signer | None = None,
    ) -> None:
        """`clock` (seconds) and `sleep` pace the lanes; tests bring their own. `signer` puts links into pages."""
        self._signer = signer
        self._runtime, self._notifiers = runtime, notifiers
        self._timeout_s, self._clock, self._sleep = attempt_timeout_s, clock, sleep
        self._slots = asyncio.Semaphore(CONCURRENT)
        self._buckets: dict[str, TokenBucket] = {}
        self._stopping = False

    def stop(self) -> None:
        """Begin no more attempts; those under way are finished and reported. What waits keeps for the next start."""
        self._stopping = True

    def use(self, notifiers: Mapping[str, Notifier[Any]]) -> Mapping[str, Notifier[Any]]:
        """Deliver through these channels from the next attempt on; returns those of before."""
        before, self._notifiers = self._notifiers, notifiers
        return before

    async def run(self) -> None:
        """Deliver whatever falls due, for ever. What waits, waits in the lanes; a crash loses none of it.

        Cancelled in the middle of an attempt, it leaves that attempt unreported: after a restart it counts as unknown.
        Raises an ExceptionGroup with whatever ended the engine's stream of pending deliveries.
        """
        lanes: dict[str, Lane] = {}
        async with asyncio.TaskGroup() as group:
            async for pending in self._runtime.pending_deliveries():
                place = f"{pending.channel}@{pending.notice.person}" if pending.notice.person else pending.channel
                if place not in lanes:
                    lanes[place] = Lane()
                    group.create_task(self._lane(lanes[place]), name=f"outbox {place}")
                lanes[place].put(pending)
            for lane in lanes.values():  # an engine that is shutting down: finish what was taken
                lane.close()

    async def _lane(self, lane: Lane) -> None:
        while (pending := await lane.get()) is not None and not self._stopping:
            try:
                await self._carry(pending, lane)
            except Exception as bug:  # noqa: BLE001 - one bad delivery must not stop the channel
                log.error("outbox_failed", delivery=pending.delivery, channel=pending.channel, **_told(bug))

    async def _carry(self, pending: PendingDelivery, lane: Lane) -> None:
        """One pending delivery from the lane to its report; under load, what waits behind it goes along."""
        notifier = self._notifier(pending)
        if notifier is None:
            missing = f"no address of {pending.notice.person} for it, or " if pending.notice.person else ""
            reason = f"{missing}no channel named {pending.channel!r} is configured"
            await self._report(pending, Report("failed", reason=reason))
        elif pending.started and not is_idempotent(notifier):
            reason = "Tocsin stopped between sending and recording the answer: it may have arrived"
            await self._report(pending, await self._traced(pending, notifier, Report("unknown", reason=reason)))
        else:
            late = await self._keep_pace(pending.channel, notifier)
            together = [pending]
            if late and isinstance(notifier, Digesting) and not pending.started:
                together += lane.together(DIGEST_MOST - 1)
            async with self._slots:
                wanted = await self._wanted(together)
                if not wanted:
                    return
                report = await self._attempt(wanted, notifier)
            report = await self._traced(wanted[0], notifier, report)
            await asyncio.gather(*(self._report(one, report) for one in wanted))

    def _notifier(self, pending: PendingDelivery) -> Notifier[Any] | None:
        """The channel; where one person is to be reached, as it reaches that one."""
        if not pending.notice.person:
            return self._notifiers.get(pending.channel)
        own = self._notifiers.get(f"{pending.channel}@{pending.notice.person}")
        return own or self._notifiers.get(f"{pending.channel}@")

    async def _wanted(self, together: Sequence[PendingDelivery]) -> list[PendingDelivery]:
        """Those that the engine still wants sent, now begun on its record; what was begun before a crash stays so."""
        if self._stopping:
            return []
        asked = await asyncio.gather(*(self._begin(one) for one in together))
        return [one for one, wanted in zip(together, asked, strict=True) if wanted]

    async def _begin(self, pending: PendingDelivery) -> bool:
        if pending.started:
            return True
        return await self._persist(lambda: self._runtime.attempting(pending.delivery, pending.attempt))

    async def _keep_pace(self, channel: str, notifier: Notifier[Any]) -> bool:
        """Wait as long as the vendor's rate demands, before the attempt counts as begun; True if it had to wait."""
        if notifier.rate is None:
            return False
        now_s, robot = self._clock(), robot_of(notifier, channel)
        bucket = self._buckets.get(robot) or TokenBucket.full(notifier.rate, at_s=now_s)
        self._buckets[robot], wait_s = bucket.take(now_s)
        if wait_s > 0:
            log.info("delivery_paced", channel=channel, wait_s=round(wait_s, 1))
            await self._sleep(wait_s)
        return wait_s > 0

    async def _attempt(self, together: Sequence[PendingDelivery], notifier: Notifier[Any]) -> Report:
        """Render and hand over, once. Never raises but when cancelled."""
        first = together[0]
        unknown = "retry" if is_idempotent(notifier) else "unknown"
        try:
            notices = [self._notice(one) for one in together]
            several = isinstance(notifier, Digesting) and len(notices) > 1
            payload = notifier.digest(notices) if several else notifier.render(notices[0])  # type: ignore[attr-defined]
            async with asyncio.timeout(self._timeout_s):
                receipt = await notifier.deliver(payload, delivery=first.delivery)
        except DeliveryError as trouble:
            outcome = unknown if trouble.maybe_sent else "failed" if trouble.permanent else "retry"
            reason = redacted(trouble.reason)
            return Report(outcome, trouble.vendor_code, reason=reason, retry_after_s=trouble.retry_after_s)
        except TimeoutError:
            return Report(unknown, reason=f"the channel did not come back within {self._timeout_s:g} s")
        except Exception as bug:  # noqa: BLE001 - recorded as this delivery's failure; the others go on
            log.error("notifier_failed", delivery=first.delivery, channel=first.channel, **_told(bug))
            return Report("failed", reason=f"internal error in the channel: {type(bug).__name__}")
        return Report("ok", receipt.vendor_code, receipt.vendor_message_id)

    def _notice(self, pending: PendingDelivery) -> Notice:
        """What is told; to a person with a link that acknowledges, where there is a key for such."""
        return pending.notice if self._signer is None else self._signer.signed(pending.notice, pending.delivery)

    async def _traced(self, pending: PendingDelivery, notifier: Notifier[Any], report: Report) -> Report:
        """Of what may have arrived: the vendor's own word, where it can be asked for one; else as it was."""
        if report.outcome != "unknown" or not isinstance(notifier, Traceable):
            return report
        try:
            async with asyncio.timeout(self._timeout_s):
                receipt = await notifier.trace(pending.delivery)
        except NotReached as lost:
            return Report("failed", lost.vendor_code, reason=redacted(lost.reason))
        except (DeliveryError, TimeoutError) as silent:
            log.warning("no_receipt", delivery=pending.delivery, channel=pending.channel, problem=type(silent).__name__)
            return report
        return Report("ok", receipt.vendor_code, receipt.vendor_message_id) if receipt else report

    async def _report(self, pending: PendingDelivery, report: Report) -> None:
        log.info(
            "delivery_attempted",
            delivery=pending.delivery,
            channel=pending.channel,
            attempt=pending.attempt,
            outcome=report.outcome,
            vendor_code=redacted(report.vendor_code),
            reason=report.reason,
        )
        await self._persist(
            lambda: self._runtime.delivered(
                pending.delivery,
                pending.attempt,
                report.outcome,
                vendor_code=report.vendor_code,
                vendor_message_id=report.vendor_message_id,
                reason=report.reason,
                retry_after_s=report.retry_after_s,
            )
        )

    async def _persist(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask the engine until it takes it. Only the asking is repeated, never a sending."""
        refused = 0
        while True:
            try:
                return await ask()
            except (StoreUnavailable, Overloaded) as busy:
                wait_s = STORE_WAIT_S[min(refused, len(STORE_WAIT_S) - 1)]
                refused += 1
                log.warning("engine_busy", problem=type(busy).__name__, wait_s=wait_s)
                await self._sleep(wait_s)


def _told(bug: Exception) -> dict[str, str]:
    """An exception for the log: its words without secrets, and its place. A full traceback could show payloads."""
    frame = bug.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame else ""
    return {"error": one_line(redacted(f"{type(bug).__name__}: {bug}")), "place": place}
