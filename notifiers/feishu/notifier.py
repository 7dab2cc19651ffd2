"""The Feishu robot's channel: one signed POST of a card, judged by the vendor's own error code.

Vendor page: open.feishu.cn, "自定义机器人使用指南". The signature swaps key and message against DingTalk's, and its
timestamp is in seconds.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from notifiers import digests
from notifiers.ratelimit import Rate
from notifiers.redaction import keep_out_of_logs
from notifiers.rendering import headline, render, truncate_bytes
from notifiers.vendor import Call, Reply, VendorClient, Verdict, by_code, spoken
from schemas.channels import FeishuChannel
from schemas.deliveries import Receipt
from schemas.errors import ConfigError
from schemas.events import Notice

BODY_BYTES = 20_000
"""The vendor takes 20 KB."""
RATE = Rate(burst=4, per_minute=90)
"""94 in any minute of the vendor's 100, and at most 5 in a second."""
BUTTON = {"zh": "处理此事件", "en": "Act on it"}
COLOURS = {"critical": "red", "major": "orange", "warning": "yellow", "info": "blue"}
VERDICTS = {
    "9499": Verdict("too many messages", wait_s=60),
    "11232": Verdict("too many messages", wait_s=60),
    "19001": Verdict("the token is wrong, or the robot is gone", final=True),
    "19021": Verdict("the signature does not match, or the clock is more than an hour off", final=True),
    "19022": Verdict("this server's address is not on the robot's list", final=True),
    "19024": Verdict("the robot demands a keyword that the message lacks: use signing, or allow INC-", final=True),
    "19036": Verdict("the message is too long", final=True),
}


class Card(msgspec.Struct, frozen=True):
    """A card: its title and colour, its markdown, and where its button leads (nowhere if empty)."""

    title: str
    text: str
    colour: str
    button: str = ""
    url: str = ""
    at_users: tuple[str, ...] = ()


def sign(secret: str, at_s: int) -> str:
    """The signature for a body that says `at_s` (Unix seconds)."""
    return base64.b64encode(hmac.new(f"{at_s}\n{secret}".encode(), b"", hashlib.sha256).digest()).decode()


def body(card: Card, secret: str, at_s: int) -> bytes:
    """The JSON body in at most `BODY_BYTES`: the text gives way, title, mentions and button do not."""
    raw = _encode(card, card.text, secret, at_s)
    excess = len(raw) - BODY_BYTES
    if excess > 0:  # JSON escapes only lengthen, so that many bytes less of text is enough
        kept = max(0, len(card.text.encode(errors="replace")) - excess)
        raw = _encode(card, truncate_bytes(card.text, kept), secret, at_s)
    return raw


def _encode(card: Card, text: str, secret: str, at_s: int) -> bytes:
    calls = "".join(f"<at id={user}></at>" for user in card.at_users)
    elements: list[dict[str, Any]] = [{"tag": "markdown", "content": f"{calls}\n{text}".strip()}]
    if card.url:
        button = {"tag": "button", "type": "primary", "url": card.url, "text": _plain(card.button)}
        elements.append({"tag": "action", "actions": [button]})
    header = {"title": _plain(card.title), "template": card.colour}
    message: dict[str, Any] = {"msg_type": "interactive", "card": {"header": header, "elements": elements}}
    if secret:
        message = {"timestamp": str(at_s), "sign": sign(secret, at_s)} | message
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def _plain(text: str) -> dict[str, str]:
    return {"tag": "plain_text", "content": text}


def judge(reply: Reply) -> Receipt:
    """A receipt for ``code`` 0 (``StatusCode`` with older robots). Raises DeliveryError otherwise."""
    answer = spoken(reply, "Feishu", errors_in_4xx=True)
    code = str(answer.get("code", answer.get("StatusCode", "")))
    if code == "0" and reply.status == 200:
        return Receipt(vendor_code="0")
    raise by_code(code, answer.get("msg", answer.get("StatusMessage", "")), VERDICTS)


class FeishuNotifier:
    """Tells people through the robot of a Feishu or Lark group, with a button that leads to the incident."""

    rate: Rate | None = RATE

    def __init__(self, name: str, channel: FeishuChannel, *, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives Unix seconds, for the signature. Raises ConfigError without a token."""
        if channel.token is None:
            raise ConfigError("give token or token_file", key=f"channels.{name}.token")
        self._channel, self._clock = channel, clock
        token = channel.token.get_secret_value()
        self._secret = channel.secret.get_secret_value() if channel.secret else ""
        self._url = f"{channel.base_url.rstrip('/')}/open-apis/bot/v2/hook/{quote(token, safe='')}"
        self._http = VendorClient(channel.timeout_s)
        self.robot = f"feishu:{token}"
        keep_out_of_logs(token, self._secret)

    def render(self, notice: Notice) -> Card:
        """A card in the notice's language; what is over is green."""
        colour = "green" if notice.kind == "resolved" else COLOURS[notice.severity]
        text = render(f"feishu/{notice.language}.md.j2", notice)
        button = BUTTON[notice.language] if notice.url else ""
        users = () if notice.kind == "test" else self._channel.at_users
        return Card(headline(notice), text, colour, button, notice.url, users)

    def digest(self, notices: Sequence[Notice]) -> Card:
        """One card about all of `notices`, as red as the worst of them."""
        worst = min(notices, key=lambda notice: list(COLOURS).index(notice.severity))
        listed = digests.text(notices, BODY_BYTES // 2, markdown=True)
        return Card(digests.title(notices), listed, COLOURS[worst.severity], at_users=self._channel.at_users)

    async def deliver(self, payload: Card, *, delivery: str) -> Receipt:
        """One POST within the channel's `timeout_s`. The vendor knows no idempotence key: `delivery` is not sent."""
        now_s = self._clock()
        return judge(await self._http.post(Call(self._url, body(payload, self._secret, int(now_s))), now_s))

    async def close(self) -> None:
        """Close the kept connection; the notifier can still be used."""
        await self._http.close()
