"""Upgrade and rollback, as far as processes allow: an old release of the history, then today's code, one database."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from pathlib import Path

import httpx2
import pytest

from engine.store import verify_log
from engine.store.migrations import CURRENT
from tests.deploy.places import ROOT
from tests.servers.postgres import Postgres
from tests.servers.process import PATIENCE_S, Process, eventually
from tests.servers.tocsin import Tocsin, webhook

OLD = "4fb77693083935cdc5842a088724a4f04d885d22"
"""The commit whose program is upgraded from: schema 3, core 1."""
OLD_SCHEMA = 3


@pytest.fixture(scope="module")
def old_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The old program, as it lies in the history; its libraries are those of this environment."""
    archive = subprocess.run(["git", "-C", str(ROOT), "archive", "--format=tar", OLD], capture_output=True, check=False)
    if archive.returncode:
        pytest.skip(f"this clone has no commit {OLD} to upgrade from: {archive.stderr.decode().strip()}")
    tree = tmp_path_factory.mktemp("old")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as packed:
        packed.extractall(tree, filter="data")
    return tree


def _old(tocsin: Tocsin, tree: Path) -> Process:
    """The old program's server on the same configuration."""
    start = f"import sys; sys.path.insert(0, {str(tree)!r}); from engine.cli import app; app()"
    command = [sys.executable, "-c", start, "serve", "--config", str(tocsin.config)]
    return Process("the old tocsin serve", command, tocsin.folder / "old.log")


async def _ready(url: str) -> bool:
    try:
        async with httpx2.AsyncClient(timeout=60) as client:
            return (await client.get(f"{url}/-/ready")).status_code == 200
    except httpx2.TransportError:
        return False


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_a_new_release_takes_over_from_an_old_one(
    kind: str, old_tree: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The new one waits as a standby while the old one serves, and goes on with its incidents and its log.

    Then the old one is started again: it serves a database of its own schema version, and refuses a newer one.
    """
    server: Postgres | None = request.getfixturevalue("postgres") if kind == "postgresql" else None
    new = Tocsin(tmp_path / "site", server.new_database() if server else None)
    old = _old(new, old_tree)
    disk, link = ({"alertname": name, "service": "checkout", "severity": "critical"} for name in ("Disk", "Link"))
    other = {"alertname": "Other", "service": "billing"}
    old.start()
    try:
        await old.answers(lambda: _ready(new.url), PATIENCE_S)
        assert (await new.send("alertmanager", webhook(disk, link))).json()["dispositions"]["opened"] == 1
        assert (await new.send("alertmanager", webhook(other))).status_code == 200
        new.process.command.append("--standby")
        new.process.start()
        await eventually(lambda: "event=standby" in new.process.tail(), "the new one to wait", timeout_s=PATIENCE_S)
        # The new one has brought the tables up to date by now, and the old one still accepts.
        assert (await new.send("alertmanager", webhook(disk))).json()["dispositions"]["repeated"] == 1
        old.terminate()
        assert await old.ended() == 0, old.tail()
        await new.process.answers(lambda: _ready(new.url), PATIENCE_S)
        await _goes_on(new, disk, other)
        assert await new.terminate() == 0, new.process.tail()
        with new.store() as store:
            assert verify_log(store).fault is None
        await _rolled_back(new, old, disk)
    finally:
        new.process.stop()
        old.stop()


async def _goes_on(new: Tocsin, disk: dict[str, str], other: dict[str, str]) -> None:
    """What the old release decided holds: alerts are known, incidents keep their names, commands reach them."""
    answer = (await new.send("alertmanager", webhook(disk))).json()
    assert answer["dispositions"] == {"repeated": 1}, answer

    async def named() -> dict[str, str] | None:
        found = (await new.api("/incidents?state=all"))["incidents"]
        return {one["service"]: one["incident"] for one in found} if len(found) == 2 else None

    by_service = await eventually(named, "both incidents in the read models", timeout_s=PATIENCE_S)
    assert by_service == {"checkout": "INC-1", "billing": "INC-2"}
    done = await new.api("/commands", {"type": "acknowledge", "incident": by_service["checkout"]})
    assert "incident_acknowledged" in [event["type"] for event in done["events"]]
    assert (await new.send("alertmanager", webhook(other, status="resolved"))).json()["dispositions"]["resolved"] == 1


async def _rolled_back(new: Tocsin, old: Process, disk: dict[str, str]) -> None:
    """The old release on the database that the new one has written to."""
    old.start()
    if CURRENT == OLD_SCHEMA:
        await old.answers(lambda: _ready(new.url), PATIENCE_S)
        assert (await new.send("alertmanager", webhook(disk))).json()["dispositions"] == {"repeated": 1}
        return
    assert await old.ended() == 1
    assert "a newer Tocsin has written" in old.tail()
