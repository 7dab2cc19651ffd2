"""Faults as networks and disks have them: cut connections, file systems that turn read-only, pages full of noise.

Asked of Tocsin each time: a clear error, no wrong answer, and recovery alone or after the disk was repaired.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from tests.integration.crash_books import bodies_of
from tests.integration.crash_load import Load
from tests.integration.crash_site import SlowSmtp, check_everything, installation, settle
from tests.integration.test_store_outage import assert_says_so, send
from tests.servers import require
from tests.servers.cutting_proxy import CuttingProxy, Moment
from tests.servers.postgres import Postgres
from tests.servers.process import PATIENCE_S, eventually
from tests.servers.sqlite_pages import fold_in, leaves, overwrite, page_size, spoil
from tests.servers.tocsin import Ran, Tocsin, webhook

CUTS: tuple[Moment, ...] = ("transaction", "commit", "answer", "commit", "answer", "transaction", "answer")
DISK_MB = 32
REQUESTS, ALERTS = 80, 8


def one_line(ended: Ran) -> str:
    """The only line that a command has written about its failure, after exit code 1."""
    assert ended.code == 1, ended
    lines = [line for line in ended.err.splitlines() if line.strip() and "level=" not in line]
    assert len(lines) == 1, ended
    assert lines[0].startswith("tocsin: "), ended
    return lines[0]


async def readiness(tocsin: Tocsin) -> int:
    """The status of `/-/ready`."""
    async with httpx2.AsyncClient(base_url=tocsin.url, timeout=PATIENCE_S) as client:
        return (await client.get("/-/ready")).status_code


async def assert_kept(tocsin: Tocsin, *names: str) -> None:
    """Ended in order, Tocsin has exactly the bodies of these alerts, in this order, and its log holds."""
    assert await tocsin.terminate() == 0, tocsin.process.tail()
    verified = await tocsin.cli("log", "verify", "--decide-again")
    assert verified.code == 0, verified
    with tocsin.store() as store:
        bodies = [record.body for record in bodies_of(store).values()]
    assert bodies == [webhook({"alertname": name}) for name in names]


# --- connections that are cut ---------------------------------------------------------------------------------------


async def test_connections_are_cut_within_transactions_and_commits(tmp_path: Path, postgres: Postgres) -> None:
    """Cut inside statements, inside COMMIT and before its answer, under load: 503 meanwhile, and everything holds."""
    direct = postgres.new_database()
    async with CuttingProxy(postgres.port) as proxy, SlowSmtp() as mail:
        tocsin = installation(tmp_path, mail, proxy.before(direct))
        tocsin.database = direct  # for the test's own looks, which would keep the proxy's loop from running
        load = Load(tocsin, random.Random(11), await tocsin.token())
        async with tocsin:
            pid = tocsin.process.pid
            load.start()
            for moment in CUTS:
                answered = await load.going()
                proxy.cut_in(moment)
                await eventually(lambda: proxy.is_down, f"the connection to be cut in its {moment}")
                await assert_says_so(tocsin)
                assert await readiness(tocsin) == 503
                proxy.heal()
                await load.going(answered)
                assert await readiness(tocsin) == 200
            await load.stop()
            await settle(tocsin)
            assert (tocsin.process.pid, tocsin.process.exit_code) == (pid, None)
            found = await check_everything(tocsin, load, mail)
    assert proxy.cuts == list(CUTS)
    assert found.answered_requests > 100
    # Commits whose answer was cut off: their senders saw 503 and sent again, and that counted as repeated.
    assert found.copies > 0


# --- file systems that turn read-only -------------------------------------------------------------------------------


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """A command of the machine's administrator, with what it said."""
    return subprocess.run([str(part) for part in command], capture_output=True, text=True)


@pytest.fixture
def own_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, in memory, that can be mounted read-only while nobody writes to it."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system to make it read-only")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = run("mount", "-t", "tmpfs", "-o", f"size={DISK_MB * 2}m", "tmpfs", disk)
    if mounted.returncode != 0:
        pytest.skip(f"this machine does not let its root mount a disk: {mounted.stderr.strip()}")
    try:
        yield disk
    finally:
        assert run("umount", disk).returncode == 0


@pytest.fixture
def failing_disk(own_disk: Path) -> Iterator[Path]:
    """An ext4 in an image of its own; the kernel refuses to make a disk read-only by hand that is written to."""
    image, disk = own_disk / "image", own_disk / "ext4"
    disk.mkdir()
    with image.open("wb") as file:
        file.truncate(DISK_MB * 2**20)
    made = run(require("mkfs.ext4"), "-q", image)
    assert made.returncode == 0, made
    mounted = run("mount", "-o", "loop,errors=remount-ro", image, disk)
    if mounted.returncode != 0:
        pytest.skip(f"this machine has no loop devices: {mounted.stderr.strip()}")
    try:
        yield disk
    finally:
        run("umount", disk)


def fail_disk(disk: Path) -> None:
    """What the kernel does on ext4 when the device under it fails: nothing more is written, until it is repaired."""
    device = Path(run("findmnt", "-no", "SOURCE", disk).stdout.strip())
    assert device.name.startswith("loop"), device
    trigger = Path("/sys/fs/ext4", device.name, "trigger_fs_error")
    if not trigger.exists():
        pytest.skip("this kernel has no trigger for an error of ext4")
    trigger.write_text("tocsin's test")


async def test_a_file_system_mounted_read_only_stops_the_start(own_disk: Path, tmp_path: Path) -> None:
    """One line that names the file, and exit code 1; mounted for writing again, everything is there."""
    tocsin = Tocsin(tmp_path, f"sqlite:///{own_disk / 'tocsin.db'}")
    async with tocsin:
        assert (await send(tocsin, "Before")).status_code == 200
        assert await tocsin.terminate() == 0
        assert run("mount", "-o", "remount,ro", own_disk).returncode == 0
        for command in (("serve",), ("log", "verify")):
            line = one_line(await tocsin.cli(*command))
            assert str(own_disk / "tocsin.db") in line
            assert "read-only" in line
        assert run("mount", "-o", "remount,rw", own_disk).returncode == 0
        await tocsin.start()
        assert (await send(tocsin, "After")).status_code == 200
        await assert_kept(tocsin, "Before", "After")


async def test_a_disk_that_fails_under_a_running_tocsin(failing_disk: Path, tmp_path: Path) -> None:
    """ext4 turns read-only after an error: 503 and nothing taken, reading goes on; repaired, nothing is missing."""
    tocsin = Tocsin(tmp_path, f"sqlite:///{failing_disk / 'tocsin.db'}")
    async with tocsin:
        await tocsin.token()
        assert (await send(tocsin, "Before")).status_code == 200
        await tocsin.incident()
        before = await answers_of(tocsin, "/incidents")
        fail_disk(failing_disk)
        await assert_says_so(tocsin)
        assert await readiness(tocsin) == 503
        assert await answers_of(tocsin, "/incidents") in (before, None)
        assert await tocsin.terminate() == 0, tocsin.process.tail()
        one_line(await tocsin.cli("serve"))
        image = failing_disk.parent / "image"
        assert run("umount", failing_disk).returncode == 0
        assert run(require("e2fsck"), "-fy", image).returncode in (0, 1)  # 1: errors were corrected
        assert run("mount", "-o", "loop", image, failing_disk).returncode == 0
        await tocsin.start()
        assert (await send(tocsin, "After")).status_code == 200
        await assert_kept(tocsin, "Before", "After")


async def answers_of(tocsin: Tocsin, path: str) -> str | None:
    """What the API answers there; None for 503. Any other refusal, and an empty list of incidents, fails."""
    headers = {"Authorization": f"Bearer {await tocsin.token()}"}
    async with httpx2.AsyncClient(base_url=tocsin.url, headers=headers, timeout=PATIENCE_S) as client:
        answer = await client.get(f"/api/v1{path}")
    if answer.status_code == 503:
        assert int(answer.headers["retry-after"]) >= 1
        return None
    assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
    return str(answer.text)


# --- pages full of noise --------------------------------------------------------------------------------------------


async def fill(folder: Path) -> None:
    """A journal and log of many pages in `tocsin.db`; `killed.db` is how SIGKILL left it, without a snapshot."""
    async with Tocsin(folder) as tocsin:
        for number in range(REQUESTS):
            alerts = [{"alertname": f"Fault{number}-{index}", "service": f"s{number}"} for index in range(ALERTS)]
            assert (await tocsin.send("alertmanager", webhook(*alerts))).status_code == 200
        tocsin.kill()
        fold_in(folder / "tocsin.db")
        shutil.copy(folder / "tocsin.db", folder / "killed.db")
        await tocsin.start()
        assert await tocsin.terminate() == 0


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a Tocsin that was filled once for all tests of this file; copy what is damaged."""
    folder = tmp_path_factory.mktemp("filled")
    with ThreadPoolExecutor(1) as aside:
        aside.submit(asyncio.run, fill(folder)).result()
    return folder


def damaged(tmp_path: Path, original: Path, table: str, *, whole: bool) -> Tocsin:
    """A Tocsin that does not run, on a copy of `original` with noise in the middle of a table."""
    tocsin = Tocsin(tmp_path)
    file = tmp_path / "tocsin.db"
    shutil.copy(original, file)
    pages = leaves(file, table)
    page = pages[len(pages) // 2]
    size = page_size(file)
    overwrite(file, page, at=0 if whole else size * 3 // 4, length=size if whole else 24)
    return tocsin


@pytest.mark.parametrize("whole", [True, False], ids=["page", "bytes"])
async def test_a_damaged_page_of_the_log_is_found_by_verify(tmp_path: Path, filled: Path, whole: bool) -> None:
    """A page of noise, and noise within its rows: one line that names the database or the event, and exit code 1."""
    tocsin = damaged(tmp_path, filled / "tocsin.db", "events", whole=whole)
    line = one_line(await tocsin.cli("log", "verify"))
    assert str(tmp_path / "tocsin.db") in line or "the log does not hold: event " in line


@pytest.mark.parametrize("whole", [True, False], ids=["page", "bytes"])
async def test_a_damaged_page_of_the_journal_stops_the_start(tmp_path: Path, filled: Path, whole: bool) -> None:
    """A state that must be replayed out of noise is not served: one line, exit code 1; `verify` says the same."""
    tocsin = damaged(tmp_path, filled / "killed.db", "journal", whole=whole)
    for command in (("serve",), ("log", "verify", "--decide-again")):
        line = one_line(await tocsin.cli(*command))
        assert str(tmp_path / "tocsin.db") in line or "record " in line


async def test_a_damaged_header_stops_the_start(tmp_path: Path, filled: Path) -> None:
    """Noise on the first page: one line that names the file, and exit code 1."""
    tocsin = Tocsin(tmp_path)
    shutil.copy(filled / "tocsin.db", tmp_path / "tocsin.db")
    overwrite(tmp_path / "tocsin.db", 1)
    for command in (("serve",), ("log", "verify")):
        assert str(tmp_path / "tocsin.db") in one_line(await tocsin.cli(*command))


async def test_a_damaged_snapshot_is_no_loss(tmp_path: Path, filled: Path) -> None:
    """A snapshot that does not read back as it was written is left aside: the journal gives the same state."""
    tocsin = Tocsin(tmp_path)
    file = tmp_path / "tocsin.db"
    shutil.copy(filled / "tocsin.db", file)
    with closing(sqlite3.connect(file)) as connection:
        (state,) = connection.execute("SELECT state FROM snapshots").fetchone()
    spoil(file, state[len(state) // 2 :][:24])
    async with tocsin:
        again = webhook(*({"alertname": f"Fault7-{index}", "service": "s7"} for index in range(ALERTS)))
        answer = await tocsin.send("alertmanager", again)
        assert answer.json()["dispositions"] == {"repeated": ALERTS}
        assert "snapshot_unreadable" in tocsin.process.tail()
        assert await tocsin.terminate() == 0, tocsin.process.tail()
        verified = await tocsin.cli("log", "verify", "--decide-again")
        assert verified.code == 0, verified


async def test_pages_damaged_under_a_running_tocsin_give_503_and_no_wrong_answer(tmp_path: Path, filled: Path) -> None:
    """Noise on every page but the first: 503 everywhere or the answer of before; the copy of before serves again."""
    tocsin = Tocsin(tmp_path)
    file, kept = tmp_path / "tocsin.db", tmp_path / "kept.db"
    shutil.copy(filled / "tocsin.db", file)
    paths = ["/incidents?state=all", "/incidents/INC-1", "/ledger", "/deliveries"]
    async with tocsin:
        await tocsin.token()
        assert (await send(tocsin, "Before")).status_code == 200
        await tocsin.caught_up()
        before = {path: await answers_of(tocsin, path) for path in paths}
        assert None not in before.values()
        fold_in(file)
        shutil.copy(file, kept)
        for page in range(2, file.stat().st_size // page_size(file) + 1):
            overwrite(file, page, seed=page)
        await assert_says_so(tocsin)
        assert await readiness(tocsin) == 503
        for path in paths:
            assert await answers_of(tocsin, path) in (before[path], None), path
        assert await tocsin.terminate() == 0, tocsin.process.tail()
        one_line(await tocsin.cli("log", "verify"))
        one_line(await tocsin.cli("serve"))
        for beside in tmp_path.glob("tocsin.db-*"):
            beside.unlink()
        shutil.copy(kept, file)
        await tocsin.start()
        assert (await send(tocsin, "After")).status_code == 200
        assert await tocsin.terminate() == 0, tocsin.process.tail()
        verified = await tocsin.cli("log", "verify", "--decide-again")
        assert verified.code == 0, verified
