"""Keeps shadow rules up with the journal, in a thread, a bounded number of records at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from engine.config import read_rules
from engine.plain_words import text_of
from engine.store import Store
from engine.whatif import CannotJudge, Shadow
from schemas.errors import CommandRejected, StoreUnavailable
from schemas.ports import Parser
from schemas.whatif import WhatIf

EVERY_S = 5.0

log = structlog.get_logger(__name__)


class Shadowing:
    """The shadow of the rules in `file`, if there is one."""

    def __init__(self, file: Path | None, store: Store, parsers: Mapping[str, Parser]) -> None:
        """Raises ConfigError for rules that cannot be read."""
        rules = read_rules(text_of(file), str(file), file.parent) if file else None
        self._shadow = Shadow(store, parsers, rules) if rules else None

    def report(self) -> WhatIf | None:
        """What they would have made of what came since they began; None where there are none."""
        return self._shadow.report if self._shadow else None

    async def run(self, registry: CollectorRegistry) -> None:
        """Follow the journal for ever, measured in `registry`; ends where the rules cannot be judged."""
        if self._shadow is not None:
            ShadowMetrics(self._shadow, registry)
            await _follow(self._shadow)


async def _follow(shadow: Shadow) -> None:
    while True:
        try:
            await asyncio.to_thread(shadow.follow)
        except StoreUnavailable as gone:
            log.warning("shadow_waits", problem=str(gone))
        except (CommandRejected, CannotJudge) as wrong:
            log.error("shadow_ended", problem=str(wrong))
            return
        await asyncio.sleep(EVERY_S)


class ShadowMetrics:
    """What shadow rules would have made of what came, beside what was made of it, for Prometheus."""

    def __init__(self, shadow: Shadow, registry: CollectorRegistry) -> None:
        self._shadow = shadow
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Incidents and pages by rules, confirmed incidents harmed, and how far it is behind."""
        compared = GaugeMetricFamily("tocsin_shadow", "Since the shadow rules began.", labels=("rules", "what"))
        report = self._shadow.report
        if report is not None:
            for rules, counted in (("actual", report.actual), ("shadow", report.candidate)):
                compared.add_metric((rules, "incidents"), counted.incidents)
                compared.add_metric((rules, "pages"), counted.pages)
            missed = sum(harm.fate != "delayed" for harm in report.harmed)
            compared.add_metric(("shadow", "missed"), missed)
        yield compared
        yield GaugeMetricFamily("tocsin_shadow_lag_records", "Records not judged yet.", self._shadow.lag)
