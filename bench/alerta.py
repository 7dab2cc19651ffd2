"""The peer Alerta: gunicorn and PostgreSQL with fsync on, both started here and stopped by their own process ids."""

from __future__ import annotations

import http.client
import os
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path

import msgspec
import pytest

from bench.meters import tree_cpu_s
from bench.peers import Missing, interpreter
from bench.servers import START_S, free_port
from bench.workload import Fleet
from tests.servers.postgres import Postgres

PACKAGES = ("alerta-server", "psycopg2-binary", "gunicorn")
WORKERS = 2
"""As many as the machine that the figures are meant for has cores."""


class Alerta(msgspec.Struct, frozen=True):
    """A running Alerta: where it takes Prometheus' alerts, and the processes that do its work."""

    name: str
    port: int
    pids: tuple[int, ...]

    def send(self, bodies: Sequence[bytes], connections: int, at_most_s: float) -> tuple[list[float], float, float]:
        """Send the bodies over so many connections: seconds of each answer, in all, and CPU seconds spent there.

        Raises RuntimeError for a refusal.
        """
        shares = [bodies[number::connections] for number in range(connections)]
        cpu, began = tree_cpu_s(*self.pids), time.perf_counter()
        with ThreadPoolExecutor(connections) as pool:
            taken = [each for some in pool.map(self._post, shares, repeat(began + at_most_s)) for each in some]
        return taken, time.perf_counter() - began, tree_cpu_s(*self.pids) - cpu

    def _post(self, bodies: Sequence[bytes], until: float) -> list[float]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        taken: list[float] = []
        for body in bodies:
            if (began := time.perf_counter()) >= until:
                break
            connection.request("POST", "/webhooks/prometheus", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            said = answer.read()
            taken.append(time.perf_counter() - began)
            if answer.status not in (200, 201):
                raise RuntimeError(f"alerta answered {answer.status}: {said[:300]!r}")
        connection.close()
        return taken


def bodies(fleet: Fleet, first: int, alerts: int, per_body: int, round_: int = 0) -> list[bytes]:
    """The same alerts as everybody gets, in the envelope of Alertmanager's webhook, with severities that it knows."""
    return [
        b'{"version":"4","status":"firing","alerts":' + body.replace(b'"info"', b'"informational"') + b"}"
        for body in fleet.bodies(first, alerts, per_body, round_)
    ]


@contextmanager
def running(folder: Path | None) -> Iterator[Alerta]:
    """Alerta from an environment in `folder`. Raises Missing."""
    python = interpreter(folder, "alerta", PACKAGES)
    try:
        database = Postgres()
    except pytest.skip.Exception as without:
        raise Missing(f"no PostgreSQL for it: {without}") from without
    try:
        database.start()
        with (
            tempfile.TemporaryDirectory(prefix="tocsin-bench-") as home,
            _serving(python, database, Path(home)) as server,
        ):
            yield server
    finally:
        database.remove()


@contextmanager
def _serving(python: Path, database: Postgres, home: Path) -> Iterator[Alerta]:
    port = free_port()
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": database.new_database(), "SECRET_KEY": "bench"}
    command = [str(python), "-m", "gunicorn", f"--workers={WORKERS}", "--threads=2", f"--bind=127.0.0.1:{port}"]
    # Its tables are made as it is loaded: once, ahead of the workers, or they get into one another's way.
    command += ["--preload", "--log-level=error", "alerta.app:create_app()"]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=home)
    try:
        _wait(process, port, home / "log")
        yield Alerta(f"alerta {_version(python)}", port, (process.pid, database.pid))
    finally:
        process.terminate()
        process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/management/gtg", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise Missing(f"did not start: {log.read_text()[-200:]}")


def _version(python: Path) -> str:
    asked = "import importlib.metadata as m; print(m.version('alerta-server'))"
    return subprocess.run([python, "-c", asked], capture_output=True, text=True, check=True).stdout.strip()
