"""What `/metrics` shows of alerts and incidents. The engine's own collectors join the same registry."""

from __future__ import annotations

import time
from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from projections.tickets import count_tickets
from schemas.ports import Runtime
from web.incidents import OPEN, PRIORITIES
from web.live import Live

COUNTED_EVERY_S = 5.0
"""Open incidents are counted at most so often, however many scrape."""


class TocsinCollector(Collector):
    """Alerts by disposition from the engine's memory, open incidents from the read models."""

    def __init__(self, runtime: Runtime, engine: Engine, live: Live) -> None:
        self._runtime, self._engine, self._live = runtime, engine, live
        self._open: dict[str, int] = {}
        self._counted_s = -COUNTED_EVERY_S

    def describe(self) -> Iterable[Metric]:
        """Nothing: so that registering reads nothing."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """One scrape."""
        alerts = CounterMetricFamily(
            "tocsin_alerts", "Alerts received, by what became of them", labels=("source", "disposition")
        )
        for source, counts in self._runtime.dispositions().items():
            for disposition, count in counts.items():
                alerts.add_metric((source, disposition), count)
        yield alerts
        incidents = GaugeMetricFamily("tocsin_open_incidents", "Incidents that are open", labels=("priority",))
        for priority, count in self._open_incidents().items():
            incidents.add_metric((priority,), count)
        yield incidents
        yield GaugeMetricFamily("tocsin_live_pages", "Pages that listen for events", value=self._live.subscribers)

    def _open_incidents(self) -> dict[str, int]:
        if time.monotonic() - self._counted_s >= COUNTED_EVERY_S:
            try:
                with self._engine.connect() as conn:
                    self._open = {name: count_tickets(conn, states=OPEN, priorities=(name,)) for name in PRIORITIES}
            except SQLAlchemyError:  # a scrape must show the rest even when the database does not answer
                self._open = {}
            self._counted_s = time.monotonic()
        return self._open


def new_registry() -> CollectorRegistry:
    """An empty registry of our own, so that two applications in one process do not meet."""
    return CollectorRegistry()
