"""What the runtime measures of itself, for /metrics."""

from __future__ import annotations

from collections import Counter as Counted
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from engine.store import Entry

LATENCY_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


class RuntimeMetrics:
    """Counters and histograms of one runtime, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.commit_s = Histogram(
            "tocsin_commit_seconds",
            "Time to commit one batch of records",
            buckets=LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        self.batch_records = Histogram(
            "tocsin_batch_records",
            "Records committed together",
            buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500),
            registry=self.registry,
        )
        self.records = Counter("tocsin_records", "Records journalled, by kind", ["kind"], registry=self.registry)
        self.events = Counter("tocsin_events", "Events logged, by type", ["type"], registry=self.registry)
        self.refused = Counter("tocsin_refused", "Inputs refused before acceptance", ["reason"], registry=self.registry)
        self.pending = Gauge("tocsin_pending_records", "Records waiting for their commit", registry=self.registry)
        self.projection_lag = Gauge(
            "tocsin_projection_lag_events", "Events committed but not in the read models yet", registry=self.registry
        )

    def count(self, committed: Iterable[Entry]) -> None:
        """Count records by kind and events by type: once a batch, for each count takes a lock."""
        records: Counted[str] = Counted()
        events: Counted[str] = Counted()
        for entry in committed:
            records[str(entry.record.__struct_config__.tag)] += 1
            for logged in entry.events:
                events[logged.type] += 1
        for kind, number in records.items():
            self.records.labels(kind).inc(number)
        for kind, number in events.items():
            self.events.labels(kind).inc(number)
