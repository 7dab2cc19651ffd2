"""The webhook channel: the notice as JSON in one POST, taken when the answer is any 2xx."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import msgspec

from notifiers.http_answer import refused
from notifiers.ratelimit import Rate
from notifiers.redaction import keep_out_of_logs
from notifiers.rendering import ALERTS_SHOWN, one_line
from notifiers.webhook.client import Client, address
from schemas.config import WebhookChannel
from schemas.deliveries import Receipt
from schemas.errors import ConfigError
from schemas.events import Notice

TOKEN_LIKE = 16
"""A part of the URL's path with as many characters may be a credential, and is kept out of logs by itself too."""


class Told(msgspec.Struct, frozen=True):
    """The body but for `delivery`: every field of the notice, with each text on one line and of bounded length."""

    fields: dict[str, Any]


class WebhookNotifier:
    """Tells a program, which is known only by its URL."""

    rate: Rate | None = None

    def __init__(self, name: str, channel: WebhookChannel, *, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives Unix seconds, for a Retry-After that is a date.

        Raises ConfigError for a URL that cannot be used, or a token that is no header value.
        """
        if channel.url is None:
            raise ConfigError("give url or url_file", key=f"channels.{name}.url")
        url = channel.url.get_secret_value()
        token = channel.token.get_secret_value() if channel.token else ""
        try:
            to = address(url)
        except ValueError as wrong:
            raise ConfigError(str(wrong), key=f"channels.{name}.url") from None
        if token and not re.fullmatch(r"[!-~]+", token):
            raise ConfigError("expected visible ASCII without spaces", key=f"channels.{name}.token")
        if channel.token_file and not token:
            raise ConfigError("token_file was not read, or is empty", key=f"channels.{name}.token")
        path, _, query = to.target.partition("?")
        parts = [part for part in path.split("/") if len(part) >= TOKEN_LIKE]
        keep_out_of_logs(url, token, query, *(pair.partition("=")[2] for pair in query.split("&")), *parts)
        headers = {"Content-Type": "application/json"}
        self._client = Client(to, headers | ({"Authorization": f"Bearer {token}"} if token else {}))
        self._timeout_s, self._clock = channel.timeout_s, clock
        self.idempotent = channel.idempotent

    def render(self, notice: Notice) -> Told:
        """All fields of the notice, defaults too; the first ten alerts by name."""
        fields = msgspec.structs.asdict(notice)
        texts = {name: one_line(value) for name, value in fields.items() if isinstance(value, str)}
        fields["group"] = json.loads(msgspec.json.encode(notice.group))
        return Told({**fields, **texts, "alerts": [one_line(alert) for alert in notice.alerts[:ALERTS_SHOWN]]})

    async def deliver(self, payload: Told, *, delivery: str) -> Receipt:
        """One POST within the channel's `timeout_s`, with `delivery` as the key that makes a second copy harmless.

        408, 425, 429 and 5xx are worth a retry, other refusals and redirects are final. No answer after the request
        was written means that it may have been taken.
        """
        body = json.dumps({**payload.fields, "delivery": delivery}, ensure_ascii=False, separators=(",", ":"))
        key = f"Idempotency-Key: {quote(delivery, safe=':', errors='replace')}\r\n"
        answer = await self._client.post(body.encode(errors="replace"), key.encode("ascii"), self._timeout_s)
        if not 200 <= answer.status < 300:
            raise refused(answer.status, answer.retry_after, self._clock())
        return Receipt(vendor_code=f"HTTP {answer.status}")

    async def close(self) -> None:
        """Close the kept connection; whoever forgets it loses nothing but politeness."""
        await self._client.close()
