"""A real PostgreSQL with a data folder of its own."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.servers import free_port, require

START_S = 120


class Postgres:
    """One server: made by `initdb`, with fsync on, reachable as user `tocsin` with a password on 127.0.0.1 only."""

    password = "tocsin-test"

    def __init__(self, connections: int = 50) -> None:
        self._connections = connections
        self._initdb, self._server = require("initdb"), require("postgres")
        self.folder = Path(tempfile.mkdtemp(prefix="tocsin-pg-"))
        # PostgreSQL refuses to run as root; its package made a user for it.
        self._as: dict[str, Any] = {"cwd": self.folder}
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
            self._as |= {"user": "postgres", "group": "postgres", "extra_groups": []}
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        secret = self.folder / "password"
        secret.write_text(self.password)
        secret.chmod(0o644)
        command = [self._initdb, "-D", str(self.folder / "data"), "-U", "tocsin", "--auth=scram-sha-256"]
        command += [f"--pwfile={secret}", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        subprocess.run(command, check=True, capture_output=True, **self._as)

    @property
    def url(self) -> str:
        """The address of the database `postgres`."""
        return self._url("postgres")

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        assert self._process is not None
        return self._process.pid

    def _url(self, database: str) -> str:
        return f"postgresql://tocsin:{self.password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        command = [self._server, "-D", str(self.folder / "data"), "-p", str(self.port), "-k", str(self.folder)]
        command += ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=on", "-c", f"max_connections={self._connections}"]
        log = (self.folder / "server.log").open("ab")
        with log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, **self._as)
        deadline = time.monotonic() + START_S
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=20).close()
                return
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError((self.folder / "server.log").read_text()) from None
                time.sleep(0.05)

    def stop(self) -> None:
        """Stop the server and close every connection to it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)  # "fast": roll back and disconnect
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGQUIT)  # "immediate"
                self._process.wait(60)
            self._process = None

    def crash(self) -> None:
        """End every process of the server at once; the next start recovers from the write-ahead log."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(60)

    def new_database(self) -> str:
        """The address of a fresh, empty database."""
        name = f"test_{next(self._numbers)}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self._url(name)

    def remove(self) -> None:
        """Stop the server, without the care that a folder would need that is kept, and remove its folder."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One PostgreSQL for the whole run; ask it for a `new_database()`."""
    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.remove()
