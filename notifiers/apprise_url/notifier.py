"""Any Apprise URL as a channel: one Apprise object for one attempt after the other, in a thread.

Apprise answers True or False. What it says beside that (its result's log) is read for what the outbox must know: the
HTTP status, and whether the request had been written before the trouble began.
"""

from __future__ import annotations

import asyncio
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
from apprise import Apprise, AppriseResultStatus, NotifyType, OverflowMode
from apprise.plugins import NotifyBase

from notifiers.dingtalk import plugin
from notifiers.ratelimit import Rate
from notifiers.redaction import keep_out_of_logs, redacted
from notifiers.rendering import headline, one_line, render, with_link
from schemas.config import AppriseChannel
from schemas.deliveries import Receipt
from schemas.errors import ConfigError, DeliveryError
from schemas.events import Notice

BODY_BYTES = 8_000
"""The longest text handed to Apprise; most services of the long tail take less than 10 KB."""
GRACE_S = 2
"""Apprise keeps its own time-out; this is how much later we stop waiting for it."""
MISTRUSTED = {
    "dingtalk": f"use a channel of type dingtalk (or {plugin.SCHEMA}://)",
    "feishu": "use a channel of type feishu",
    "lark": "use a channel of type feishu with base_url: https://open.larksuite.com",
    "wecombot": "use a channel of type wecom",
    "smpp": "use a channel of type smpp",
    "smpps": "use a channel of type smpp with tls: true",
}
"""Apprise's own plugins that report success although the vendor's answer says that nothing was sent."""

_CUT = re.compile(r"Read timed out|RemoteDisconnected|Connection aborted|Connection reset|BrokenPipe", re.IGNORECASE)
_HTTP_STATUS = re.compile(r"\berror=(\d{3})\b")


class Message(msgspec.Struct, frozen=True):
    """What Apprise is given. `kind` is its notify type: info, success, warning or failure."""

    title: str
    body: str
    kind: str


class AppriseNotifier:
    """Tells people through any service that Apprise knows. Its success is what Apprise says it is."""

    rate: Rate | None = None

    def __init__(self, name: str, channel: AppriseChannel) -> None:
        """Raises ConfigError for a URL that Apprise does not take, or whose plugin is known to report false success."""
        plugin.register()
        key = f"channels.{name}.url"
        if channel.url is None:
            raise ConfigError("give url or url_file", key=key)
        self._url, self._timeout_s = channel.url.get_secret_value(), channel.timeout_s
        keep_out_of_logs(self._url, *re.split(r"[/:@?&=]+", self._url)[1:])
        service = self._service()
        if service is None:
            raise ConfigError(
                "Apprise does not take this URL (wrong form, several URLs, or a missing package)", key=key
            )
        for schema in _schemas(service) & MISTRUSTED.keys():
            problem = f"Apprise's {schema}:// reports success even when the vendor refuses the message"
            raise ConfigError(f"{problem}: {MISTRUSTED[schema]}", key=key)
        self._spare: NotifyBase | None = service
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix=f"apprise-{name}")

    def render(self, notice: Notice) -> Message:
        """Title and plain text in the notice's language."""
        text = render(f"apprise_url/{notice.language}.txt.j2", notice)
        kinds = {"resolved": "success", "test": "info"}
        kind = kinds.get(notice.kind, "failure" if notice.severity in ("critical", "major") else "warning")
        return Message(headline(notice), with_link(text, BODY_BYTES, notice.url), kind)

    async def deliver(self, payload: Message, *, delivery: str) -> Receipt:
        """One notify() in a thread, at most `timeout_s`; a time-out means that it may have arrived.

        Apprise offers no place for an identity, so `delivery` is not sent.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout_s + GRACE_S):
                return await loop.run_in_executor(self._threads, self._notify, payload)
        except TimeoutError:
            raise DeliveryError("Apprise did not come back in time", maybe_sent=True) from None

    def _service(self) -> NotifyBase | None:
        made: Any = Apprise()
        return made[0] if made.add(self._url) and len(made) == 1 else None

    def _notify(self, payload: Message) -> Receipt:
        spare, self._spare = self._spare, None  # a second attempt at the same time makes one of its own
        service: Any = spare or self._service()
        if service is None:
            raise DeliveryError("Apprise does not take this URL any more", permanent=True)
        service.retry = 0  # one attempt: the outbox decides about the next
        service.request_rate_per_sec = 0
        service.socket_read_timeout = self._timeout_s + GRACE_S  # silence then shows as TIMEOUT, not as FAILURE
        if service.overflow_mode is OverflowMode.UPSTREAM:
            service.overflow_mode = OverflowMode.TRUNCATE
        service.logger = _private_logger()
        caller: Any = Apprise()
        caller.add(service)
        result: Any = caller.notify(
            body=payload.body,
            title=payload.title,
            notify_type=NotifyType(payload.kind),
            timeout=self._timeout_s,
            log_level=logging.DEBUG,
        )
        if result.status is not AppriseResultStatus.TIMEOUT:  # else a thread of Apprise's may still be using it
            self._spare = service
        with result:
            return _judge(result, service)


def _private_logger() -> logging.Logger:
    """A logger for one attempt: its debug lines say what Apprise's answer does not, and reach no log of ours."""
    private = logging.Logger("apprise.attempt", logging.DEBUG)
    private.addHandler(logging.NullHandler())
    return private


def _schemas(service: Any) -> set[str]:
    """Every scheme of the plugin that Apprise chose, whatever the URL was written like."""
    named = (service.secure_protocol, service.protocol)
    return {schema for one in named if one for schema in ((one,) if isinstance(one, str) else one)}


def _judge(result: Any, service: Any) -> Receipt:
    """A receipt, or the DeliveryError that fits; our own plugin keeps the vendor's answer, others leave only logs."""
    own = isinstance(service, plugin.NotifyTocsinDingTalk)
    if result.status is AppriseResultStatus.SUCCESS:
        return service.receipt if own and service.receipt else Receipt(vendor_code=result.status.name)
    if own and service.failure:
        raise service.failure
    if result.status is AppriseResultStatus.TIMEOUT:
        raise DeliveryError("no answer in time", vendor_code=result.status.name, maybe_sent=True)
    entries = [(entry.level, str(entry.message)) for entry in result.logs()]
    warnings = [text for level, text in entries if level in ("WARNING", "ERROR")] or ["no reason"]
    status = next((int(found[1]) for text in warnings if (found := _HTTP_STATUS.search(text))), None)
    raise DeliveryError(
        one_line(redacted(warnings[-1])),
        permanent=status is not None and 400 <= status < 500 and status not in (408, 425, 429),
        vendor_code=f"HTTP {status}" if status else result.status.name,
        maybe_sent=status is None and any(_CUT.search(text) for _, text in entries),
    )
