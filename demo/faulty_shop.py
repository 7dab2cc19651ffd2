"""A small online shop (商城) that misbehaves on a schedule, as Prometheus sees it.

Every instance of every service answers `/metrics` on its own port. The story repeats every PERIOD_S seconds: an error
burst in the order service, which the payment service feels; then the cache is away and search is slow; then all heals.

    python -m demo.faulty_shop --instance order-service=9101 --instance redis=9102
"""

from __future__ import annotations

import argparse
import math
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PERIOD_S = 300.0
CLIENT_TIMEOUT_S = 5


@dataclass(frozen=True)
class Trouble:
    """What is wrong with a service from `begin_s` to `end_s` of the story; `down` makes it answer nothing useful."""

    service: str
    begin_s: float
    end_s: float
    error_ratio: float = 0.0
    latency_s: float = 0.0
    queue: int = 0
    cache_hits: float = 1.0
    down: bool = False


STORY = (
    Trouble("order-service", 12, 75, error_ratio=0.65, latency_s=1.8, queue=2400),
    Trouble("payment-service", 22, 75, error_ratio=0.3, latency_s=2.5),
    Trouble("redis", 50, 100, down=True),
    Trouble("search-gateway", 54, 104, latency_s=2.2, cache_hits=0.05),
)
"""One release of the order service goes wrong and is rolled back; then the cache falls over and comes back."""

HEALTHY = Trouble("", 0, 0, error_ratio=0.002, latency_s=0.08, queue=12, cache_hits=0.97)


def state_at(service: str, elapsed_s: float) -> Trouble:
    """How `service` fares `elapsed_s` seconds after the start."""
    at_s = elapsed_s % PERIOD_S
    for trouble in STORY:
        if trouble.service == service and trouble.begin_s <= at_s < trouble.end_s:
            return trouble
    return HEALTHY


class Instance:
    """One running copy of a service: counters that grow with time, at a rate that differs from copy to copy."""

    def __init__(self, service: str, number: int, clock: Callable[[], float]) -> None:
        self.service, self.number = service, number
        self._clock, self._seen_s = clock, clock()
        self._requests = self._errors = self._seconds = self._hits = self._misses = 0.0
        self._queue = float(HEALTHY.queue)
        self._lock = threading.Lock()

    def metrics(self) -> str | None:
        """The Prometheus text of this moment, or None while the instance is down."""
        with self._lock:
            now_s = self._clock()
            state = state_at(self.service, now_s)
            self._advance(now_s - self._seen_s, state)
            self._seen_s = now_s
            return None if state.down else self._text()

    def _advance(self, passed_s: float, state: Trouble) -> None:
        rate = 20.0 + 3.0 * self.number + 2.0 * math.sin(self._seen_s / 7 + self.number)
        requests = rate * passed_s
        self._requests += requests
        self._errors += requests * max(state.error_ratio, HEALTHY.error_ratio)
        self._seconds += requests * max(state.latency_s, HEALTHY.latency_s)
        self._hits += requests * min(state.cache_hits, HEALTHY.cache_hits)
        self._misses += requests * (1 - min(state.cache_hits, HEALTHY.cache_hits))
        goal = max(state.queue, HEALTHY.queue)
        self._queue += (goal - self._queue) * min(1.0, passed_s / 5)  # a queue fills and drains within seconds

    def _text(self) -> str:
        succeeded = self._requests - self._errors
        return (
            "# HELP shop_requests_total Requests answered.\n# TYPE shop_requests_total counter\n"
            f'shop_requests_total{{code="200"}} {succeeded:.3f}\nshop_requests_total{{code="500"}} {self._errors:.3f}\n'
            "# HELP shop_request_seconds Time to answer.\n# TYPE shop_request_seconds summary\n"
            f"shop_request_seconds_sum {self._seconds:.3f}\nshop_request_seconds_count {self._requests:.3f}\n"
            "# HELP shop_queue_length Orders waiting.\n# TYPE shop_queue_length gauge\n"
            f"shop_queue_length {self._queue:.0f}\n"
            "# HELP shop_cache_lookups_total Cache look-ups.\n# TYPE shop_cache_lookups_total counter\n"
            f'shop_cache_lookups_total{{result="hit"}} {self._hits:.3f}\n'
            f'shop_cache_lookups_total{{result="miss"}} {self._misses:.3f}\n'
        )


class _Handler(BaseHTTPRequestHandler):
    """Answers `/metrics` of one instance."""

    instance: Instance
    timeout = CLIENT_TIMEOUT_S

    def do_GET(self) -> None:
        """The metrics; 503 while the instance is down, so that Prometheus sees `up == 0`."""
        text = self.instance.metrics()
        body = (text or "down\n").encode()
        self.send_response(200 if text else 503)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: Prometheus calls every two seconds."""


def serve(instances: Sequence[tuple[str, int]]) -> None:
    """Serve (service, port) pairs on 127.0.0.1 until the process ends; the story begins now."""
    began_s = time.monotonic()
    numbers: dict[str, int] = {}
    for service, port in instances:
        number = numbers[service] = numbers.get(service, 0) + 1
        instance = Instance(service, number, lambda: time.monotonic() - began_s)
        handler = type("_InstanceHandler", (_Handler,), {"instance": instance})
        server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    threading.Event().wait()


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of the shop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instance", action="append", required=True, metavar="SERVICE=PORT")
    given = parser.parse_args(arguments).instance
    pairs = [item.partition("=") for item in given]
    try:
        serve([(service, int(port)) for service, _, port in pairs])
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
