"""A WeCom robot's and an application's wire formats as pure functions: build the body, judge the answer.

Vendor pages: developer.work.weixin.qq.com, "群机器人配置说明", "发送应用消息", "全局错误码". HTTP 200 says nothing: a
message is taken only if the answer carries ``errcode`` 0. A message that is too long is refused as a whole.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from notifiers.ratelimit import Rate
from notifiers.redaction import redacted
from notifiers.rendering import one_line, truncate_bytes
from notifiers.vendor import Reply, Verdict, by_code, spoken
from schemas.deliveries import Receipt

TEXT_BYTES = 2_048
MARKDOWN_BYTES = 4_096
APP_BYTES = 2_048
"""Text and markdown of an application; more is cut by the vendor without a word."""
CARD_TITLE_BYTES, CARD_TEXT_BYTES = 128, 512
RATE = Rate(burst=4, per_minute=15)
"""4 at once + 15 refilled = 19 in any minute: one below the vendor's 20, for the network's jitter."""
APP_RATE = Rate(burst=5, per_minute=24)
"""30 a minute to each member; what is over is dropped by the vendor without a word."""

VERDICTS = {
    "-1": Verdict("the vendor is busy"),
    "40001": Verdict("the application's secret is wrong", final=True),
    "40013": Verdict("the enterprise's id is wrong", final=True),
    "40014": Verdict("the access token is not valid any more"),
    "40056": Verdict("the application's number is wrong", final=True),
    "40058": Verdict("the message is too long or malformed", final=True),
    "41001": Verdict("the access token is missing"),
    "42001": Verdict("the access token has run out"),
    "44004": Verdict("the message is empty", final=True),
    "45009": Verdict("too many messages", wait_s=60),
    "45033": Verdict("too many at once", wait_s=5),
    "60020": Verdict("this server's address is not on the application's list", final=True),
    "81013": Verdict("none of the recipients exists or sees the application", final=True),
    "82001": Verdict("no recipient is named", final=True),
    "93000": Verdict("the robot's key is wrong, or the robot is gone", final=True),
    "93004": Verdict("the robot was disabled", final=True),
    "93008": Verdict("the robot is not in the group any more", final=True),
}
TOKEN_SPENT = ("40014", "41001", "42001")


class Text(msgspec.Struct, frozen=True):
    """A plain message; `at_mobiles` are mentioned by telephone number."""

    text: str
    at_mobiles: tuple[str, ...] = ()


class Markdown(msgspec.Struct, frozen=True):
    """A markdown message; it can mention nobody by number."""

    text: str


class Card(msgspec.Struct, frozen=True):
    """An application's card, the whole of which leads to `url`."""

    title: str
    text: str
    url: str
    button: str


Message = Text | Markdown | Card


def body(message: Message, *, text_bytes: int = TEXT_BYTES, markdown_bytes: int = MARKDOWN_BYTES) -> dict[str, Any]:
    """The JSON object, with its texts within the vendor's bytes."""
    match message:
        case Text():
            text = {"content": truncate_bytes(message.text, text_bytes)}
            calls = {"mentioned_mobile_list": list(message.at_mobiles)} if message.at_mobiles else {}
            return {"msgtype": "text", "text": text | calls}
        case Markdown():
            return {"msgtype": "markdown", "markdown": {"content": truncate_bytes(message.text, markdown_bytes)}}
        case Card():
            card = {
                "title": truncate_bytes(one_line(message.title), CARD_TITLE_BYTES),
                "description": truncate_bytes(message.text, CARD_TEXT_BYTES),
                "url": message.url,
                "btntxt": message.button,
            }
            return {"msgtype": "textcard", "textcard": card}


def encoded(message: dict[str, Any]) -> bytes:
    """The bytes of a body."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def judge(reply: Reply) -> Receipt:
    """A receipt for ``errcode`` 0, with the recipients that are named as unknown. Raises DeliveryError otherwise."""
    answer = spoken(reply, "WeCom")
    code = str(answer.get("errcode", ""))
    if code != "0":
        raise by_code(code, answer.get("errmsg", ""), VERDICTS)
    lost = "".join(
        f"; {name} {answer[name]}" for name in ("invaliduser", "invalidparty", "invalidtag") if answer.get(name)
    )
    return Receipt(one_line(redacted(f"0{lost}")), str(answer.get("msgid", "")))
