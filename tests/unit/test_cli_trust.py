"""The operator's commands for trust, without a server: verify, anchor, archive, backup, restore, drill."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner, Result

from engine.cli import app
from engine.core import CORE_VERSION
from engine.runtime.judge import Judge
from engine.store import Keyring, Store
from engine.store.migrations import CURRENT
from schemas import records as r
from schemas.events import DrillRecorded
from sources import PARSERS

KEY = "a key of the auditor"
DAY_MS = 86_400_000


def _tocsin(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A keyed store with a report of 300 days ago and one of now; its newest snapshot stands behind both."""
    opened = Store.open(f"sqlite:///{tmp_path}/tocsin.db", keys=Keyring("hmac-sm3", KEY.encode()))
    judge = Judge(opened, PARSERS)
    now_ms = time.time_ns() // 1_000_000
    report = b'{"type":"report_incident","title":"slow"}'
    times = (now_ms - 300 * DAY_MS, now_ms)
    opened.append([judge.judge(r.Commanded(at_ms, f"c{at_ms}", "user:li", report))[0] for at_ms in times])
    judge.committed()
    opened.save_snapshot(judge.snapshot())
    assert opened.snapshot(core_version=CORE_VERSION) is not None
    return opened


@pytest.fixture
def config(tmp_path: Path, store: Store) -> Path:
    """Its tocsin.yaml, with the key in a file beside it."""
    (tmp_path / "chain.key").write_text(KEY + "\n")
    file = tmp_path / "tocsin.yaml"
    file.write_text(
        f"server: {{port: 0}}\n"
        f"store: {{url: 'sqlite:///{tmp_path}/tocsin.db', chain: hmac-sm3, chain_key_file: chain.key,"
        f" archive: {tmp_path}/archive}}\nanchors: {{file: {tmp_path}/anchors.jsonl}}\n"
    )
    store.close()
    return file


def test_verify_names_the_algorithm_and_compares_the_anchors(config: Path, tmp_path: Path) -> None:
    """`log anchor` adds a line; `log verify` says what the links were made with and how many anchors agree."""
    placed = json.loads(_tocsin("log", "anchor", "-c", config).stdout)
    assert (placed["algorithm"], placed["partition"]) == ("hmac-sm3", 0)
    shown = _tocsin("log", "verify", "--decide-again", "-c", config)
    assert shown.exit_code == 0, shown.output
    assert "; hmac-sm3 " in shown.stdout
    assert f"1 anchors in {tmp_path}/anchors.jsonl agree" in shown.stdout
    assert "decided again" in shown.stdout


def test_a_cut_tail_is_exit_code_1(config: Path, tmp_path: Path, store: Store) -> None:
    """`log verify --anchors` fails and says how far the log once went."""
    assert _tocsin("log", "anchor", "--to", tmp_path / "elsewhere", "-c", config).exit_code == 0
    with store.writing() as tx:
        tx.execute(text("DROP TRIGGER events_refuses_delete"))
        tx.execute(text("DELETE FROM events WHERE seq > 0"))
        tx.execute(text("UPDATE checkpoints SET next_seq = 1, head = (SELECT hash FROM events)"))
    store.close()
    assert _tocsin("log", "verify", "-c", config).exit_code == 0
    told = _tocsin("log", "verify", "--anchors", tmp_path / "elsewhere", "-c", config)
    assert told.exit_code == 1
    assert "the log ends at seq 0, the anchor of " in told.stderr


def test_without_the_key_verify_asks_for_it(config: Path, tmp_path: Path) -> None:
    """A missing key is a setting to correct, not an altered log."""
    bare = tmp_path / "bare.yaml"
    bare.write_text(f"store: {{url: 'sqlite:///{tmp_path}/tocsin.db'}}\n")
    told = _tocsin("log", "verify", "-c", bare)
    assert told.exit_code == 1
    assert told.stderr.startswith("tocsin: store.chain_key: ")
    short = tmp_path / "short.yaml"
    short.write_text(f"store: {{url: 'sqlite:///{tmp_path}/tocsin.db', chain: hmac-sm3, chain_key: short}}\n")
    assert "too short" in _tocsin("log", "verify", "-c", short).stderr
    without = tmp_path / "without.yaml"
    without.write_text("store: {chain: hmac-sm3}\n")
    assert "chain_key: is required for hmac-sm3" in _tocsin("config", "check", "-c", without).stderr


def test_old_records_are_archived_and_still_decided_again(config: Path, tmp_path: Path) -> None:
    """`journal archive` takes the old record only; replay reads it from the archive; --check finds a damaged file."""
    refused = _tocsin("journal", "archive", "--older-than", "30d", "-c", config)
    assert refused.exit_code == 1
    assert "180 at least" in refused.stderr
    done = _tocsin("journal", "archive", "--older-than", "180d", "-c", config)
    assert done.exit_code == 0, done.output
    assert "1 records archived" in done.stdout
    assert "0 alerts received" in _tocsin("log", "verify", "--decide-again", "-c", config).stdout
    (listed,) = json.loads(_tocsin("journal", "segments", "--check", "--json", "-c", config).stdout)
    assert (listed["first_offset"], listed["next_offset"]) == (0, 1)
    (tmp_path / "archive" / listed["file"]).write_bytes(b"rust")
    assert _tocsin("journal", "segments", "--check", "-c", config).exit_code == 1
    assert _tocsin("log", "verify", "--decide-again", "-c", config).exit_code == 1


def test_backup_restore_and_drill(config: Path, tmp_path: Path, store: Store) -> None:
    """A backup is restored elsewhere; a drill in time passes and is on record, as an event with its figures."""
    folder = tmp_path / "backups"
    assert _tocsin("backup", folder, "-c", config).exit_code == 0
    done = _tocsin("restore", folder, "--to", f"sqlite:///{tmp_path}/again/tocsin.db", "-c", config)
    assert done.exit_code == 0, done.output
    assert "events hold" in done.stdout
    again = _tocsin("restore", folder, "--to", f"sqlite:///{tmp_path}/again/tocsin.db", "-c", config)
    assert again.exit_code == 1
    assert "nothing is overwritten" in again.stderr
    drilled = _tocsin("drill", folder, "--decide-again", "-c", config)
    assert drilled.exit_code == 0, drilled.output
    assert "passed\non record" in drilled.stdout
    (recorded,) = store.log_of("drill")
    assert isinstance(recorded.event.data, DrillRecorded)
    assert recorded.event.data.passed
    assert recorded.event.data.decided_again
    assert _tocsin("log", "verify", "--decide-again", "-c", config).exit_code == 0


def test_a_drill_beyond_the_promise_fails(config: Path, tmp_path: Path, store: Store) -> None:
    """With records of more than five minutes that the backup does not have, exit code 1, and on record as failed."""
    folder = tmp_path / "backups"
    early = _tocsin("backup", folder, "-c", config)
    assert early.exit_code == 0
    file = next(folder.glob("*.json"))
    description = json.loads(file.read_text())
    judge = Judge(store, PARSERS)
    late = r.Tick(time.time_ns() // 1_000_000 - 6 * 60_000)
    store.append([judge.judge(late)[0]])
    store.close()
    assert description["next_offset"] == 2
    drilled = _tocsin("drill", folder, "-c", config)
    assert drilled.exit_code == 1
    assert "FAILED\non record" in drilled.stdout
    (recorded,) = store.log_of("drill")
    assert isinstance(recorded.event.data, DrillRecorded)
    assert not recorded.event.data.passed
    assert recorded.event.data.rpo_ms > 5 * 60_000


def test_doctor_shows_the_schema_version(config: Path) -> None:
    """The version of the tables stands beside the database."""
    found = json.loads(_tocsin("doctor", "--json", "-c", config).stdout)
    assert f"schema version {CURRENT}" in next(one["what"] for one in found if one["check"] == "database")
