"""A DingTalk robot as its vendor documents it: checks token, signature, clock, keyword, size and rate by itself.

Nothing here is shared with the channel under test, the signature least of all.
Source: open.dingtalk.com, "custom robot access", "robot security settings", "robot message limits".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections import deque
from collections.abc import Callable

from aiohttp import web

from tests.peers.http import HttpPeer, Mode

MAX_BODY = 20_000
HOUR_MS = 3_600_000


class DingTalkPeer(HttpPeer):
    """One robot. With `secret` it demands a signature, with `keyword` that word, with `per_minute` it throttles.

    Modes beyond HttpPeer's: refuse (310000, in an HTTP 200) and throttle (``{"status":1111}``, likewise).
    """

    def __init__(
        self,
        mode: Mode = "ok",
        *,
        token: str = "test-token",
        secret: str = "",
        keyword: str = "",
        per_minute: int = 0,
        port: int = 0,
    ) -> None:
        super().__init__(mode, port=port)
        self.token, self.secret, self.keyword, self.per_minute = token, secret, keyword, per_minute
        self._times: deque[float] = deque()
        self.clock: Callable[[], float] = time.monotonic
        """What minutes are counted by, in seconds."""
        self._silenced_until = 0.0

    def take(self, raw: bytes) -> None:
        """Keep the decoded message."""
        self.messages.append(json.loads(raw))

    def answer(self, request: web.Request, raw: bytes, mode: Mode) -> web.Response:
        """The vendor's JSON, always with HTTP 200."""
        if mode == "refuse":
            return _say(
                310000, "description:机器人发送签名不匹配;solution:请确认签名和生成签名的时间戳必须都放在调用的网址中;"
            )
        if mode == "throttle":
            return web.json_response({"status": 1111, "wait": 5, "source": "x5", "punish": "deny", "uuid": "0"})
        if request.path != "/robot/send" or request.query.get("access_token") != self.token:
            return _say(300005, "token is not exist")
        return self._security(request, raw) or self._limits(raw) or self._accept(raw, mode)

    def _security(self, request: web.Request, raw: bytes) -> web.Response | None:
        if self.secret:
            stamp = request.query.get("timestamp", "")
            if not stamp.isdigit() or abs(time.time() * 1000 - int(stamp)) > HOUR_MS:
                return _say(310000, "invalid timestamp")
            digest = hmac.new(
                self.secret.encode(), f"{stamp}\n{self.secret}".encode(), digestmod=hashlib.sha256
            ).digest()
            if request.query.get("sign", "") != base64.b64encode(digest).decode():
                return _say(310000, "sign not match")
        if self.keyword and self.keyword not in raw.decode():
            return _say(310000, "keywords not in content")
        return None

    def _limits(self, raw: bytes) -> web.Response | None:
        if len(raw) > MAX_BODY:
            return _say(460101, "message too long, exceed 20000 bytes")
        if not self.per_minute:
            return None
        now_s = self.clock()
        while self._times and self._times[0] <= now_s - 60:
            self._times.popleft()
        if len(self._times) >= self.per_minute:
            self._silenced_until = now_s + 600
        if now_s < self._silenced_until:
            return _say(130101, "send too fast, exceed 20 times per minute")
        self._times.append(now_s)
        return None

    def _accept(self, raw: bytes, mode: Mode) -> web.Response:
        try:
            message = json.loads(raw)
            kind = message["msgtype"]
            said = message[kind]["content" if kind == "text" else "text"]
            if kind == "actionCard" and not message[kind]["singleURL"]:
                return _say(40035, "缺少参数 singleURL")
        except (ValueError, KeyError):
            return _say(40035, "缺少参数 json")
        if not said:
            return _say(400103, "empty content")
        if mode not in ("cut", "hang"):
            self.take(raw)
        return _say(0, "ok")


def _say(code: int, text: str) -> web.Response:
    return web.json_response({"errcode": code, "errmsg": text})
