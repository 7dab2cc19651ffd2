"""The alerts that the benchmarks send: seeded, about 770 bytes each with 9 labels, rendered before any clock runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache

import msgspec

NAMES = (
    "HighErrorRate", "HighLatency", "PodCrashLooping", "QueueBacklog", "DiskFillingUp", "CacheMissRatio",
    "ConnectionPoolExhausted", "CpuThrottling", "MemoryPressure", "ReplicaLag", "CertificateExpiring", "TargetDown",
)  # fmt: skip
SEVERITIES = ("warning", "warning", "warning", "major", "critical", "info")
ALERTS_OF_A_SERVICE = 16
"""Neighbouring alerts that belong to one service, so that a body of 64 tells of four, as rule groups do."""

_encode = msgspec.json.encode
_64_BITS = 0xFFFFFFFFFFFFFFFF


class Fleet(msgspec.Struct, frozen=True):
    """The watched systems. Alert number `i` has the same labels in every run with the same seed.

    `base_s` is the moment (Unix seconds) that the alerts began; it is no part of the labels.
    """

    seed: int
    base_s: int
    services: int = 200
    per_service: int = ALERTS_OF_A_SERVICE
    """Neighbouring alerts of one service."""

    def alert(self, number: int, round_: int = 0) -> dict[str, object]:
        """One alert as Prometheus sends it; each `round_` of re-sending pushes its end further ahead."""
        service = number // self.per_service % self.services
        dice = _mixed(self.seed * 1_000_003 + number)
        name = NAMES[number % len(NAMES)]
        pod = f"svc-{service:05d}-{dice >> 28:09x}-{number:07d}"
        node = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}:9100"
        began, until = _rfc3339(self.base_s), _rfc3339(self.base_s + 3600 + 15 * round_)
        return {
            "labels": {
                "alertname": name, "cluster": f"prod-{service % 4}", "instance": node, "job": f"kube-{service % 7}",
                "namespace": f"shop-{service % 20:02d}", "pod": pod, "service": f"service-{service:05d}",
                "severity": SEVERITIES[number % len(SEVERITIES)], "team": f"team-{service % 9}",
            },
            "annotations": {
                "summary": f"{name} on {pod}",
                "description": f"{name}: {dice % 10_000 / 100:.2f} over the last five minutes on {node}, "
                f"above the threshold of 5.00 for ten minutes; customers of service {service:05d} may notice; "
                "look at the dashboard and at the latest release before you scale out",
                "runbook_url": f"https://runbooks.example.com/{name}",
            },
            "startsAt": began, "endsAt": until,
            "generatorURL": f"http://prometheus-{service % 4}.example.com:9090/graph?g0.expr={name}&g0.tab=1",
        }  # fmt: skip

    def body(self, first: int, count: int, round_: int = 0) -> bytes:
        """The JSON of `count` alerts from number `first`."""
        return _encode([self.alert(number, round_) for number in range(first, first + count)])

    def bodies(self, first: int, alerts: int, per_body: int, round_: int = 0) -> Iterator[bytes]:
        """All bodies of `alerts` alerts from number `first`, `per_body` in each."""
        for start in range(first, first + alerts, per_body):
            yield self.body(start, min(per_body, first + alerts - start), round_)


def _mixed(number: int) -> int:
    """64 bits that look random (the finalizer of splitmix64): seeding a generator for each alert costs far more."""
    mixed = number * 0x9E3779B97F4A7C15 & _64_BITS
    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 & _64_BITS
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & _64_BITS
    return mixed ^ mixed >> 31


@lru_cache(maxsize=64)
def _rfc3339(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def post(body: bytes, path: str = "/api/v2/alerts") -> bytes:
    """A whole HTTP/1.1 request with this body, ready for the socket."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return f"{head}\r\n\r\n".encode() + body
