"""Peers that are Python packages: installed by pip into an environment of their own, which Tocsin never imports."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.servers import ROOT

INSTALL_S = 180
NOT_ASKED = "needs --with-peers FOLDER, which installs it into an environment of its own"


class Appended(msgspec.Struct):
    """What appending cost the peer, in wall and CPU seconds."""

    version: str
    elapsed_s: float
    cpu_s: float


class Missing(Exception):
    """The peer cannot be had here; the text says why."""


def interpreter(folder: Path | None, module: str, packages: Sequence[str] = ()) -> Path:
    """The Python of an environment in `folder` that can import `module`, made when it is not there. Raises Missing.

    `packages` are what pip installs, by default the one named as the module.
    """
    if folder is None:
        raise Missing(NOT_ASKED)
    home = (ROOT / folder / module).resolve()
    python = home / "bin/python"
    try:
        if not python.exists():
            subprocess.run(
                [sys.executable, "-m", "venv", str(home)], check=True, capture_output=True, timeout=INSTALL_S
            )
        if subprocess.run([python, "-c", f"import {module}"], capture_output=True, timeout=60).returncode:
            pip = [str(python), "-m", "pip", "install", "--quiet", *(packages or (module,))]
            subprocess.run(pip, check=True, capture_output=True, text=True, timeout=INSTALL_S)
    except (OSError, subprocess.TimeoutExpired) as failed:
        raise Missing(f"could not be installed: {failed}") from failed
    except subprocess.CalledProcessError as failed:
        raise Missing(f"could not be installed: {str(failed.stderr).strip()[-200:]}") from failed
    return python


def append(python: Path, events: int, batch: int, size: int) -> Appended:
    """Let `eventsourcing` append events of `size` bytes to SQLite in a folder that goes with it."""
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        command = [str(python), str(ROOT / "bench/eventsourcing_peer.py"), folder, str(events), str(batch), str(size)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=folder)
    return msgspec.json.decode(done.stdout, type=Appended)
