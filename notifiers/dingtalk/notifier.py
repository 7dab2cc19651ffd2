"""The DingTalk channel: one signed POST, judged by the vendor's own error code."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable

import httpx2

from notifiers.dingtalk import robot
from notifiers.ratelimit import Rate
from notifiers.redaction import keep_out_of_logs
from notifiers.rendering import headline, render
from schemas.config import DingTalkChannel
from schemas.deliveries import Receipt
from schemas.errors import ConfigError, DeliveryError
from schemas.events import Notice

IDLE_S = 4.0
"""A connection that rested longer is not used again, so that no request crosses with the vendor's closing of it."""
HEADERS = {"Content-Type": "application/json; charset=utf-8"}
NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)
"""What fails before the first byte of the request is written."""


class DingTalkNotifier:
    """Tells people through a DingTalk robot, with a link to the incident."""

    rate: Rate | None = robot.RATE

    def __init__(self, name: str, channel: DingTalkChannel, *, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives Unix seconds, for the signature. Raises ConfigError without a token."""
        if channel.token is None:
            raise ConfigError("give token or token_file", key=f"channels.{name}.token")
        self._channel, self._clock = channel, clock
        self._token = channel.token.get_secret_value()
        self._secret = channel.secret.get_secret_value() if channel.secret else ""
        self._tls = ssl.create_default_context()
        self._kept: tuple[asyncio.AbstractEventLoop, httpx2.AsyncClient] | None = None
        keep_out_of_logs(self._token, self._secret)

    def render(self, notice: Notice) -> robot.Markdown:
        """A markdown message in the notice's language, calling the configured mobiles."""
        text = render(f"dingtalk/{notice.language}.md.j2", notice)
        return robot.Markdown(headline(notice), text, self._channel.at_mobiles)

    async def deliver(self, payload: robot.Markdown, *, delivery: str) -> Receipt:
        """One POST within the channel's `timeout_s`. The vendor knows no idempotence key: `delivery` is not sent."""
        now_s = self._clock()
        call = robot.request(self._channel.base_url, self._token, self._secret, int(now_s * 1000), payload)
        try:
            async with asyncio.timeout(self._channel.timeout_s):
                answer = await self._client().post(call.url, content=call.body, headers=HEADERS)
        except (httpx2.TransportError, TimeoutError) as trouble:
            raise unanswered(trouble) from None
        return robot.judge(
            answer.status_code, answer.content, retry_after=answer.headers.get("Retry-After", ""), now_s=now_s
        )

    async def close(self) -> None:
        """Close the kept connection; the notifier can still be used."""
        if self._kept is not None:
            (_, client), self._kept = self._kept, None
            await client.aclose()

    def _client(self) -> httpx2.AsyncClient:
        """The one client of this event loop: what it costs to make is paid once."""
        loop = asyncio.get_running_loop()
        if self._kept is None or self._kept[0] is not loop:
            wait_s = self._channel.timeout_s
            client = httpx2.AsyncClient(
                timeout=httpx2.Timeout(wait_s, connect=wait_s / 2),
                limits=httpx2.Limits(keepalive_expiry=IDLE_S),
                verify=self._tls,
                follow_redirects=False,
                trust_env=False,
            )
            self._kept = (loop, client)
        return self._kept[1]


def unanswered(trouble: Exception) -> DeliveryError:
    """No answer came: it may have arrived, unless the connection was never made. Names no URL."""
    return DeliveryError(
        f"no answer: {type(trouble).__name__}", vendor_code="", maybe_sent=not isinstance(trouble, NEVER_SENT)
    )
