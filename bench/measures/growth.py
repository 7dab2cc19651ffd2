"""Cost per alert in the core as the number of active alerts grows: parse and judge, no HTTP and no disk."""

from __future__ import annotations

import gc
import random
import time

from bench.journals import RULES, received
from bench.measures.ingest import BODY
from bench.session import Session
from engine.core import Core
from schemas.records import Configured
from sources import PARSERS

SENT = 16_000
"""Alerts measured at each size."""


def run(session: Session) -> None:
    """The sizes take turns; flat is when the dearest size costs about what the cheapest does."""
    for _ in range(session.options.runs):
        again, fresh = [], []
        for active in session.options.active:
            resent_us, new_us = _measure(session, active)
            again.append(resent_us)
            fresh.append(new_us)
            session.sample("growth", f"re-sent, {active:,} active", "tocsin", cpu_us_per_alert=resent_us)
            session.sample("growth", f"new, {active:,} active", "tocsin", cpu_us_per_alert=new_us)
        session.sample("growth", "re-sent", "tocsin", most_by_least=max(again) / min(again))
        session.sample("growth", "new", "tocsin", most_by_least=max(fresh) / min(fresh))


def _measure(session: Session, active: int) -> tuple[float, float]:
    """CPU µs per re-sent and per new alert with `active` alerts firing, one incident for every 50 of them."""
    fleet = session.fleet(services=max(4, active // 50))
    core, at_ms = Core(PARSERS), 1000 * fleet.base_s
    core.handle(Configured(at_ms, "system", RULES.canonical()))
    for body in fleet.bodies(0, active, BODY):
        core.handle(received(body, at_ms))
    starts = [BODY * number for number in range(active // BODY)]
    order = random.Random(fleet.seed)
    chosen = [order.choice(starts) for _ in range(SENT // BODY)]
    bodies = [fleet.body(start, BODY, round_=1) for start in chosen]
    resent_us = _cost(core, bodies, at_ms + 1)
    new_us = _cost(core, list(fleet.bodies(active, SENT // 4, BODY)), at_ms + 2)
    return resent_us, new_us


def _cost(core: Core, bodies: list[bytes], at_ms: int) -> float:
    records = [received(body, at_ms) for body in bodies]
    gc.collect()
    cpu = time.process_time()
    for record in records:
        core.handle(record)
    return 1e6 * (time.process_time() - cpu) / (BODY * len(records))
