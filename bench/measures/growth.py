"""Cost per alert in the core as active alerts and open incidents grow: parse and judge, no HTTP and no disk.

In two shapes: 50 alerts to an incident, where alerts are what grows; and an incident for every alert. Each measurement
has a process of its own, so that no other size's memory is walked through; delivered pages, as with working channels.
"""

from __future__ import annotations

import gc
import os
import random
import statistics
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import msgspec

from bench.journals import RULES, received
from bench.measures.ingest import BODY
from bench.meters import memory_mb
from bench.report import SHAPES
from bench.session import Session
from bench.workload import Fleet
from engine.core import Core
from schemas.events import DeliveryDue
from schemas.records import Attempting, Configured, Delivered, Record
from sources import PARSERS

SENT = 16_000
"""Alerts re-sent at each size; a quarter as many new ones."""
SHAPES_OF = dict(zip(SHAPES, (50, 1), strict=True))
"""Alerts of an incident, by shape."""
ONCE_FROM = 500_000
"""Sizes that are built once only: they take a minute and gigabytes."""


class Cost(msgspec.Struct):
    """What an alert costs in CPU µs, and what the process holds."""

    resent_us: float
    new_us: float
    rss_mb: float


def run(session: Session) -> None:
    """The sizes take turns; flat is when the dearest size costs about what the cheapest does."""
    costs: dict[tuple[str, int], list[Cost]] = {}
    for turn in range(min(session.options.growth_runs, session.options.runs)):
        for shape, per_service in SHAPES_OF.items():
            for active in session.options.active:
                if turn and active >= ONCE_FROM:
                    continue
                taken = _apart(session.fleet(services=max(4, active)), active, per_service)
                costs.setdefault((shape, active), []).append(taken)
                case = f"{active:,} {shape}"
                session.sample("growth", f"re-sent, {case}", "tocsin", cpu_us_per_alert=taken.resent_us)
                session.sample("growth", f"new, {case}", "tocsin", cpu_us_per_alert=taken.new_us, rss_mb=taken.rss_mb)
    for shape in SHAPES:
        mine = [each for (name, _), each in costs.items() if name == shape]
        again = [statistics.median(cost.resent_us for cost in each) for each in mine]
        fresh = [statistics.median(cost.new_us for cost in each) for each in mine]
        session.sample("growth", f"re-sent, {shape}", "tocsin", most_by_least=max(again) / min(again))
        session.sample("growth", f"new, {shape}", "tocsin", most_by_least=max(fresh) / min(fresh))


def _apart(fleet: Fleet, active: int, per_service: int) -> Cost:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
        return alone.submit(cost, fleet, active, per_service).result()


def cost(fleet: Fleet, active: int, per_service: int) -> Cost:
    """CPU µs per re-sent and per new alert with `active` alerts firing, `per_service` of them an incident."""
    fleet = msgspec.structs.replace(fleet, per_service=per_service)
    core, at_ms = Core(PARSERS), 1000 * fleet.base_s
    core.handle(Configured(at_ms, "system", RULES.canonical()))
    gc.disable()  # only while nothing is measured: collecting in between costs a third of the time
    for body in fleet.bodies(0, active, BODY):
        _take(core, received(body, at_ms))
    gc.enable()
    gc.collect()
    rss_mb, _ = memory_mb(os.getpid())
    order = random.Random(fleet.seed)
    chosen = [BODY * order.randrange(max(1, active // BODY)) for _ in range(SENT // BODY)]
    resent = [received(fleet.body(start, BODY, round_=1), at_ms + 1) for start in chosen]
    # Of services that had no alert before, so that new alerts make new incidents at every size.
    later = msgspec.structs.replace(fleet, services=2 * fleet.services + SENT)
    new = [received(body, at_ms + 2) for body in later.bodies(_unused(active, per_service), SENT // 4, BODY)]
    return Cost(_cost(core, resent), _cost(core, new), rss_mb)


def _unused(active: int, per_service: int) -> int:
    """A number of an alert behind all that are active, at the beginning of a service and of a body."""
    step = per_service * BODY
    return (active // step + 1) * step


def _take(core: Core, record: Record) -> None:
    for event in core.handle(record).events:
        if isinstance(due := event.data, DeliveryDue):
            core.handle(Attempting(record.at_ms, due.delivery, due.attempt))
            core.handle(Delivered(record.at_ms, due.delivery, due.attempt, "ok"))


def _cost(core: Core, records: Iterable[Record]) -> float:
    gc.collect()
    sent, cpu = 0, time.process_time()
    for record in records:
        _take(core, record)
        sent += BODY
    return 1e6 * (time.process_time() - cpu) / sent
