"""What a person or a program sees of a running Tocsin: signed-in requests, one after another, on one connection."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from pathlib import Path

from bench.servers import Tocsin
from engine import bootstrap
from engine.config import load
from web.site import cookie_name

VISITOR, PASSWORD = "visitor", "Bench-visit-2026"
"""Of an account that goes with its database."""


def filled(database: Path, port: int = 0) -> type[Tocsin]:
    """Tocsin on a database that is there already and stays; `port` 0 is any."""

    class Filled(Tocsin):
        """Its settings, but for where the database is."""

        def command(self) -> list[str]:
            """The command line of the server."""
            command = super().command()
            config = Path(command[-1])
            settings = json.loads(config.read_text())
            settings["store"]["url"], settings["server"]["port"] = f"sqlite:///{database}", port
            settings["server"]["alertmanager_api"] = "open"
            config.write_text(json.dumps(settings))
            self.port = port
            return command

    return Filled


def signed_in(server: Tocsin) -> dict[str, str]:
    """The headers of a browser that is signed in as the only administrator, made at the first call."""
    settings = load(server.folder / "tocsin.yaml")
    store = bootstrap.open_store(settings)
    try:
        accounts = bootstrap.open_accounts(settings, store, lambda: time.time_ns() // 1_000_000)
        token = accounts.first_run_token()
        if token is not None:
            accounts.set_up(token, VISITOR, PASSWORD)
        return {"Cookie": f"{cookie_name(settings)}={accounts.sign_in(VISITOR, PASSWORD).token}"}
    finally:
        store.close()


def get(port: int, path: str, headers: Mapping[str, str], times: int = 1) -> tuple[list[float], int]:
    """Seconds from each request to the last byte of its answer, and the bytes of the last; all must be 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    taken: list[float] = []
    body = b""
    for _ in range(times):
        began = time.perf_counter()
        connection.request("GET", path, headers=dict(headers))
        answer = connection.getresponse()
        body = answer.read()
        taken.append(time.perf_counter() - began)
        if answer.status != 200:
            raise RuntimeError(f"GET {path}: {answer.status} {answer.reason}")
    connection.close()
    return taken, len(body)
