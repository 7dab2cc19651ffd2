"""The Slack channel: one POST to an incoming webhook, taken when the answer is the word ``ok``.

Vendor page: docs.slack.dev, "Sending messages using incoming webhooks".
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from notifiers import digests
from notifiers.http_answer import refused
from notifiers.ratelimit import Rate
from notifiers.redaction import keep_out_of_logs, redacted
from notifiers.rendering import headline, one_line, render, truncate_bytes
from notifiers.vendor import Call, VendorClient
from schemas.channels import SlackChannel
from schemas.deliveries import Receipt
from schemas.errors import ConfigError, DeliveryError
from schemas.events import Notice

SECTION_BYTES = 2_900
"""A section takes 3,000 characters; as bytes it is a safe bound, escapes included."""
RATE = Rate(burst=2, per_minute=50)
"""The vendor takes one a second, and short bursts."""
BUTTON = {"zh": "处理此事件", "en": "Act on it"}


class Told(msgspec.Struct, frozen=True):
    """What is shown: a headline, plain text, and where the button leads (nowhere if empty)."""

    title: str
    text: str
    button: str
    url: str


class SlackNotifier:
    """Tells people in a Slack channel, with a button that leads to the incident."""

    rate: Rate | None = RATE

    def __init__(self, name: str, channel: SlackChannel, *, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives Unix seconds, for a Retry-After that is a date. Raises ConfigError for what is no URL."""
        url = channel.url.get_secret_value() if channel.url else ""
        if not re.fullmatch(r"https?://[!-~]+", url):
            raise ConfigError("give the webhook's address as url or url_file", key=f"channels.{name}.url")
        self._url, self._clock, self._http = url, clock, VendorClient(channel.timeout_s)
        self.robot = f"slack:{url}"
        keep_out_of_logs(url, *(part for part in url.split("/")[3:] if len(part) >= 8))

    def render(self, notice: Notice) -> Told:
        """Headline and plain text in the notice's language."""
        text = render(f"apprise_url/{notice.language}.txt.j2", notice)
        return Told(headline(notice), text, BUTTON[notice.language], notice.url)

    def digest(self, notices: Sequence[Notice]) -> Told:
        """One message about all of `notices`."""
        return Told(digests.title(notices), digests.text(notices, SECTION_BYTES * 2 // 3, markdown=False), "", "")

    async def deliver(self, payload: Told, *, delivery: str) -> Receipt:
        """One POST within the channel's `timeout_s`. The vendor knows no idempotence key: `delivery` is not sent."""
        now_s = self._clock()
        reply = await self._http.post(Call(self._url, body(payload)), now_s)
        said = one_line(redacted(reply.body.decode(errors="replace")))
        if reply.status == 200:
            if said != "ok":
                raise DeliveryError("the answer is not Slack's: a sign-in page stands between", vendor_code="200")
            return Receipt(vendor_code="ok")
        error = refused(reply.status, reply.retry_after, now_s)
        raise DeliveryError(
            f"{error.reason}: {said}" if said else error.reason,
            permanent=error.permanent,
            vendor_code=error.vendor_code,
            retry_after_s=error.retry_after_s,
        )

    async def close(self) -> None:
        """Close the kept connection; the notifier can still be used."""
        await self._http.close()


def body(told: Told) -> bytes:
    """The JSON body: blocks for people, the headline for where blocks are not shown."""
    whole = f"*{_escaped(told.title)}*\n{_escaped(told.text)}"
    section = {"type": "section", "text": {"type": "mrkdwn", "text": truncate_bytes(whole, SECTION_BYTES)}}
    blocks: list[dict[str, Any]] = [section]
    if told.url:
        button = {"type": "button", "text": {"type": "plain_text", "text": told.button}, "url": told.url}
        blocks.append({"type": "actions", "elements": [button]})
    message = {"text": _escaped(told.title), "blocks": blocks}
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def _escaped(text: str) -> str:
    """The three characters that Slack reads as markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
