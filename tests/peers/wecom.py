"""WeCom as its vendor documents it: a group's robot, and an application with its access token.

Nothing here is shared with the channels under test.
Source: developer.work.weixin.qq.com, "群机器人配置说明", "发送应用消息", "获取access_token", "全局错误码".
"""

from __future__ import annotations

import json
import time
from collections import deque

from aiohttp import web

from tests.peers.http import HttpPeer, Mode

ROBOT_LIMITS = {"text": 2_048, "markdown": 4_096}
APP_LIMITS = {"text": 2_048, "markdown": 2_048}


class WeComPeer(HttpPeer):
    """One robot (`key`) and one application (`corp_id`, `secret`, `agent_id`); `unknown` members are named in answers.

    Modes beyond HttpPeer's: refuse (93000, in an HTTP 200) and throttle (45009, likewise). `per_minute` limits both.
    `expire()` makes the present access token worthless.
    """

    def __init__(self, mode: Mode = "ok", *, key: str = "", secret: str = "", per_minute: int = 0) -> None:
        super().__init__(mode)
        self.key, self.secret, self.per_minute = key, secret, per_minute
        self.corp_id, self.agent_id = "ww0001", 1_000_002
        self.unknown: set[str] = set()
        self.tokens_given = 0
        self._times: deque[float] = deque()
        self._valid_token = ""

    def expire(self) -> None:
        """The access token that was given last is no longer taken."""
        self._valid_token = "spent"

    def aside(self, request: web.Request, raw: bytes) -> web.Response | None:
        """Hand out access tokens."""
        if request.path != "/cgi-bin/gettoken":
            return super().aside(request, raw)
        if request.query.get("corpid") != self.corp_id:
            return _say(40013, "invalid corpid")
        if request.query.get("corpsecret") != self.secret:
            return _say(40001, "invalid credential")
        self.tokens_given += 1
        self._valid_token = f"access-token-{self.tokens_given}"
        granted = {"errcode": 0, "errmsg": "ok", "access_token": self._valid_token, "expires_in": 7200}
        return web.json_response(granted)

    def take(self, raw: bytes) -> None:
        """Keep the decoded message."""
        self.messages.append(json.loads(raw))

    def answer(self, request: web.Request, raw: bytes, mode: Mode) -> web.Response:
        """The vendor's JSON, always with HTTP 200."""
        if mode == "refuse":
            return _say(93000, "invalid webhook url, hint: [1]")
        if mode == "throttle":
            return _say(45009, "api freq out of limit")
        message = json.loads(raw)
        if request.path == "/cgi-bin/webhook/send":
            return self._robot(request, message, raw, mode)
        return self._app(request, message, raw, mode)

    def _robot(self, request: web.Request, message: dict, raw: bytes, mode: Mode) -> web.Response:  # type: ignore[type-arg]
        if not self.key or request.query.get("key") != self.key:
            return _say(93000, "invalid webhook url")
        return _too_long(message, ROBOT_LIMITS) or self._too_fast() or self._accept(raw, mode, {})

    def _app(self, request: web.Request, message: dict, raw: bytes, mode: Mode) -> web.Response:  # type: ignore[type-arg]
        token = request.query.get("access_token", "")
        if not token or token != self._valid_token:
            return _say(42001 if self._valid_token == "spent" else 40014, "invalid access_token")
        if message.get("agentid") != self.agent_id:
            return _say(40056, "invalid agentid")
        wanted = set(filter(None, message.get("touser", "").split("|")))
        if not wanted and not message.get("toparty") and not message.get("totag"):
            return _say(82001, "All touser & toparty & totag invalid")
        if wanted and wanted <= self.unknown:
            return _say(81013, "user & party & tag all invalid")
        card = message.get("textcard")
        if card and (len(card["title"].encode()) > 128 or len(card["description"].encode()) > 512 or not card["url"]):
            return _say(40058, "invalid textcard")
        lost = {"invaliduser": "|".join(sorted(wanted & self.unknown))}
        said = {name: value for name, value in lost.items() if value} | {"msgid": f"M{len(self.messages) + 1}"}
        return _too_long(message, APP_LIMITS) or self._too_fast() or self._accept(raw, mode, said)

    def _too_fast(self) -> web.Response | None:
        if not self.per_minute:
            return None
        now_s = time.monotonic()
        while self._times and self._times[0] <= now_s - 60:
            self._times.popleft()
        if len(self._times) >= self.per_minute:
            return _say(45009, "api freq out of limit")
        self._times.append(now_s)
        return None

    def _accept(self, raw: bytes, mode: Mode, said: dict[str, str]) -> web.Response:
        if mode not in ("cut", "hang"):
            self.take(raw)
        return web.json_response({"errcode": 0, "errmsg": "ok"} | said)


def _too_long(message: dict, limits: dict[str, int]) -> web.Response | None:  # type: ignore[type-arg]
    kind = message["msgtype"]
    limit = limits.get(kind)
    if limit and len(message[kind]["content"].encode()) > limit:
        return _say(40058, f"{kind}.content exceed max length {limit}. invalid Request Parameter")
    return None


def _say(code: int, text: str) -> web.Response:
    return web.json_response({"errcode": code, "errmsg": text})
