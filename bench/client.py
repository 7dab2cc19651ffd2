"""The load client: a process of its own that writes ready-made requests to kept-alive connections on 127.0.0.1.

python -m bench.client < job.json      prints one JSON object
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import sys
import time
from collections.abc import Iterator
from typing import cast

import msgspec
import uvloop

from bench.meters import cpu_s, main_thread_cpu_s, percentile
from bench.workload import Fleet, post

HOST = "127.0.0.1"


class Job(msgspec.Struct, kw_only=True):
    """What to send: `alerts` alerts from number `first`, once or (`resend`) round after round until `at_most_s`.

    `rate` bounds the requests per second of all connections together; 0 is as fast as they are answered.
    """

    port: int
    pid: int
    fleet: Fleet
    first: int
    alerts: int
    per_body: int
    connections: int
    at_most_s: float
    resend: bool = False
    rate: float = 0.0


class Measured(msgspec.Struct, kw_only=True):
    """What came of it. CPU seconds are the server's, from the first request to the last answer."""

    alerts: int
    requests: int
    refused: int
    elapsed_s: float
    cpu_s: float
    main_thread_cpu_s: float
    cpu_before_s: float
    client_cpu_s: float
    p50_ms: float
    p99_ms: float


RESEND_ROUNDS = 4
"""Different bodies of one alert, each with a later end, that a re-sending client cycles through."""


class Connection(asyncio.Protocol):
    """One kept-alive connection; a request at a time."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[bytes] | None = None
        self._read = b""
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Gather one answer: head, and as many bytes as it declares."""
        self._read += data
        head, found, body = self._read.partition(b"\r\n\r\n")
        if found and len(body) >= _declared(head) and self._answer is not None:
            answer, self._answer, self._read = self._answer, None, b""
            answer.set_result(head[9:12])

    def connection_lost(self, error: Exception | None) -> None:
        """Nobody answers any more."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError("the server hung up"))

    async def ask(self, request: bytes) -> bytes:
        """Send a request; the status of its answer."""
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self._answer


def _declared(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


async def connect(port: int) -> Connection:
    """A connection to a server on this machine."""
    _, connection = await asyncio.get_running_loop().create_connection(Connection, HOST, port)
    return connection


def requests_of(job: Job) -> list[bytes]:
    """Every request of one cycle."""
    rounds = range(1, 1 + RESEND_ROUNDS) if job.resend else range(1)
    return [
        post(body)
        for round_ in rounds
        for body in job.fleet.bodies(job.first, job.alerts, job.per_body, round_)
    ]  # fmt: skip


async def _send(
    connection: Connection, requests: Iterator[tuple[int, bytes]], job: Job, until: float, latencies: list[float]
) -> int:
    """Send until there is nothing left or no time; the number of answers other than 200."""
    refused = 0
    began = until - job.at_most_s
    for number, request in requests:
        due = began + number / job.rate if job.rate else 0.0
        if (ahead := due - time.perf_counter()) > 0:
            await asyncio.sleep(ahead)
            due = 0.0  # that this process woke up late is not the server's doing
        # A request that had to wait for earlier answers is counted from when it was due.
        sent = due or time.perf_counter()
        if time.perf_counter() >= until:
            break
        status = await connection.ask(request)
        latencies.append(time.perf_counter() - sent)
        refused += status != b"200"
    return refused


async def run(job: Job) -> Measured:
    """Do a job."""
    requests = requests_of(job)
    connections = [await connect(job.port) for _ in range(job.connections)]
    print(flush=True)  # whoever waits for the load to begin reads this line; JSON skips it
    queue = enumerate(itertools.cycle(requests) if job.resend else iter(requests))
    latencies: list[float] = []
    gc.collect()
    gc.disable()
    cpu, main_cpu, own, began = cpu_s(job.pid), main_thread_cpu_s(job.pid), time.process_time(), time.perf_counter()
    sending = [_send(each, queue, job, began + job.at_most_s, latencies) for each in connections]
    refused = sum(await asyncio.gather(*sending))
    elapsed = time.perf_counter() - began
    measured = Measured(
        alerts=len(latencies) * job.per_body,
        requests=len(latencies),
        refused=refused,
        elapsed_s=elapsed,
        cpu_s=cpu_s(job.pid) - cpu,
        main_thread_cpu_s=main_thread_cpu_s(job.pid) - main_cpu,
        cpu_before_s=cpu,
        client_cpu_s=time.process_time() - own,
        p50_ms=1000 * percentile(latencies, 0.50),
        p99_ms=1000 * percentile(latencies, 0.99),
    )
    for each in connections:
        each.transport.close()
    return measured


def main() -> None:
    """Do the job on standard input."""
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(run(job))) + b"\n")


if __name__ == "__main__":
    main()
