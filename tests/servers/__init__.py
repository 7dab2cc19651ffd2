"""Real servers for tests: each is started on 127.0.0.1 in a folder of its own, and stopped by its process id."""

from __future__ import annotations

import glob
import os
import shutil
import socket

import pytest

_FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/sbin", "/sbin")
"""Where Debian keeps servers that are not on everybody's PATH."""


def require(binary: str) -> str:
    """The path of a server's binary; without it the test fails in CI and is skipped elsewhere, saying why."""
    folders = [folder for pattern in _FOLDERS for folder in sorted(glob.glob(pattern), reverse=True)]
    path = shutil.which(binary) or shutil.which(binary, path=os.pathsep.join(folders))
    if path is None:
        reason = f"{binary} is not installed on this machine"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return path


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
