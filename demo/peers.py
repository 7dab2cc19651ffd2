"""Where the demo's messages go: a mail server and a chat robot on this machine, which keep each message as a file."""

from __future__ import annotations

import itertools
import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MESSAGE_MAX = 1_000_000
CLIENT_TIMEOUT_S = 30


class Outbox:
    """A folder with one file a message, numbered in order of arrival."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._numbers = folder, itertools.count(1)
        folder.mkdir(parents=True, exist_ok=True)

    def keep(self, kind: str, content: bytes) -> None:
        """Write one message; `kind` is ``eml`` or ``json``."""
        self._folder.joinpath(f"{next(self._numbers):04d}.{kind}").write_bytes(content)

    def count(self, kind: str) -> int:
        """How many messages of one kind arrived."""
        return sum(1 for _ in self._folder.glob(f"*.{kind}"))


class _MailHandler(socketserver.StreamRequestHandler):
    """As much of SMTP (RFC 5321, section 4.5.1) as a sender needs; every message is accepted and kept."""

    outbox: Outbox
    timeout = CLIENT_TIMEOUT_S

    def handle(self) -> None:
        """One connection."""
        self._say("220 demo.invalid ready")
        while line := self.rfile.readline(2048):
            verb = line[:4].upper().strip()
            if verb == b"QUIT":
                self._say("221 bye")
                return
            if verb == b"DATA":
                self._say("354 go on")
                self.outbox.keep("eml", self._message())
                self._say("250 kept")
            elif verb in (b"EHLO", b"HELO", b"MAIL", b"RCPT", b"RSET", b"NOOP"):
                self._say("250-demo.invalid\r\n250-SMTPUTF8\r\n250 8BITMIME" if verb == b"EHLO" else "250 ok")
            else:
                self._say("502 not here")

    def _message(self) -> bytes:
        lines: list[bytes] = []
        size = 0
        while (line := self.rfile.readline(MESSAGE_MAX)) not in (b".\r\n", b".\n", b""):
            size += len(line)
            if size <= MESSAGE_MAX:
                lines.append(line[1:] if line.startswith(b"..") else line)
        return b"".join(lines)

    def _say(self, line: str) -> None:
        self.wfile.write(line.encode() + b"\r\n")


class _RobotHandler(BaseHTTPRequestHandler):
    """A chat robot that takes every message, and answers as DingTalk does."""

    outbox: Outbox
    timeout = CLIENT_TIMEOUT_S

    def do_POST(self) -> None:
        """Keep one message."""
        length = min(int(self.headers.get("Content-Length") or 0), MESSAGE_MAX)
        self.outbox.keep("json", self.rfile.read(length))
        answer = json.dumps({"errcode": 0, "errmsg": "ok"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing; the messages are in the folder."""


class _MailServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


@contextmanager
def peers(outbox: Outbox) -> Iterator[tuple[int, int]]:
    """Run both on 127.0.0.1; gives (mail port, robot port)."""
    mail = _MailServer(("127.0.0.1", 0), type("_Mail", (_MailHandler,), {"outbox": outbox}))
    robot = ThreadingHTTPServer(("127.0.0.1", 0), type("_Robot", (_RobotHandler,), {"outbox": outbox}))
    for server in (mail, robot):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield mail.server_address[1], robot.server_address[1]
    finally:
        for server in (mail, robot):
            server.shutdown()
            server.server_close()
