"""The WeCom robot's channel: one POST, judged by the vendor's own error code."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from notifiers import digests
from notifiers.ratelimit import Rate
from notifiers.redaction import keep_out_of_logs
from notifiers.rendering import render
from notifiers.vendor import Call, VendorClient
from notifiers.wecom import robot
from schemas.channels import WeComChannel
from schemas.deliveries import Receipt
from schemas.errors import ConfigError
from schemas.events import Notice


class WeComNotifier:
    """Tells people through the robot of a WeCom group, with a link to the incident."""

    rate: Rate | None = robot.RATE

    def __init__(self, name: str, channel: WeComChannel) -> None:
        """Raises ConfigError without a key, and for markdown that shall mention people: WeCom would ignore it."""
        if channel.key is None:
            raise ConfigError("give key or key_file", key=f"channels.{name}.key")
        if channel.message == "markdown" and channel.at_mobiles:
            raise ConfigError("only message: text can mention people", key=f"channels.{name}.at_mobiles")
        self._channel = channel
        key = channel.key.get_secret_value()
        self._url = f"{channel.base_url.rstrip('/')}/cgi-bin/webhook/send?key={quote(key, safe='')}"
        self._http = VendorClient(channel.timeout_s)
        self.robot = f"wecom:{key}"
        keep_out_of_logs(key)

    def render(self, notice: Notice) -> robot.Message:
        """The message in the notice's language; the link stands near its head, since what is too long loses its end."""
        if self._channel.message == "text":
            mobiles = () if notice.kind == "test" else self._channel.at_mobiles
            return robot.Text(render(f"wecom/{notice.language}.txt.j2", notice), mobiles)
        return robot.Markdown(render(f"wecom/{notice.language}.md.j2", notice))

    def digest(self, notices: Sequence[Notice]) -> robot.Message:
        """One message about all of `notices`; a text mentions the configured people, too."""
        title = digests.title(notices)
        if self._channel.message == "text":
            listed = digests.text(notices, robot.TEXT_BYTES - 100, markdown=False)
            return robot.Text(f"{title}\n{listed}", self._channel.at_mobiles)
        return robot.Markdown(f"### {title}\n{digests.text(notices, robot.MARKDOWN_BYTES - 100, markdown=True)}")

    async def deliver(self, payload: robot.Message, *, delivery: str) -> Receipt:
        """One POST within the channel's `timeout_s`. The vendor knows no idempotence key: `delivery` is not sent."""
        return robot.judge(await self._http.post(Call(self._url, robot.encoded(robot.body(payload)))))

    async def close(self) -> None:
        """Close the kept connection; the notifier can still be used."""
        await self._http.close()
