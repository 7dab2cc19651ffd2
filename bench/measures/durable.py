"""From the POST to the answer that it is durable, at half the rate the server can take, beside a bare fsync loop.

The loop writes as many bytes as often as Tocsin did in the same seconds, each write behind the others in one file of
the same folder, and waits for fdatasync. Requests and writes that had to wait for earlier ones are counted from when
they were due.
"""

from __future__ import annotations

import os
import re
import time
import urllib.request
from pathlib import Path

from msgspec.structs import replace

from bench.client import Job
from bench.measures.ingest import BODY
from bench.meters import percentile, settle, written_bytes
from bench.report import DURABLE
from bench.servers import Server, Tocsin, sink
from bench.session import Session

_COMMITS = re.compile(r"^tocsin_commit_seconds_count (\S+)$", re.MULTILINE)


def run(session: Session) -> None:
    """On one server: the maximum, half of it, then the loop, in every run."""
    options = session.options
    job = Job(
        port=0, pid=0, fleet=session.fleet(), first=0, alerts=options.resent_alerts, per_body=BODY, connections=4,
        at_most_s=60,
    )  # fmt: skip
    with sink() as port, Tocsin(port) as server:
        server.load(job)
        settle(server.pid)
        for _ in range(options.runs):
            _run(session, server, replace(job, resend=True, at_most_s=options.seconds))


def _run(session: Session, server: Server, job: Job) -> None:
    most = server.load(job)
    settle(server.pid)
    before, written = _commits(server), written_bytes(server.pid)
    half = server.load(replace(job, rate=most.requests / most.elapsed_s / 2))
    commits, written = _commits(server) - before, written_bytes(server.pid) - written
    rate, size = commits / half.elapsed_s, max(1, round(written / max(1, commits)))
    session.sample(
        "durable", DURABLE, "tocsin",
        p50_ms=half.p50_ms, p99_ms=half.p99_ms, alerts_per_s=half.alerts / half.elapsed_s,
        maximum_alerts_per_s=most.alerts / most.elapsed_s, commits_per_s=rate, bytes_per_commit=size,
    )  # fmt: skip
    settle(server.pid)
    taken = bare_loop(server.folder, rate, size, job.at_most_s)
    session.sample(
        "durable", DURABLE, "bare fsync loop",
        p50_ms=1000 * percentile(taken, 0.5), p99_ms=1000 * percentile(taken, 0.99),
        commits_per_s=len(taken) / job.at_most_s, bytes_per_commit=size,
    )  # fmt: skip


def _commits(server: Server) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=10) as answer:
        found = _COMMITS.search(answer.read().decode())
    return float(found[1]) if found else 0.0


def bare_loop(folder: Path, rate: float, size: int, seconds: float) -> list[float]:
    """Seconds that each of `rate` writes a second of `size` bytes took until it was on disk."""
    block, taken = bytes(size), []
    path = folder / "loop.probe"
    handle = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        began = time.perf_counter()
        for number in range(int(rate * seconds)):
            due = began + number / rate
            if (ahead := due - time.perf_counter()) > 0:
                time.sleep(ahead)
                due = time.perf_counter()
            os.write(handle, block)
            os.fdatasync(handle)
            taken.append(time.perf_counter() - due)
    finally:
        os.close(handle)
        path.unlink()
    return taken
