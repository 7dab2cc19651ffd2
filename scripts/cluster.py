"""`make cluster`: the demo's shop on a cluster of this machine: Kafka, PostgreSQL, two workers, two web processes.

.venv/bin/python -m scripts.cluster [--for SECONDS] [--folder var/cluster]
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

import yaml

from demo.peers import Outbox, peers
from demo.run import addresses
from demo.stack import Stack, free_ports
from tests.servers.kafka import Kafka
from tests.servers.postgres import Postgres

COMMAND = (sys.executable, "-m", "engine.cli")
POLL_S = 2.0


def configure(stack: Stack, kafka: Kafka, postgres: Postgres) -> list[Path]:
    """The demo's configuration with a cluster in it, once for each process; the first is that of the first web."""
    first = stack.folder / "tocsin.yaml"
    settings = yaml.safe_load(first.read_text("utf-8"))
    settings["store"] = {"url": postgres.new_database()}
    cluster = {
        "bootstrap_servers": [kafka.bootstrap], "partitions": 4, "replication": 1, "min_insync": 1,
        "session_timeout_s": 6,
    }  # fmt: skip
    (second_port,) = free_ports(1, stack.addresses.tocsin + 1)
    files = []
    for name in ("web-1", "web-2", "worker-1", "worker-2"):
        own = settings | {"cluster": cluster | {"worker": name}}
        if name == "web-2":
            own["server"] = settings["server"] | {"port": second_port}
        file = first if name == "web-1" else stack.folder / f"{name}.yaml"
        file.write_text(yaml.safe_dump(own, allow_unicode=True), "utf-8")
        files.append(file)
    return files


def start(stack: Stack, files: list[Path]) -> None:
    """Topic and tables, workers, the second web process, and then what the demo starts itself."""
    subprocess.run([*COMMAND, "cluster", "init", "--config", str(files[0])], check=True)
    for file in files[1:]:
        kind = "serve" if file.stem == "web-2" else "worker"
        stack._start(file.stem, *COMMAND, kind, "--config", str(file))
    stack.start()


def announce(stack: Stack, files: list[Path], kafka: Kafka, postgres: Postgres) -> None:
    """Where everything is."""
    second = yaml.safe_load(files[1].read_text("utf-8"))["server"]["port"]
    for line in stack.log_of("tocsin").splitlines():
        if "setup?token=" in line:
            print(line)
    print(f"web processes    http://127.0.0.1:{stack.addresses.tocsin}  http://127.0.0.1:{second}")
    print(f"Prometheus       http://127.0.0.1:{stack.addresses.prometheus}")
    print(f"Alertmanager     http://127.0.0.1:{stack.addresses.alertmanager}")
    print(f"Kafka            {kafka.bootstrap}     PostgreSQL {postgres.url.rsplit('@')[-1]}")
    print(f"workers          {files[2].stem}, {files[3].stem}; logs in {stack.folder}")
    print(f"its state        tocsin cluster status --config {files[0]}", flush=True)


def watch(stack: Stack, config: Path, for_s: float | None) -> None:
    """Say how it goes until somebody ends it, or the time is over."""
    until = None if for_s is None else time.monotonic() + for_s
    while until is None or time.monotonic() < until:
        ended = stack.ended()
        if ended:
            raise SystemExit(f"{ended} has ended:\n{stack.log_of(ended)[-2000:]}")
        time.sleep(POLL_S if until is None else max(0.0, min(POLL_S, until - time.monotonic())))
    subprocess.run([*COMMAND, "cluster", "status", "--config", str(config)], check=True)
    subprocess.run([*COMMAND, "log", "verify", "--decide-again", "--config", str(config)], check=True)


def _end(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Start all of it, and stop all of it again, however the run ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--for", dest="for_s", type=float, help="end by itself after so many seconds")
    parser.add_argument("--folder", type=Path, default=Path("var/cluster"), help="its files; emptied at the start")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, _end)
    folder = given.folder.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    kafka, postgres = Kafka(folder / "kafka"), Postgres(connections=100)
    with peers(Outbox(folder / "outbox")) as (mail, robot):
        stack = Stack(folder, addresses(mail, robot))
        try:
            postgres.start()
            kafka.start()
            stack.write_configuration()
            files = configure(stack, kafka, postgres)
            start(stack, files)
            announce(stack, files, kafka, postgres)
            watch(stack, files[0], given.for_s)
        except KeyboardInterrupt:
            pass
        finally:
            stack.stop()
            kafka.stop()
            postgres.remove()


if __name__ == "__main__":
    main()
