"""Starts many Tocsins that pay for Python's imports once: each is a fork of a process that has imported everything.

Alertmanager's suite gives a server five seconds to listen. On a slow machine Python needs as long to import alone,
which says nothing about what the suite is to find out. `python -m tests.alertmanager.forker SOCKET` serves. Who asks
sends the arguments as JSON with two files, for standard output and error; two lines come back: process id, exit code.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
from pathlib import Path

from engine.cli.application import app

LARGEST = 65_536


def serve(path: Path) -> None:
    """Fork a Tocsin for each connection, until killed."""
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them: their connection tells of their end
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen(64)
        print("ready", flush=True)
        while True:
            connection, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                _become_tocsin(connection)
            connection.close()


def _become_tocsin(connection: socket.socket) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, files, _, _ = socket.recv_fds(connection, LARGEST, 2)
    for number, file in enumerate(files, start=1):
        os.dup2(file, number)
        os.close(file)
    connection.sendall(b"%d\n" % os.getpid())
    code = 1
    try:
        app(json.loads(message), standalone_mode=True)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    finally:
        sys.stdout.flush()
        connection.sendall(b"%d\n" % code)
        os._exit(code)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
