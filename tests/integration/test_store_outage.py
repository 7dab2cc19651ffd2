"""The store goes away while Tocsin runs: it says so, stays up, and goes on by itself; nothing answered is lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.integration.crash_books import bodies_of
from tests.integration.crash_load import Load
from tests.integration.crash_site import SlowSmtp, check_everything, installation, settle
from tests.servers import free_port
from tests.servers.postgres import Postgres
from tests.servers.process import PATIENCE_S, eventually
from tests.servers.tocsin import Tocsin, webhook

DISK_MB = 16


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A PostgreSQL that a test may stop without harm to others."""
    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of DISK_MB of its own, in memory."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk to fill")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(disk)], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"this machine does not let its root mount a disk: {mounted.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


async def send(tocsin: Tocsin, name: str) -> httpx2.Response:
    """One new alert."""
    return await tocsin.send("alertmanager", webhook({"alertname": name}))


async def assert_says_so(tocsin: Tocsin) -> None:
    """Senders and users get 503 with Retry-After, without internals; the process itself is well."""
    refused = [await send(tocsin, "During")]
    headers = {"Authorization": f"Bearer {await tocsin.token()}"}
    async with httpx2.AsyncClient(base_url=tocsin.url, headers=headers, timeout=PATIENCE_S) as client:
        command = {"type": "report_incident", "title": "seen by a person"}
        refused.append(await client.post("/api/v1/commands", json=command))
        healthy, metrics = await client.get("/-/healthy"), await client.get("/metrics")
    for answer in refused:
        assert answer.status_code == 503, answer.text
        assert int(answer.headers["retry-after"]) >= 1
        assert "Traceback" not in answer.text
        assert "postgresql" not in answer.text
    assert (healthy.status_code, metrics.status_code) == (200, 200)
    assert tocsin.process.exit_code is None, tocsin.process.tail()


async def test_postgresql_goes_away_and_comes_back_under_load(tmp_path: Path, own_postgres: Postgres) -> None:
    """Stopped in order, then by force, and started again: 503 meanwhile, and all that must hold holds afterwards."""
    async with SlowSmtp() as mail:
        tocsin = installation(tmp_path, mail, own_postgres.new_database())
        load = Load(tocsin, random.Random(7), await tocsin.token())
        async with tocsin:
            pid = tocsin.process.pid
            load.start()
            for how in (signal.SIGINT, signal.SIGQUIT):
                answered = await load.going()
                os.kill(own_postgres.pid, how)
                await asyncio.to_thread(own_postgres.stop)
                await assert_says_so(tocsin)
                await asyncio.to_thread(own_postgres.start)
                await load.going(answered)
            await load.stop()
            await settle(tocsin)
            assert (tocsin.process.pid, tocsin.process.exit_code) == (pid, None)
            found = await check_everything(tocsin, load, mail)
    assert found.answered_requests > 50


async def test_a_full_disk_is_refused_and_survived(small_disk: Path, tmp_path: Path) -> None:
    """SQLite: no room means 503 and nothing taken; with room again Tocsin goes on without a restart."""
    filler = small_disk / "somebody-elses-file"
    async with Tocsin(tmp_path, f"sqlite:///{small_disk / 'tocsin.db'}") as tocsin:
        await tocsin.token()
        assert (await send(tocsin, "Before")).status_code == 200
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 4096)
        assert os.statvfs(small_disk).f_bavail == 0
        taken = ["Before"]

        async def refused() -> bool:
            name = f"Filling{len(taken)}"
            answer = await send(tocsin, name)
            if answer.status_code == 200:
                taken.append(name)
            return answer.status_code == 503

        await eventually(refused, "the disk to be full", every_s=0)
        await assert_says_so(tocsin)
        filler.unlink()

        async def accepted() -> bool:
            return (await send(tocsin, "After")).status_code == 200

        await eventually(accepted, "Tocsin to go on by itself")
        assert await tocsin.terminate() == 0, tocsin.process.tail()
        verified = await tocsin.cli("log", "verify", "--decide-again")
        assert verified.code == 0, verified
        with tocsin.store() as store:
            bodies = [record.body for record in bodies_of(store).values()]
    # Refused ones are not in the journal, taken ones are, each once.
    assert bodies == [webhook({"alertname": name}) for name in (*taken, "After")]


async def test_an_unreachable_database_stops_the_start_with_one_clear_line(tmp_path: Path) -> None:
    """No PostgreSQL at the configured address: one line that says so, without the password, and exit code 1."""
    tocsin = Tocsin(tmp_path, f"postgresql://tocsin:hidden-password@127.0.0.1:{free_port()}/tocsin")
    ended = await tocsin.cli("serve")
    assert ended.code == 1
    lines = [line for line in (ended.out + ended.err).splitlines() if line.strip()]
    assert len(lines) == 1, ended
    assert "refused" in lines[0]
    assert "hidden-password" not in lines[0]
