"""The DingTalk channel: one signed POST, judged by the vendor's own error code."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from notifiers import digests
from notifiers.dingtalk import robot
from notifiers.ratelimit import Rate
from notifiers.redaction import keep_out_of_logs
from notifiers.rendering import headline, render
from notifiers.vendor import VendorClient
from schemas.channels import DingTalkChannel
from schemas.deliveries import Receipt
from schemas.errors import ConfigError
from schemas.events import Notice

BUTTON = {"zh": "处理此事件", "en": "Act on it"}


class DingTalkNotifier:
    """Tells people through a DingTalk robot, with a link to the incident."""

    rate: Rate | None = robot.RATE

    def __init__(self, name: str, channel: DingTalkChannel, *, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives Unix seconds, for the signature.

        Raises ConfigError without a token, and for a card that shall call people: DingTalk ignores `at` there.
        """
        if channel.token is None:
            raise ConfigError("give token or token_file", key=f"channels.{name}.token")
        if channel.message == "action_card" and (channel.at_mobiles or channel.at_all):
            raise ConfigError("an action_card calls nobody: use markdown or text", key=f"channels.{name}.message")
        self._channel, self._clock = channel, clock
        self._token = channel.token.get_secret_value()
        self._secret = channel.secret.get_secret_value() if channel.secret else ""
        self._http = VendorClient(channel.timeout_s)
        self.robot = f"dingtalk:{self._token}"
        keep_out_of_logs(self._token, self._secret)

    def render(self, notice: Notice) -> robot.Message:
        """The message in the notice's language, calling the configured mobiles; a test calls nobody."""
        title = headline(notice)
        mobiles, everybody = ((), False) if notice.kind == "test" else (self._channel.at_mobiles, self._channel.at_all)
        if self._channel.message == "text":
            text = f"{title}\n{render(f'apprise_url/{notice.language}.txt.j2', notice)}"
            return robot.Text(text, mobiles, everybody)
        text = render(f"dingtalk/{notice.language}.md.j2", notice)
        if self._channel.message == "action_card" and notice.url:
            return robot.ActionCard(title, text, BUTTON[notice.language], notice.url)
        return robot.Markdown(title, text, mobiles, everybody)

    def digest(self, notices: Sequence[Notice]) -> robot.Message:
        """One message about all of `notices`; it calls the configured mobiles, too."""
        title = digests.title(notices)
        listed = digests.text(notices, robot.BODY_BYTES // 2, markdown=self._channel.message != "text")
        if self._channel.message == "text":
            return robot.Text(f"{title}\n{listed}", self._channel.at_mobiles, self._channel.at_all)
        return robot.Markdown(title, f"### {title}\n\n{listed}", self._channel.at_mobiles, self._channel.at_all)

    async def deliver(self, payload: robot.Message, *, delivery: str) -> Receipt:
        """One POST within the channel's `timeout_s`. The vendor knows no idempotence key: `delivery` is not sent."""
        now_s = self._clock()
        call = robot.request(self._channel.base_url, self._token, self._secret, int(now_s * 1000), payload)
        reply = await self._http.post(call, now_s)
        return robot.judge(reply.status, reply.body, retry_after=reply.retry_after, now_s=now_s)

    async def close(self) -> None:
        """Close the kept connection; the notifier can still be used."""
        await self._http.close()
