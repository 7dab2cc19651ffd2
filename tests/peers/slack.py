"""Slack's incoming webhook as its vendor documents it: docs.slack.dev, "Sending messages using incoming webhooks"."""

from __future__ import annotations

import json

from aiohttp import web

from tests.peers.http import HttpPeer, Mode

SECTION_CHARS = 3_000


class SlackPeer(HttpPeer):
    """One webhook at `path`. It answers with plain words; errors are HTTP statuses, never a 200."""

    def __init__(self, mode: Mode = "ok", *, path: str = "/services/T0/B0/x") -> None:
        super().__init__(mode)
        self.path = path

    def take(self, raw: bytes) -> None:
        """Keep the decoded message."""
        self.messages.append(json.loads(raw))

    def answer(self, request: web.Request, raw: bytes, mode: Mode) -> web.Response:
        """``ok``, or the vendor's word for what is wrong."""
        if request.path != self.path:
            return web.Response(status=404, text="no_service")
        message = json.loads(raw)
        sections = [block["text"]["text"] for block in message["blocks"] if block["type"] == "section"]
        if not message.get("text") or any(not 0 < len(text) <= SECTION_CHARS for text in sections):
            return web.Response(status=400, text="invalid_blocks")
        if mode not in ("cut", "hang"):
            self.take(raw)
        return web.Response(text="ok")
