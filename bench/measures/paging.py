"""From the POST of an alert to its message at the channel's peer: one new incident each, idle and under load.

Every server pages through its own webhook, one POST for each group over a kept connection: like with like.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
import sys
import time
from collections.abc import Iterator

import msgspec
import uvloop

from bench.client import Job, connect
from bench.meters import percentile, settle
from bench.servers import ROOT, Server, free_port
from bench.session import Session
from bench.sink import listen
from bench.workload import post

GAP_S = 0.02
LOST_S = 5.0
_TOKEN = re.compile(rb"page-\d{7}")


def run(session: Session) -> None:
    """Both cases on one server of each kind, the kinds taking turns; every page is of an incident of its own."""
    with contextlib.ExitStack() as running:
        servers = [running.enter_context(kind(free_port())) for kind in session.servers]
        for server in servers:
            _page(session, server, "warm-up", 0, keep=False)
        for turn in range(session.options.runs):
            for server in servers:
                _page(session, server, "idle", 2 * turn + 1)
                with _behind(session, server, turn):
                    _page(session, server, "with re-sent alerts behind it", 2 * turn + 2)


@contextlib.contextmanager
def _behind(session: Session, server: Server, turn: int) -> Iterator[None]:
    """Other alerts, re-sent at the given rate by another process while the block runs."""
    options, body = session.options, 64
    job = Job(
        port=server.port, pid=server.pid, fleet=session.fleet(turn), first=0, alerts=options.resent_alerts,
        per_body=body, connections=4, at_most_s=60,
    )  # fmt: skip
    server.load(job)
    settle(server.pid)
    lasting_s = 3.0 + options.pages * 0.15
    paced = msgspec.structs.replace(job, resend=True, rate=options.paging_rate / body, at_most_s=lasting_s)
    command = [sys.executable, "-m", "bench.client"]
    client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
    assert client.stdin is not None
    assert client.stdout is not None
    try:
        client.stdin.write(msgspec.json.encode(paced))
        client.stdin.close()
        client.stdout.readline()
        time.sleep(0.3)
        yield
    finally:
        client.terminate()
        client.wait()


def _page(session: Session, server: Server, case: str, series: int, *, keep: bool = True) -> None:
    pages = session.options.pages if keep else 10
    latencies, lost = uvloop.run(_measure(session, server, series, pages))
    if keep:
        session.sample(
            "paging", case, server.name,
            p50_ms=1000 * percentile(latencies, 0.50), p99_ms=1000 * percentile(latencies, 0.99),
            pages=len(latencies), lost=lost,
        )  # fmt: skip


async def _measure(session: Session, server: Server, series: int, pages: int) -> tuple[list[float], int]:
    arrived: dict[bytes, float] = {}
    wanted: dict[bytes, asyncio.Event] = {}

    def seen(body: bytes, at_s: float) -> None:
        if (found := _TOKEN.search(body)) and (token := found[0]) not in arrived:
            arrived[token] = at_s
            if token in wanted:
                wanted[token].set()

    requests = dict(_requests(session, series, pages))
    latencies: list[float] = []
    listening = await listen(server.sink_port, seen)
    connection = await connect(server.port)
    for token, request in requests.items():
        wanted[token] = asyncio.Event()
        sent = time.perf_counter()
        await connection.ask(request)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(wanted[token].wait(), LOST_S)
            latencies.append(arrived[token] - sent)
        await asyncio.sleep(GAP_S)
    connection.transport.close()
    listening.close()
    return latencies, pages - len(latencies)


def _requests(session: Session, series: int, pages: int) -> Iterator[tuple[bytes, bytes]]:
    """One alert of a service of its own each, with a token that the channel's peer will find in the message."""
    fleet = session.fleet()
    for number in range(pages):
        token = f"page-{series * 10_000 + number:07d}"
        alert = fleet.alert(series * 10_000 + number)
        labels, annotations = alert["labels"], alert["annotations"]
        assert isinstance(labels, dict)
        assert isinstance(annotations, dict)
        changed = {
            **alert,
            "labels": {**labels, "service": token, "severity": "critical"},
            "annotations": {**annotations, "summary": f"{token} is failing"},
        }
        yield token.encode(), post(msgspec.json.encode([changed]))
