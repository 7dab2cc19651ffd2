"""A second server waits for the first and takes over when it is killed, on SQLite and on PostgreSQL."""

from __future__ import annotations

import time
from pathlib import Path

import httpx2
import pytest

from engine.store import verify_log
from schemas.records import Received
from tests.servers.postgres import Postgres
from tests.servers.process import eventually
from tests.servers.tocsin import Tocsin, webhook


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_the_standby_takes_over_after_kill_9(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Everything that the first has answered is there, the log goes on in one chain, and the standby answers."""
    server: Postgres | None = request.getfixturevalue("postgres") if kind == "postgresql" else None
    first = Tocsin(tmp_path / "first", server.new_database() if server else None)
    second = Tocsin(tmp_path / "second", first.database)
    second.process.command.append("--standby")
    async with first:
        assert (await first.send("alertmanager", webhook({"alertname": "A"}))).status_code == 200
        second.process.start()
        try:
            await eventually(lambda: "event=standby" in second.process.tail(), "the standby to wait")
            with pytest.raises(httpx2.TransportError):
                await second.send("alertmanager", webhook({"alertname": "B"}))
            began_s = time.monotonic()
            first.kill()
            await second.process.answers(lambda: _takes(second))
            print(f"\n{kind}: standby took over and accepted an alert {time.monotonic() - began_s:.2f} s after kill -9")
            assert "event=standby_takes_over" in second.process.tail()
            with second.store() as store:
                assert sum(isinstance(record, Received) for _, record in store.journal()) == 2
                assert verify_log(store).fault is None
        finally:
            second.process.stop()


async def _takes(second: Tocsin) -> bool:
    try:
        return (await second.send("alertmanager", webhook({"alertname": "B"}))).status_code == 200
    except httpx2.TransportError:
        return False
