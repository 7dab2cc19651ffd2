"""Record what the real senders send: Prometheus to `/api/v2/alerts`, Alertmanager to its webhook.

Run it with `python tests/payloads/record.py`; it takes about 20 seconds and needs the programs `prometheus` and
`prometheus-alertmanager` on the path. It starts both on free loopback ports, lets two series of one rule fire and
resolve one after the other, writes the bodies verbatim beside itself, and stops what it started.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent

RULES = """
groups:
  - name: demo
    rules:
      - alert: DiskAlmostFull
        expr: demo_disk_used_percent > 90
        labels: {severity: critical, service: "订单库"}
        annotations:
          summary: 'Disk of {{ $labels.host }} is {{ $value }} % full'
          description: "磁盘使用率 > 90 % & \\"rising\\" on <{{ $labels.host }}>"
          runbook_url: https://example.org/runbooks/disk?a=1&b=2
"""

PROMETHEUS = """
global: {{scrape_interval: 1s, evaluation_interval: 1s, external_labels: {{cluster: demo}}}}
rule_files: [rules.yml]
scrape_configs:
  - job_name: demo
    static_configs: [{{targets: ["127.0.0.1:{receiver}"]}}]
alerting:
  alertmanagers:
    - static_configs: [{{targets: ["127.0.0.1:{receiver}", "127.0.0.1:{alertmanager}"]}}]
"""

ALERTMANAGER = """
route:
  receiver: all
  group_by: [cluster, service]
  group_wait: 1s
  group_interval: 2s
  repeat_interval: 1h
  routes:
    - {{receiver: all, continue: true}}
    - {{receiver: cut}}
receivers:
  - name: all
    webhook_configs: [{{url: "http://127.0.0.1:{receiver}/webhook/all", send_resolved: true}}]
  - name: cut
    webhook_configs: [{{url: "http://127.0.0.1:{receiver}/webhook/cut", send_resolved: true, max_alerts: 1}}]
"""


class Recorder(ThreadingHTTPServer):
    """Serves the watched series, and keeps every body that is posted with its path and arrival time."""

    def __init__(self) -> None:
        self.disk_used_percent = {"db1": 50, "db2": 50}
        self.bodies: list[tuple[str, int, bytes]] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    def wait(self, path: str, wanted: Callable[[Any], bool], timeout_s: float = 60) -> tuple[int, bytes]:
        """The first body posted to `path` that is `wanted`, with its arrival time in milliseconds."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            for posted, at_ms, body in list(self.bodies):
                if posted == path and wanted(json.loads(body)):
                    return at_ms, body
            time.sleep(0.05)
        raise TimeoutError(f"nothing like that came to {path} within {timeout_s} s")


class _Handler(BaseHTTPRequestHandler):
    server: Recorder

    def do_GET(self) -> None:
        lines = [f'demo_disk_used_percent{{host="{h}"}} {v}\n' for h, v in self.server.disk_used_percent.items()]
        self._answer("".join(lines).encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append((self.path, time.time_ns() // 1_000_000, body))
        self._answer(b"")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(*command: str, log: Path) -> Iterator[None]:
    """Run one program for as long as the block lasts."""
    with log.open("wb") as output:
        program = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        program.terminate()
        program.wait(20)


@contextlib.contextmanager
def senders(recorder: Recorder) -> Iterator[None]:
    """A real Prometheus and a real Alertmanager that send to `recorder`."""
    ports = {"receiver": recorder.server_port, "alertmanager": free_port()}
    folder = Path(tempfile.mkdtemp(prefix="tocsin-record-"))
    (folder / "rules.yml").write_text(RULES, encoding="utf-8")
    (folder / "prometheus.yml").write_text(PROMETHEUS.format(**ports), encoding="utf-8")
    (folder / "alertmanager.yml").write_text(ALERTMANAGER.format(**ports), encoding="utf-8")
    alertmanager = (
        "prometheus-alertmanager", f"--config.file={folder}/alertmanager.yml", f"--storage.path={folder}/am",
        f"--web.listen-address=127.0.0.1:{ports['alertmanager']}", "--cluster.listen-address=",
    )  # fmt: skip
    prometheus = (
        "prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb",
        f"--web.listen-address=127.0.0.1:{free_port()}", "--rules.alert.resend-delay=2s",
    )  # fmt: skip
    with running(*alertmanager, log=folder / "am.log"), running(*prometheus, log=folder / "prometheus.log"):
        yield
    shutil.rmtree(folder)


def states(body: Any) -> list[str]:
    """The states of the alerts of a webhook body, sorted."""
    return sorted(alert["status"] for alert in body["alerts"])


def record(recorder: Recorder) -> dict[str, tuple[int, bytes]]:
    """Let two disks fill up and be emptied one after the other; the interesting bodies by file name."""
    kept: dict[str, tuple[int, bytes]] = {}

    def keep(file: str, path: str, wanted: Callable[[Any], bool]) -> None:
        kept[file] = recorder.wait(path, wanted)
        print(f"{file}: {len(kept[file][1])} bytes", file=sys.stderr)

    v2, webhook, cut = "/api/v2/alerts", "/webhook/all", "/webhook/cut"
    recorder.disk_used_percent.update(db1=93, db2=97)
    keep("alertmanager_v2/firing.json", v2, lambda body: len(body) == 2)
    keep("alertmanager_webhook/firing.json", webhook, lambda body: states(body) == ["firing", "firing"])
    keep("alertmanager_webhook/truncated.json", cut, lambda body: body["truncatedAlerts"] > 0)
    recorder.disk_used_percent["db1"] = 40
    keep("alertmanager_webhook/partly_resolved.json", webhook, lambda body: states(body) == ["firing", "resolved"])
    recorder.disk_used_percent["db2"] = 40
    keep("alertmanager_webhook/resolved.json", webhook, lambda body: body["status"] == "resolved")
    recorder.bodies.clear()
    keep("alertmanager_v2/resolved.json", v2, lambda body: body[-1]["labels"]["host"] == "db2")
    return kept


def main() -> None:
    """Record everything and write it beside this file."""
    recorder = Recorder()
    threading.Thread(target=recorder.serve_forever, daemon=True).start()
    with senders(recorder):
        recorded = record(recorder)
    recorder.shutdown()
    for file, (_, body) in recorded.items():
        (HERE / file).parent.mkdir(exist_ok=True)
        (HERE / file).write_bytes(body)
    arrivals = {file: at_ms for file, (at_ms, _) in sorted(recorded.items())}
    (HERE / "arrivals.json").write_text(json.dumps(arrivals, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
