"""The servers under measurement, started and stopped by their own process id: Tocsin and Alertmanager."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import msgspec

from bench.client import Job, Measured
from scripts.alertmanager_release import build_fast

START_S = 30.0
STOP_S = 60.0
ROUTES = 100
"""Routes that match nothing, ahead of the one that everything takes: both servers have to look at them."""
ROOT = Path(__file__).resolve().parent.parent


def free_port() -> int:
    """A TCP port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server(ABC):
    """A running server: `with kind(sink_port) as server:`. Its folder is temporary and goes with it."""

    name: str

    def __init__(self, sink_port: int) -> None:
        self.sink_port, self.port = sink_port, 0
        self.folder = Path(tempfile.mkdtemp(prefix="tocsin-bench-"))
        self._process: subprocess.Popen[str] | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """What to run; writes its configuration first."""

    def wait_ready(self, process: subprocess.Popen[str]) -> None:
        """Return when it takes requests at `port`."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and process.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        raise RuntimeError(f"{self.name} did not start: see {self.folder}/log")

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Self:
        command = self.command()
        with (self.folder / "log").open("w") as log:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT)
        try:
            self.wait_ready(self._process)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _stop(self) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def load(self, job: Job) -> Measured:
        """Let a client process do a job against this server."""
        return load(msgspec.structs.replace(job, port=self.port, pid=self.pid))


def load(job: Job) -> Measured:
    """Run the client; raises CalledProcessError when it fails."""
    command = [sys.executable, "-m", "bench.client"]
    done = subprocess.run(command, input=msgspec.json.encode(job), stdout=subprocess.PIPE, check=True, cwd=ROOT)
    return msgspec.json.decode(done.stdout, type=Measured)


class Tocsin(Server):
    """`tocsin serve` on SQLite, everything on, paging through its webhook to the sink, as Alertmanager does."""

    name = "tocsin"
    profile_to: Path | None = None
    """Where the server leaves a cProfile of each thread when it stops."""

    def command(self) -> list[str]:
        """The command line of the server."""
        channel = {"type": "webhook", "url": f"http://127.0.0.1:{self.sink_port}/"}
        nobody = [{"receiver": "oncall", "match": {"service": f"nobody-{number}"}} for number in range(ROUTES)]
        settings = {
            "server": {"port": 0},
            "store": {"url": f"sqlite:///{self.folder}/tocsin.db"},
            "sources": {"prometheus": {"format": "alertmanager_v2"}},
            "channels": {"hook": channel},
            "rules": {
                "receivers": {"oncall": {"channels": ["hook"]}},
                "routes": [*nobody, {"receiver": "oncall"}],
            },
            "log_level": "warning",
        }
        config = self.folder / "tocsin.yaml"
        config.write_text(json.dumps(settings))
        runner = ["-m", "engine.cli"] if self.profile_to is None else ["-m", "bench.profiled", str(self.profile_to)]
        return [sys.executable, *runner, "serve", "--config", str(config)]

    def wait_ready(self, process: subprocess.Popen[str]) -> None:
        """The port is in the first line that it prints."""
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"listens on http://127\.0\.0\.1:(\d+)", line):
                self.port = int(found[1])
                break
        super().wait_ready(process)


class Alertmanager(Server):
    """Alertmanager with the same routes, grouping and webhook; no cluster, notifying at once as Tocsin does."""

    name = "alertmanager"
    binary = "prometheus-alertmanager"

    def command(self) -> list[str]:
        """The command line of the server."""
        self.port = free_port()
        nobody = [{"receiver": "hook", "matchers": [f'service="nobody-{number}"']} for number in range(ROUTES)]
        settings = {
            "route": {
                "receiver": "hook",
                "group_by": ["cluster", "namespace", "service"],
                "group_wait": "0s",
                "group_interval": "5m",
                "repeat_interval": "12h",
                "routes": nobody,
            },
            "receivers": [{"name": "hook", "webhook_configs": [{"url": f"http://127.0.0.1:{self.sink_port}/"}]}],
        }
        config = self.folder / "alertmanager.yml"
        config.write_text(json.dumps(settings))
        return [
            self.binary,
            f"--config.file={config}",
            f"--storage.path={self.folder}/data",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--cluster.listen-address=",
            "--log.level=error",
        ]


def peers(build: bool) -> tuple[list[type[Server]], dict[str, str]]:
    """Tocsin and every Alertmanager that can be run here, and why another cannot; versions by name."""
    kinds: list[type[Server]] = [Tocsin]
    notes: dict[str, str] = {}
    for name, binary in _alertmanagers(build, notes):
        # A class of its own per version: name and binary are what differs.
        kinds.append(type(name, (Alertmanager,), {"name": name, "binary": binary}))
    return kinds, notes


def _alertmanagers(build: bool, notes: dict[str, str]) -> Iterator[tuple[str, str]]:
    installed = shutil.which(Alertmanager.binary)
    if installed is None:
        notes["alertmanager (Debian)"] = "not measured: prometheus-alertmanager is not installed"
    else:
        version = _version(installed)
        notes[f"alertmanager {version}"] = "Debian's package"
        yield f"alertmanager {version}", installed
    if not build:
        notes["alertmanager (current release)"] = "not measured: needs --current, which builds it with go"
        return
    try:
        built = str(build_fast(ROOT / "var/bench/alertmanager"))
    except (OSError, RuntimeError, subprocess.SubprocessError) as failed:
        notes["alertmanager (current release)"] = f"not measured: {failed}"
        return
    version = _version(built)
    notes[f"alertmanager {version}"] = "current release, built from the Go module proxy without its web pages"
    yield f"alertmanager {version}", built


def _version(binary: str) -> str:
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=10)
    found = re.search(r"version ([\w.+-]+)", said.stdout + said.stderr)
    return found[1] if found else "unknown"


@contextmanager
def sink() -> Iterator[int]:
    """A channel's peer in a process of its own; its port."""
    port = free_port()
    command = [sys.executable, "-m", "bench.sink", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield port
    finally:
        process.terminate()
        process.wait()
