"""A real Apache Kafka in KRaft mode: one plain Java process, its libraries from the pom beside this file."""

from __future__ import annotations

import base64
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from tests.servers import free_port, require

START_S = 90
LIBRARIES = Path(__file__).resolve().parents[2] / "var" / "servers" / "kafka"
"""Where `scripts/install test` puts them."""
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CUT://127.0.0.1:{cut},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},CUT://127.0.0.1:{gate}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,CUT:PLAINTEXT
log.dirs={folder}/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
auto.create.topics.enable=false
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
num.partitions=1
log.retention.check.interval.ms=300000
"""
_JAVA = ("-Xms128m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")


class Kafka:
    """One broker, which is its own controller, on 127.0.0.1. Its data outlives `kill` and `start`."""

    def __init__(self, folder: Path | None = None, *, port: int | None = None, gate: int | None = None) -> None:
        """`folder` is made when missing; without one it is a temporary folder that `remove` deletes.

        `gate` is the port of a proxy: clients that begin there are sent there again, not around it (see `behind`).
        """
        self._java = require("java")
        if not list(LIBRARIES.glob("kafka_*.jar")):
            reason = f"Kafka's libraries are not in {LIBRARIES}: scripts/install test"
            if os.environ.get("CI") == "true":
                pytest.fail(reason)
            pytest.skip(reason)
        self._own_folder = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="tocsin-kafka-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self.behind = free_port()
        """Where the proxy leads to."""
        self._process: subprocess.Popen[bytes] | None = None
        self._properties = self.folder / "kafka.properties"
        self._properties.write_text(
            _PROPERTIES.format(
                port=self.port, controller=free_port(), folder=self.folder, cut=self.behind, gate=gate or self.behind
            )
        )
        (self.folder / "log4j.properties").write_text(
            "log4j.rootLogger=WARN, out\nlog4j.appender.out=org.apache.log4j.ConsoleAppender\n"
            "log4j.appender.out.layout=org.apache.log4j.PatternLayout\n"
            "log4j.appender.out.layout.ConversionPattern=%d %p %c %m%n\n"
        )
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        format_ = ("kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(self._properties))
        subprocess.run([*self._command, *format_, "--ignore-formatted"], check=True, capture_output=True)

    @property
    def _command(self) -> list[str]:
        log4j = f"-Dlog4j.configuration=file:{self.folder / 'log4j.properties'}"
        return [self._java, *_JAVA, log4j, "-cp", f"{LIBRARIES}/*"]

    @property
    def bootstrap(self) -> str:
        """Where clients begin: ``127.0.0.1:PORT``."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process id of the running broker."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start the broker and wait until it answers."""
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._command, "kafka.Kafka", str(self._properties)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
            )  # fmt: skip
        deadline = time.monotonic() + START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=2).close()
                self.admin().close()
                return
            except (KafkaError, OSError):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError((self.folder / "server.log").read_text()[-4000:]) from None
                time.sleep(0.1)

    def admin(self) -> KafkaAdminClient:
        """A client for administration; close it."""
        return KafkaAdminClient(bootstrap_servers=self.bootstrap)

    def kill(self) -> None:
        """SIGKILL, without a chance to flush or to say goodbye."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)

    def stop(self) -> None:
        """End it politely, then by force; harmless when it does not run."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()

    def remove(self) -> None:
        """Stop it without care, and remove its folder if it made one."""
        if self._process is not None and self._process.poll() is None:
            self.kill()
        if self._own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def kafka() -> Iterator[Kafka]:
    """One Kafka for the whole run; each test uses topics and groups of its own."""
    broker = Kafka()
    try:
        broker.start()
        yield broker
    finally:
        broker.remove()
