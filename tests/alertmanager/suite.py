"""Alertmanager's own acceptance suites, run against Tocsin in a folder of their own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

import pytest

from scripts import alertmanager_release

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {"api_v2": "test/with_api_v2/acceptance", "cli": "test/cli/acceptance"}
"""Where each suite is run: it looks for its programs three folders above."""
OUTCOME = re.compile(r"^--- (PASS|FAIL|SKIP): (\w+) ", re.MULTILINE)
AT_ONCE = 4
"""Tests side by side; most of the time each waits for its intervals."""
READY_S, SUITE_S = 120, 400

Name = Literal["api_v2", "cli"]


class Run(NamedTuple):
    """What became of each test, and all that was printed."""

    outcomes: dict[str, str]
    output: str


def release() -> Path:
    """The folder of Alertmanager's current release; where it cannot be built the test fails in CI, else is skipped."""
    try:
        return alertmanager_release.build()
    except (OSError, RuntimeError, subprocess.SubprocessError) as missing:
        reason = f"Alertmanager cannot be built on this machine: {missing}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


@contextmanager
def forker(folder: Path) -> Iterator[Path]:
    """The socket of a process that starts Tocsins; what it started ends with it."""
    path = folder / "forker"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.alertmanager.forker", str(path)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=(folder / "forker.log").open("wb"), start_new_session=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n", (folder / "forker.log").read_text()
        yield path
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(READY_S)


def prepare(folder: Path) -> None:
    """The places in which the suites look for `alertmanager`, which is Tocsin here, and `amtool`."""
    program = folder / "alertmanager"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{ROOT}/tests/alertmanager/shim.py" "$@"\n')
    program.chmod(0o755)
    (folder / "amtool").symlink_to(alertmanager_release.FOLDER / "amtool")
    for place in FOLDERS.values():
        (folder / place).mkdir(parents=True)
    (folder / "tmp").mkdir()


def run(name: Name, folder: Path, socket: Path, tests: Sequence[str] = ()) -> Run:
    """Run a suite, or some of its tests."""
    only = ["-test.run", f"^({'|'.join(tests)})$"] if tests else []
    command = [str(alertmanager_release.FOLDER / f"{name}.test"), "-test.v", "-test.parallel", str(AT_ONCE), *only]
    environment = os.environ | {"TOCSIN_FORKER": str(socket), "TMPDIR": str(folder / "tmp")}
    done = subprocess.run(
        command, cwd=folder / FOLDERS[name], env=environment, timeout=SUITE_S, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    output = done.stdout.decode("utf-8", "replace")
    return Run({test: outcome for outcome, test in OUTCOME.findall(output)}, output)
