"""`tocsin demo`, as a newcomer runs it: real Prometheus, real Alertmanager, real alerts, incidents, messages."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

from engine.cli.log import events_after
from engine.config import read_rules
from engine.core import Core
from engine.store import Store, verify_log
from schemas.events import DeliverySucceeded, IncidentOpened
from schemas.records import Configured, Received, Tick
from sources import PARSERS
from tests.servers import require
from tests.servers.process import PATIENCE_S

ENOUGH_S = 300
"""The shop fails 12 s after the start; the demo promises incidents within two minutes, but on no busy machine."""
FIGURES = re.compile(r"alerts=(\d+) .*incidents opened=(\d+) resolved=(\d+) notifications mail=(\d+) robot=(\d+)")


@pytest.fixture(autouse=True)
def _servers() -> None:
    require("prometheus")
    require("prometheus-alertmanager")


def _start(folder: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "engine.cli", "demo", "--folder", str(folder), "--no-live", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _left_behind(folder: Path) -> list[int]:
    """Processes that still name the demo's folder on their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if str(folder).encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:  # it has ended while we looked
                continue
    return found


def _follow_the_readme(folder: Path) -> None:
    """Run each command that the README gives for the demo, as it stands there; each must work and say something."""
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    blocks = re.findall(r"^```console\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    commands = [line for block in blocks for line in block.splitlines() if "var/demo/tocsin.yaml" in line]
    assert any(" explain " in line for line in commands), commands
    assert any("--decide-again" in line for line in commands), commands
    fingerprint = ""
    for line in commands:
        there = line.replace(".venv/bin/tocsin", f"{sys.executable} -m engine.cli").replace("var/demo", str(folder))
        there = there.replace("FINGERPRINT", fingerprint)
        ran = subprocess.run(
            ["bash", "-o", "pipefail", "-c", there], capture_output=True, text=True, timeout=2 * PATIENCE_S, check=False
        )
        # `grep | head -1` ends the pipe early, which pipefail reports as SIGPIPE (141) of the commands before it.
        assert ran.returncode in (0, 141), (line, ran.stdout, ran.stderr)
        assert ran.stdout.strip(), line
        if found := re.search(r'"fingerprint":"([0-9a-f]{16})', ran.stdout):
            fingerprint = found[1]


def _really_judge_otherwise(folder: Path, store: Store) -> None:
    """`tocsin whatif` says of other rules what really comes of the demo's alerts when they are judged by them."""
    other = folder.parent / "other.yaml"
    rules = yaml.safe_load((folder / "tocsin.yaml").read_text("utf-8"))["rules"]
    other.write_text(yaml.safe_dump(rules | {"grouping": {"by": ["alertname"]}}, allow_unicode=True), "utf-8")
    asked = [sys.executable, "-m", "engine.cli", "whatif", "--rules", str(other), "--since", "1d", "--json"]
    ran = subprocess.run(
        [*asked, "--config", str(folder / "tocsin.yaml")], capture_output=True, text=True, timeout=PATIENCE_S
    )
    said = json.loads(ran.stdout)
    assert said["safe"] is (ran.returncode == 0), ran.stderr
    core = Core(PARSERS)
    really = Counter[str]()
    wanted = read_rules(other.read_text("utf-8"), str(other), folder)
    received = [record for _, record in store.journal() if isinstance(record, Received)]
    for record in (Configured(received[0].at_ms, "system", wanted.canonical()), *received):
        while (due_ms := core.next_due_ms()) is not None and due_ms <= record.at_ms:
            core.handle(Tick(due_ms))
        really.update(core.handle(record).dispositions)
    assert said["candidate"]["dispositions"] == dict(really)
    assert said["candidate"]["dispositions"] != said["actual"]["dispositions"]


def test_alerts_become_incidents_and_people_are_told(tmp_path: Path) -> None:
    """Many alerts arrive, few incidents open, mail server and robot get messages; Ctrl-C then stops everything."""
    folder = tmp_path / "demo"
    demo = _start(folder, "--for", str(ENOUGH_S))
    assert demo.stdout is not None
    shown: list[str] = []
    figures = (0, 0, 0, 0, 0)
    try:
        for line in demo.stdout:
            shown.append(line)
            found = FIGURES.search(line)
            if found:
                figures = tuple(int(number) for number in found.groups())
            if figures[0] >= 10 and figures[1] >= 2 and figures[3] and figures[4]:
                break
    finally:
        demo.send_signal(signal.SIGINT)
        rest, _ = demo.communicate(timeout=PATIENCE_S)
    text = "".join(shown) + rest
    alerts, opened, _, mails, messages = figures
    assert demo.returncode == 0, text
    assert opened >= 2, text
    assert alerts > 2 * opened, text
    assert mails, text
    assert messages, text
    assert re.search(r"http://127\.0\.0\.1:\d+/setup\?token=", text), text
    assert not _left_behind(folder)
    store = Store.open(f"sqlite:///{folder}/tocsin.db", read_only=True)
    assert verify_log(store).fault is None
    events = [event.event.data for event in events_after(store, -1)]
    _really_judge_otherwise(folder, store)
    store.close()
    services = {event.service for event in events if isinstance(event, IncidentOpened)}
    assert services <= {"order-service", "payment-service", "search-gateway", "redis"}
    assert any(isinstance(event, DeliverySucceeded) for event in events)
    _follow_the_readme(folder)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP])
def test_it_stops_what_it_started_however_it_is_told(tmp_path: Path, how: signal.Signals) -> None:
    """SIGTERM, or a terminal that is closed, ends the demo and all of its processes."""
    folder = tmp_path / "demo"
    demo = _start(folder)
    assert demo.stdout is not None
    assert any("setup?token=" in line for line in demo.stdout)
    demo.send_signal(how)
    demo.communicate(timeout=PATIENCE_S)
    assert demo.returncode == 0
    assert not _left_behind(folder)


def test_it_keeps_off_a_folder_that_is_not_its_own(tmp_path: Path) -> None:
    """A folder with somebody's files is refused, and nothing in it is touched."""
    (tmp_path / "letter.txt").write_text("dear all")
    demo = _start(tmp_path, "--for", "1")
    out, _ = demo.communicate(timeout=PATIENCE_S)
    assert demo.returncode == 1
    assert "not empty" in out
    assert (tmp_path / "letter.txt").read_text() == "dear all"
