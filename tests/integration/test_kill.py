"""`kill -9` under load, again and again: nothing that was answered is lost, and nobody is paged twice.

TOCSIN_KILLS=100 makes more of it; TOCSIN_WRITE_REPORT=1 writes the figures into docs/reliability.md.
"""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest

from engine.core import CORE_VERSION
from tests.integration.crash_books import Found
from tests.integration.crash_load import Load
from tests.integration.crash_report import write_report
from tests.integration.crash_site import SlowSmtp, check_everything, installation, settle
from tests.servers.postgres import Postgres
from tests.servers.tocsin import Tocsin

KILLS = int(os.environ.get("TOCSIN_KILLS", "12"))
SEED = int(os.environ.get("TOCSIN_SEED", "20260105"))


async def kill_again_and_again(load: Load, dice: random.Random, kills: int) -> None:
    """So many kills at random moments, one in five of them while it is starting, each followed by a restart at once."""
    tocsin = load.tocsin
    for number in range(kills):
        if number % 5 == 4:
            tocsin.process.start()
            await asyncio.sleep(dice.uniform(0.3, 2.0))
        else:
            await tocsin.start()
            await load.going()
            await asyncio.sleep(dice.uniform(0, 1.0))
        tocsin.kill()
    await tocsin.start()


async def crash_run(folder: Path, kills: int, database: str | None = None) -> tuple[Found, list[float]]:
    """A burst with kills, and the checks after it; the figures, and the seconds of each restart."""
    dice = random.Random(SEED)
    async with SlowSmtp() as mail:
        tocsin = installation(folder, mail, database)
        try:
            load = Load(tocsin, dice, await tocsin.token())
            load.start()
            await kill_again_and_again(load, dice, kills)
            await load.stop()
            await settle(tocsin)
            found = await check_everything(tocsin, load, mail)
        finally:
            tocsin.process.stop()
    return found, tocsin.ready_s[1:]


async def test_a_killed_tocsin_loses_nothing_it_answered(tmp_path: Path) -> None:
    """SQLite: every answered alert and command is there, once; books, replay, read models and pages agree."""
    found, ready_s = await crash_run(tmp_path, KILLS)
    assert found.answered_requests > 16 * KILLS
    assert found.unanswered_attempts > 0, "no kill met a request: the test has shown nothing"
    assert found.deliveries.get("succeeded", 0) > 0
    write_report("SQLite", KILLS, SEED, found, ready_s)


async def test_the_same_on_postgresql(tmp_path: Path, postgres: Postgres) -> None:
    """PostgreSQL: the same holds, whatever the server still had under way for the killed process."""
    kills = max(3, KILLS // 3)
    found, ready_s = await crash_run(tmp_path, kills, postgres.new_database())
    assert found.answered_requests > 16 * kills
    assert found.unanswered_attempts > 0, "no kill met a request: the test has shown nothing"
    write_report("PostgreSQL", kills, SEED, found, ready_s)


async def test_told_to_stop_in_a_burst_it_answers_what_it_took(tmp_path: Path) -> None:
    """SIGTERM under load: exit code 0, a snapshot at the very end of the journal, and nothing answered is missing."""
    async with SlowSmtp() as mail:
        tocsin = installation(tmp_path, mail)
        load = Load(tocsin, random.Random(SEED), await tocsin.token())
        async with tocsin:
            load.start()
            await load.going()
            await load.going()
            await load.going()
            assert await tocsin.terminate() == 0, tocsin.process.tail()
            with tocsin.store() as store:
                snapshot = store.snapshot(core_version=CORE_VERSION)
                assert snapshot is not None
                assert snapshot.position == store.position()
            await tocsin.start()
            await load.stop()
            await settle(tocsin)
            found = await check_everything(tocsin, load, mail)
    assert found.answered_requests > 50
    assert "unconfirmed" not in found.deliveries, "an orderly end leaves no message without its answer"


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_a_second_server_on_one_database_is_refused(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    """One clear line and exit code 1 while the first runs; after a kill of the first, the second may serve."""
    server: Postgres | None = request.getfixturevalue("postgres") if kind == "postgresql" else None
    database = server.new_database() if server else f"sqlite:///{tmp_path / 'shared.db'}"
    first, second = Tocsin(tmp_path / "first", database), Tocsin(tmp_path / "second", database)
    async with first:
        refused = await second.cli("serve")
        assert refused.code == 1
        assert "already writes to this database" in refused.err
        assert len(refused.err.strip().splitlines()) == 1, refused.err
        assert first.process.exit_code is None
        first.kill()
        async with second:
            assert (await second.send("script", b'{"title": "disk full"}')).status_code == 200
