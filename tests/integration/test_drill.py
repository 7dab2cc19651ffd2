"""Backup and drill beside a running server, on SQLite and on PostgreSQL: the result is on its record."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from schemas.events import DrillRecorded
from tests.servers.postgres import Postgres
from tests.servers.tocsin import Tocsin, webhook


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_a_drill_beside_a_running_server(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """While alerts come in, a backup is taken and drilled; the server logs who did it and what was measured."""
    server: Postgres | None = request.getfixturevalue("postgres") if kind == "postgresql" else None
    async with Tocsin(tmp_path / "tocsin", server.new_database() if server else None) as tocsin:
        token = await tocsin.token()
        backups = str(tmp_path / "backups")
        sending = asyncio.create_task(_send(tocsin))
        taken = await tocsin.cli("backup", backups)
        assert taken.code == 0, taken
        drilled = await tocsin.cli("drill", backups, "--decide-again", "--token", token)
        sending.cancel()
        assert drilled.code == 0, drilled
        assert "on record" in drilled.out
        print(f"\n{kind}: " + ", ".join(re.findall(r"(?:RTO|RPO) +[\d.]+ s", drilled.out)))
        with tocsin.store() as store:
            (recorded,) = store.log_of("drill")
        assert isinstance(recorded.event.data, DrillRecorded)
        assert (recorded.event.actor, recorded.event.data.passed) == ("user:li", True)
        assert tocsin.process.exit_code is None


async def _send(tocsin: Tocsin) -> None:
    for number in range(100_000):
        answer = await tocsin.send("alertmanager", webhook({"alertname": f"A{number}"}))
        assert answer.status_code == 200
