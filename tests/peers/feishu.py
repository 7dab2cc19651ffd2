"""A Feishu robot as its vendor documents it: checks token, signature, clock, keyword and size by itself.

Nothing here is shared with the channel under test, the signature least of all.
Source: open.feishu.cn, "自定义机器人使用指南".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time

from aiohttp import web

from tests.peers.http import HttpPeer, Mode

MAX_BODY = 20 * 1024


class FeishuPeer(HttpPeer):
    """One robot. With `secret` it demands a signature that is not older than an hour, with `keyword` that word.

    Modes beyond HttpPeer's: refuse (19021, in an HTTP 200) and throttle (9499, in an HTTP 400).
    """

    def __init__(self, mode: Mode = "ok", *, token: str = "", secret: str = "", keyword: str = "") -> None:
        super().__init__(mode)
        self.token, self.secret, self.keyword = token, secret, keyword

    def take(self, raw: bytes) -> None:
        """Keep the decoded message."""
        self.messages.append(json.loads(raw))

    def answer(self, request: web.Request, raw: bytes, mode: Mode) -> web.Response:
        """The vendor's JSON."""
        if mode == "refuse":
            return _say(19021, "sign match fail or timestamp is not within one hour from current time")
        if mode == "throttle":
            return _say(9499, "too many request", status=400)
        if request.path != f"/open-apis/bot/v2/hook/{self.token}":
            return _say(19001, "param invalid: incoming webhook access token invalid")
        message = json.loads(raw)
        if self.secret and not self._signed(message):
            return _say(19021, "sign match fail or timestamp is not within one hour from current time")
        if len(raw) > MAX_BODY:
            return _say(19036, "message too long")
        if self.keyword and self.keyword not in raw.decode():
            return _say(19024, "Key Words Not Found")
        if message.get("msg_type") != "interactive" or not message["card"]["elements"]:
            return _say(9499, "Bad Request", status=400)
        if mode not in ("cut", "hang"):
            self.take(raw)
        return web.json_response({"StatusCode": 0, "StatusMessage": "success", "code": 0, "data": {}, "msg": "success"})

    def _signed(self, message: dict) -> bool:  # type: ignore[type-arg]
        stamp = message.get("timestamp", "")
        if not stamp.isdigit() or abs(time.time() - int(stamp)) > 3600:
            return False
        mac = hmac.new(f"{stamp}\n{self.secret}".encode(), digestmod=hashlib.sha256)
        return hmac.compare_digest(base64.b64encode(mac.digest()).decode(), message.get("sign", ""))


def _say(code: int, text: str, status: int = 200) -> web.Response:
    return web.json_response({"code": code, "data": {}, "msg": text}, status=status)
