"""The WeCom application's channel: an access token that is kept while it lasts, then one POST for all recipients."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from urllib.parse import quote, urlencode

import msgspec

from notifiers import digests
from notifiers.ratelimit import Rate
from notifiers.redaction import keep_out_of_logs
from notifiers.rendering import headline, render
from notifiers.vendor import Call, VendorClient, by_code, spoken
from notifiers.wecom import robot
from schemas.channels import WeComAppChannel
from schemas.deliveries import Receipt
from schemas.errors import ConfigError, DeliveryError
from schemas.events import Notice

BUTTON = {"zh": "处理", "en": "Act"}
"""At most four characters."""
RENEW_S = 300
"""A token is asked for anew so long before it runs out."""
SAME_WITHIN_S = 1800
"""The vendor drops a message that says the same to the same people within so long: a second copy does no harm."""


class Addressed(msgspec.Struct, frozen=True):
    """A message, and the only members who shall get it; empty: all that the channel names."""

    message: robot.Message
    only: tuple[str, ...] = ()


class WeComAppNotifier:
    """Tells members of a WeCom enterprise. Some unknown to the vendor still counts as told: the receipt names them."""

    rate: Rate | None = robot.APP_RATE

    def __init__(self, name: str, channel: WeComAppChannel, *, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives Unix seconds, for the token's age. Raises ConfigError without a secret or any recipient."""
        if channel.secret is None:
            raise ConfigError("give secret or secret_file", key=f"channels.{name}.secret")
        if not (channel.to_users or channel.to_parties or channel.to_tags):
            raise ConfigError("name members, departments or tags", key=f"channels.{name}.to_users")
        self._channel, self._clock, self._secret = channel, clock, channel.secret.get_secret_value()
        self._base = channel.base_url.rstrip("/")
        self._http = VendorClient(channel.timeout_s)
        self._token, self._token_until_s = "", 0.0
        self.robot = f"wecom_app:{channel.corp_id}:{channel.agent_id}"
        keep_out_of_logs(self._secret)

    def render(self, notice: Notice) -> Addressed:
        """The message in the notice's language; a test goes to the test members, if there are some."""
        test = self._channel.test_users if notice.kind == "test" else ()
        return Addressed(self._message(notice), test)

    def _message(self, notice: Notice) -> robot.Message:
        if self._channel.message == "markdown":
            return robot.Markdown(render(f"wecom/{notice.language}.md.j2", notice))
        if self._channel.message == "textcard" and notice.url:
            text = render(f"apprise_url/{notice.language}.txt.j2", notice)
            return robot.Card(headline(notice), text, notice.url, BUTTON[notice.language])
        return robot.Text(render(f"wecom/{notice.language}.txt.j2", notice))

    def digest(self, notices: Sequence[Notice]) -> Addressed:
        """One text about all of `notices`."""
        listed = digests.text(notices, robot.APP_BYTES - 100, markdown=False)
        return Addressed(robot.Text(f"{digests.title(notices)}\n{listed}"))

    async def deliver(self, payload: Addressed, *, delivery: str) -> Receipt:
        """One POST, after another one for a token where that is needed; a token that is spent early is renewed once."""
        try:
            return await self._send(payload)
        except DeliveryError as refused:
            if refused.vendor_code not in robot.TOKEN_SPENT:
                raise
            self._token = ""
        return await self._send(payload)

    async def close(self) -> None:
        """Close the kept connection; the notifier can still be used."""
        await self._http.close()

    async def _send(self, payload: Addressed) -> Receipt:
        token = await self._access_token()
        message = robot.body(payload.message, text_bytes=robot.APP_BYTES, markdown_bytes=robot.APP_BYTES) | {
            "touser": "|".join(payload.only or self._channel.to_users),
            "toparty": "" if payload.only else "|".join(self._channel.to_parties),
            "totag": "" if payload.only else "|".join(self._channel.to_tags),
            "agentid": self._channel.agent_id,
            "enable_duplicate_check": 1,
            "duplicate_check_interval": SAME_WITHIN_S,
        }
        url = f"{self._base}/cgi-bin/message/send?access_token={quote(token, safe='')}"
        return robot.judge(await self._http.post(Call(url, robot.encoded(message))))

    async def _access_token(self) -> str:
        """The token in force. Whatever goes wrong here, no message has been sent."""
        if self._token and self._clock() < self._token_until_s:
            return self._token
        query = urlencode({"corpid": self._channel.corp_id, "corpsecret": self._secret})
        try:
            reply = await self._http.post(Call(f"{self._base}/cgi-bin/gettoken?{query}", b"", method="GET"))
        except DeliveryError as silent:
            raise DeliveryError(f"no access token: {silent.reason}") from None
        answer = spoken(reply, "WeCom")
        if str(answer.get("errcode", "")) != "0" or not answer.get("access_token"):
            raise by_code(str(answer.get("errcode", "")), answer.get("errmsg", ""), robot.VERDICTS)
        self._token = str(answer["access_token"])
        self._token_until_s = self._clock() + max(0, int(answer.get("expires_in", 7200)) - RENEW_S)
        keep_out_of_logs(self._token)
        return self._token
