"""A DingTalk robot's wire format as pure functions: sign, build the request, judge the answer.

Vendor page: open.dingtalk.com, "custom robot access" and "robot security settings". HTTP 200 says nothing: a message is
taken only if the answer carries ``errcode`` 0.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from typing import Any, assert_never
from urllib.parse import quote, urlencode

import msgspec

from notifiers.http_answer import refused
from notifiers.ratelimit import Rate
from notifiers.redaction import redacted
from notifiers.rendering import one_line, truncate_bytes
from notifiers.vendor import Call
from schemas.deliveries import Receipt
from schemas.errors import DeliveryError

BODY_BYTES = 20_000
"""The largest request body that the vendor takes, in bytes."""
TITLE_BYTES = 200
THROTTLE_S = 600
"""Over 20 messages a minute a robot is silenced for 10 minutes."""
RATE = Rate(burst=4, per_minute=15)
"""4 at once + 15 refilled = 19 in any minute: one below the vendor's 20, for the network's jitter."""

_THROTTLED = {"130101", "660026", "1111"}
_HINTS = (
    (r"keyword|关键词", "the robot demands a keyword that the message lacks: use signing, or allow the word INC-"),
    (r"\bsign|签名", "the signature does not match: check the channel's secret"),
    (r"timestamp|时间戳", "the clock is more than an hour off"),
    (r"\bip\b|whitelist|白名单", "this server's address is not on the robot's list"),
)
"""What the vendor's words on a 310000 mean; the first that matches."""
_FINAL = {
    "300001": "the access token is wrong",
    "300005": "the access token does not exist",
    "400101": "the access token is wrong",
    "400102": "the robot is disabled",
    "460101": "the message is too long",
    "101002": "the message is too long",
}


class Markdown(msgspec.Struct, frozen=True):
    """One markdown message; `at_mobiles` are called by telephone number, in the text too as the vendor demands."""

    title: str
    text: str
    at_mobiles: tuple[str, ...] = ()
    at_all: bool = False


class Text(msgspec.Struct, frozen=True):
    """One plain message, calling people as `Markdown` does."""

    text: str
    at_mobiles: tuple[str, ...] = ()
    at_all: bool = False


class ActionCard(msgspec.Struct, frozen=True):
    """Markdown with one button that leads to `url`. The vendor calls nobody for it."""

    title: str
    text: str
    button: str
    url: str


Message = Markdown | Text | ActionCard


def sign(secret: str, timestamp_ms: int) -> str:
    """The signature as it stands in the query, percent-encoded exactly once."""
    said = f"{timestamp_ms}\n{secret}".encode()
    return quote(base64.b64encode(hmac.new(secret.encode(), said, hashlib.sha256).digest()), safe="")


def request(base_url: str, token: str, secret: str, timestamp_ms: int, message: Message) -> Call:
    """The call that sends `message`; unsigned where there is no secret (keyword or address list instead)."""
    query = urlencode({"access_token": token})
    if secret:
        query += f"&timestamp={timestamp_ms}&sign={sign(secret, timestamp_ms)}"
    return Call(f"{base_url.rstrip('/')}/robot/send?{query}", body(message))


def body(message: Message) -> bytes:
    """The JSON body in at most `BODY_BYTES`: the text gives way, the mentions at its end and the button do not."""
    mentions = "" if isinstance(message, ActionCard) else " ".join(_mentions(message))
    tail = f"\n\n{mentions}" if mentions else ""
    raw = _encode(message, message.text + tail)
    excess = len(raw) - BODY_BYTES
    if excess > 0:  # JSON escapes only lengthen, so that many bytes less of text is enough
        shortened = truncate_bytes(message.text, max(0, len(message.text.encode(errors="replace")) - excess))
        raw = _encode(message, shortened + tail)
    return raw


def _mentions(message: Markdown | Text) -> list[str]:
    return [f"@{mobile}" for mobile in message.at_mobiles] + (["@所有人"] if message.at_all else [])


def _encode(message: Message, text: str) -> bytes:
    said: dict[str, Any]
    match message:
        case Text():
            said = {"msgtype": "text", "text": {"content": text}, "at": _at(message)}
        case Markdown():
            title = truncate_bytes(one_line(message.title), TITLE_BYTES)
            said = {"msgtype": "markdown", "markdown": {"title": title, "text": text}, "at": _at(message)}
        case ActionCard():
            title = truncate_bytes(one_line(message.title), TITLE_BYTES)
            card = {"title": title, "text": text, "singleTitle": message.button, "singleURL": message.url}
            said = {"msgtype": "actionCard", "actionCard": card}
        case unknown:
            assert_never(unknown)
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def _at(message: Markdown | Text) -> dict[str, Any]:
    return {"atMobiles": list(message.at_mobiles), "isAtAll": message.at_all}


def judge(status: int, raw: bytes, *, retry_after: str = "", now_s: float = 0.0) -> Receipt:
    """What the vendor's answer means. Raises DeliveryError for everything but ``errcode`` 0.

    `retry_after` is the header (seconds or a date, read against `now_s`, Unix seconds). An error code that is not
    known to be final is worth another attempt: giving up early costs more than trying twice.
    """
    if status != 200:
        raise refused(status, retry_after, now_s)
    try:
        answer = json.loads(raw)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise DeliveryError("the answer is not DingTalk's: a proxy or a sign-in page stands between", vendor_code="200")
    code = str(answer.get("errcode", answer.get("status", "")))
    said = one_line(redacted(str(answer.get("errmsg", answer.get("punish", "")))))
    if code == "0" and "errcode" in answer:
        return Receipt(vendor_code="0", vendor_message_id=str(answer.get("messageId", "")))
    if code in _THROTTLED:
        raise DeliveryError(f"throttled: {said}", vendor_code=code, retry_after_s=THROTTLE_S)
    if code == "310000":
        hint = next(
            (hint for mark, hint in _HINTS if re.search(mark, said, re.IGNORECASE)),
            "keyword, signature or address refused",
        )
        raise DeliveryError(f"{hint} ({said})", permanent=True, vendor_code=code)
    if code in _FINAL:
        raise DeliveryError(f"{_FINAL[code]} ({said})", permanent=True, vendor_code=code)
    raise DeliveryError(said or "no error code in the answer", vendor_code=code)
