"""Secrets and telephone numbers do not reach a log, not even through a library's own lines."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from pydantic import SecretStr

from notifiers.redaction import keep_out_of_logs, mask_phones, redacted
from notifiers.registry import build
from schemas.config import AppriseChannel, DingTalkChannel, EmailChannel, WebhookChannel
from schemas.errors import ConfigError, DeliveryError
from schemas.events import Notice
from tests.peers.dingtalk import DingTalkPeer

NOTICE = Notice("opened", "INC-1", "t", "P1", "critical", "triggered", "s", 0, 0, 1)


def test_phones_are_masked() -> None:
    """The middle of a mobile number is hidden; longer numbers are left alone."""
    assert mask_phones("call 13812340000, not 138123400001") == "call 138****0000, not 138123400001"


def test_reasons_lose_known_secrets() -> None:
    """A secret is replaced wherever it turns up; what is too short to be one is not."""
    keep_out_of_logs("hunter2hunter2", "ok")
    assert redacted("ok: hunter2hunter2") == "ok: ***"


async def test_library_logs_never_show_the_token(caplog: pytest.LogCaptureFixture) -> None:
    """The HTTP client logs every URL, and the URL is the credential: the handlers see it masked."""
    caplog.set_level(logging.DEBUG)
    token, secret, mobile = "tokentokentoken42", "SECsecretsecret42", "13812345678"
    async with DingTalkPeer("refuse", token=token, secret=secret) as peer:
        channels = (
            DingTalkChannel(token=SecretStr(token), secret=SecretStr(secret), at_mobiles=(mobile,), base_url=peer.url),
            AppriseChannel(url=SecretStr(f"tocsindingtalk://{secret}@{token}/{mobile}?base={peer.url}")),
        )
        for channel in channels:
            notifier = build("robot", channel)
            with pytest.raises(DeliveryError):
                await notifier.deliver(notifier.render(NOTICE), delivery="INC-1.1")
    assert "access_token=***" in caplog.text
    for hidden in (token, secret, mobile):
        assert hidden not in caplog.text


def test_a_webhooks_credentials_are_known_and_its_host_is_no_secret() -> None:
    """The URL, long parts of its path, its query and its token are masked; a plain host name can still be read."""
    url = "https://relay.ops.test/in/abcdefgh12345678?key=querysecret"
    build("hook", WebhookChannel(url=SecretStr(url), token=SecretStr("bearersecret")))
    for hidden in (url, "/in/abcdefgh12345678", "querysecret", "bearersecret"):
        assert hidden not in redacted(f"tried {hidden} there")
    assert redacted("relay.ops.test did not answer") == "relay.ops.test did not answer"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("dingtalk://SECabcdefgh@tokentoken", "type dingtalk"),
        ("dingtalk://tokentoken", "type dingtalk"),
        ("https://oapi.dingtalk.com/robot/send?access_token=tokentoken", "does not take|type dingtalk"),
        ("feishu://abcdefgh12", "feishu"),
        ("lark://abcdefgh12", "feishu|lark"),
        ("wecombot://12345678-1234", "wecombot"),
        ("https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=12345678-1234", "wecombot"),
        ("nonsense://x", "does not take"),
        ("json://a.test/ json://b.test/", "does not take"),
    ],
)
def test_apprise_urls_that_lie_or_lead_nowhere_are_refused(url: str, told: str) -> None:
    """A plugin known to report false success is refused with what to use instead, however its URL is written."""
    with pytest.raises(ConfigError, match=told) as refused:
        build("c", AppriseChannel(url=SecretStr(url)))
    assert refused.value.key == "channels.c.url"
    assert "tokentoken" not in str(refused.value)


@pytest.mark.parametrize(
    "channel",
    [
        EmailChannel(host="h", sender="a@x.test\r\nBcc: b@x.test", to=("c@x.test",)),
        EmailChannel(host="h", sender="a@x.test", to=("Li <c@x.test>",)),
        DingTalkChannel(token_file=Path("unread")),
        AppriseChannel(url_file=Path("unread")),
        WebhookChannel(url_file=Path("unread")),
        WebhookChannel(url=SecretStr("https://h.test/"), token_file=Path("unread")),
    ],
)
def test_channels_that_cannot_work_are_refused_at_start(
    channel: EmailChannel | DingTalkChannel | WebhookChannel | AppriseChannel,
) -> None:
    """A missing secret or an address that SMTP cannot carry is found before the first incident."""
    with pytest.raises(ConfigError, match=r"channels\.c"):
        build("c", channel)
