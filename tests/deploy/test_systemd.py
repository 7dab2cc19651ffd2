"""The units for bare hosts: systemd takes them, they are closed to what Tocsin does not need, their commands exist."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.cli import app
from tests.deploy.places import DEPLOY, ROOT, read_yaml

FOLDER = DEPLOY / "systemd"
SERVICES = sorted(FOLDER.glob("*.service"))
TIMERS = sorted(FOLDER.glob("*.timer"))
PROGRAM = "/opt/tocsin/bin/tocsin"
EXPOSURE_TENTHS = 20
"""systemd's own measure, 0 (closed) … 100: "OK" begins at 30."""


class _Unit(configparser.RawConfigParser):
    """A unit file; of a key that is given twice the last counts here."""

    def __init__(self, file: Path) -> None:
        super().__init__(strict=False, interpolation=None, delimiters=("=",))
        self.read(file, "utf-8")

    def optionxform(self, optionstr: str) -> str:
        """Keys as they are written."""
        return optionstr


def _analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed on this machine")
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units as they are installed, but for the program, which is a file that can be executed here."""
    for file in (*SERVICES, *TIMERS):
        (tmp_path / file.name).write_text(file.read_text("utf-8").replace(PROGRAM, sys.executable))
    return tmp_path


def test_systemd_takes_the_units(units: Path) -> None:
    """`systemd-analyze verify` finds nothing wrong, and no key that it does not know."""
    files = [str(units / file.name.replace("@.", "@1.")) for file in (*SERVICES, *TIMERS)]
    checked = _analyze("verify", "--man=no", "--recursive-errors=no", *files)
    ours = [line for line in checked.stderr.splitlines() if "tocsin" in line]
    assert checked.returncode == 0, checked.stderr
    assert not ours


@pytest.mark.parametrize("file", SERVICES, ids=lambda file: file.name)
def test_systemd_counts_the_services_as_closed(file: Path, units: Path) -> None:
    """By systemd's own measure of exposure each is well within "OK"."""
    checked = _analyze(
        "security", "--offline=true", "--no-pager", f"--threshold={EXPOSURE_TENTHS}", str(units / file.name)
    )
    assert checked.returncode == 0, checked.stdout[-500:] + checked.stderr


@pytest.mark.parametrize("file", SERVICES, ids=lambda file: file.name)
def test_every_service_has_the_same_walls(file: Path) -> None:
    """User, state and hardening are equal in all of them, so that one command sees what another wrote."""
    unit, model = _Unit(file), _Unit(FOLDER / "tocsin.service")
    walls = [key for key in model["Service"] if key.startswith(("Protect", "Private", "Restrict", "SystemCall"))]
    assert len(walls) > 15
    for key in (*walls, "User", "Group", "StateDirectory", "UMask", "NoNewPrivileges", "CapabilityBoundingSet"):
        assert unit["Service"][key] == model["Service"][key], key
    assert unit["Service"]["ProtectSystem"] == "strict"


@pytest.mark.parametrize("file", TIMERS, ids=lambda file: file.name)
def test_every_timer_has_a_service_and_a_time(file: Path) -> None:
    """The service of the same name is there, once only, and systemd understands when."""
    service = _Unit(file.with_suffix(".service"))
    assert service["Service"]["Type"] == "oneshot"
    checked = _analyze("calendar", _Unit(file)["Timer"]["OnCalendar"])
    assert checked.returncode == 0, checked.stderr


def test_backups_are_taken_often_enough() -> None:
    """The timer fires at least every five minutes, as the RPO wants it."""
    (minutes,) = re.findall(r"\*:0/(\d+)$", _Unit(FOLDER / "tocsin-backup.timer")["Timer"]["OnCalendar"])
    assert int(minutes) < 5


def _commands() -> list[tuple[str, ...]]:
    """Every `tocsin …` that a unit or a container runs."""
    found = set()
    for file in SERVICES:
        for line in re.findall(r"^Exec\w+=(.+)$", file.read_text("utf-8"), re.MULTILINE):
            program, *arguments = shlex.split(line)
            assert program == PROGRAM
            found.add(tuple(arguments))
    for service in read_yaml(ROOT / "docker-compose.yml")["services"].values():
        if service["image"].startswith("tocsin:") and "entrypoint" not in service:
            found.add(tuple(service["command"]))
    return sorted(found)


@pytest.mark.parametrize("command", _commands(), ids=" ".join)
def test_every_command_is_there(command: tuple[str, ...]) -> None:
    """The command exists, and knows the options that it is given."""
    groups = {group.name for group in app.registered_groups}
    depth = 2 if command[0] in groups else 1
    result = CliRunner().invoke(app, [*command[:depth], "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert result.exit_code == 0, result.output
    plain = re.sub(r"\x1b\[[0-9;]*m", "", result.output)
    for option in command[depth:]:
        assert not option.startswith("--") or option in plain, option
