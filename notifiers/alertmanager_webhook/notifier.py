"""The channel for receivers of Alertmanager's webhooks: one POST for each message about a group of alerts."""

from __future__ import annotations

import base64
import re
import ssl
import time
from collections.abc import Callable

import msgspec

from notifiers.alertmanager_webhook.message import as_group, message
from notifiers.http_answer import refused
from notifiers.ratelimit import Rate
from notifiers.redaction import keep_out_of_logs
from notifiers.webhook.client import Address, Client, address
from schemas.channels import AlertmanagerWebhookChannel
from schemas.deliveries import Receipt
from schemas.errors import ConfigError, DeliveryError
from schemas.events import Notice

USER_AGENT = "Alertmanager/0.34.2 (compatible; Tocsin)"
"""Receivers may look for the first word."""


class Body(msgspec.Struct, frozen=True):
    """What is posted."""

    content: bytes


class AlertmanagerWebhookNotifier:
    """Tells a receiver of Alertmanager's webhooks, at least once: what may have been lost on the way is sent again."""

    rate: Rate | None = None
    idempotent = True

    def __init__(
        self, name: str, channel: AlertmanagerWebhookChannel, *, clock: Callable[[], float] = time.time
    ) -> None:
        """`clock` gives Unix seconds, for a Retry-After that is a date.

        Raises ConfigError for a URL that cannot be used, a credential that is no header value, or a bad certificate.
        """
        url = channel.url.get_secret_value() if channel.url else ""
        token = channel.token.get_secret_value() if channel.token else ""
        password = channel.password.get_secret_value() if channel.password else ""
        try:
            to = address(url)
        except ValueError as wrong:
            raise ConfigError(str(wrong), key=f"channels.{name}.url") from None
        if token and not re.fullmatch(r"[!-~]+", token):
            raise ConfigError("expected visible ASCII without spaces", key=f"channels.{name}.token")
        headers = {"User-Agent": USER_AGENT, "Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"{channel.scheme} {token}"
        elif channel.username:
            pair = base64.b64encode(f"{channel.username}:{password}".encode()).decode()
            headers["Authorization"] = f"Basic {pair}"
            keep_out_of_logs(pair)
        keep_out_of_logs(url, token, password, to.target)
        self._client = Client(to, headers, tls=_tls(name, channel, to))
        self._max_alerts, self._timeout_s, self._clock = channel.max_alerts, channel.timeout / 1000, clock

    def render(self, notice: Notice) -> Body:
        """The message of the group; of an incident or a test, the same with one alert."""
        return Body(message(as_group(notice), max_alerts=self._max_alerts))

    async def deliver(self, payload: Body, *, delivery: str) -> Receipt:
        """One POST within the channel's `timeout`. Any 2xx is success; 408, 425, 429 and 5xx are worth a retry.

        So is no answer at all, as with Alertmanager: its receivers know a message that comes twice by its content.
        """
        try:
            answer = await self._client.post(payload.content, b"", self._timeout_s)
        except DeliveryError as trouble:
            raise DeliveryError(trouble.reason) from None
        if not 200 <= answer.status < 300:
            raise refused(answer.status, answer.retry_after, self._clock())
        return Receipt(vendor_code=f"HTTP {answer.status}")

    async def close(self) -> None:
        """Close the kept connection."""
        await self._client.close()


def _tls(name: str, channel: AlertmanagerWebhookChannel, to: Address) -> ssl.SSLContext | None:
    if not to.tls:
        return None
    try:
        context = ssl.create_default_context(cadata=channel.ca.get_secret_value() if channel.ca else None)
    except (ssl.SSLError, ValueError) as bad:
        raise ConfigError(f"not a certificate: {type(bad).__name__}", key=f"channels.{name}.ca") from None
    if channel.insecure_skip_verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
