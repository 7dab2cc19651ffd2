"""Every channel wired to a peer that behaves as its vendor does, and what each fault is called there.

Used by the contract test and by what writes the table in docs/channels.md.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Literal, NamedTuple

from pydantic import SecretStr

from notifiers.notifier import Notifier
from notifiers.registry import build
from schemas import channels as c
from schemas.deliveries import Receipt
from schemas.errors import DeliveryError
from schemas.events import Notice
from tests.peers.aliyun import AliyunPeer
from tests.peers.dingtalk import DingTalkPeer
from tests.peers.feishu import FeishuPeer
from tests.peers.http import HttpPeer
from tests.peers.slack import SlackPeer
from tests.peers.smpp import SmppPeer
from tests.peers.smtp import SmtpPeer
from tests.peers.tencent import TencentPeer
from tests.peers.wecom import WeComPeer

SHORT_SECRET = "SECsmpp1"
"""As much as SMPP has room for."""
TOKEN, SECRET, MOBILE = "f00dcafe0123456789", "SEC+with/odd=letters", "13800000000"
PATIENCE_S = 60
"""The time-out of channels whose peer answers, however slowly the machine lets it."""
HANG_S = 2
"""That of channels whose peer takes a message and never answers; within it the peer must have taken it."""

Outcome = Literal["ok", "retry", "failed", "unknown"]
Fault = Literal[
    "accepted", "slow", "over_long", "error_in_200", "throttled", "429", "5xx", "permanent", "nobody", "hang", "cut"
]
FAULTS: tuple[Fault, ...] = (
    "accepted", "slow", "over_long", "error_in_200", "throttled", "429", "5xx", "permanent", "nobody", "hang", "cut",
)  # fmt: skip


class Rig(NamedTuple):
    """A channel wired to its own peer; `faults` says what each fault is called there, and what must come of it."""

    notifier: Notifier[Any]
    peer: Any
    faults: dict[Fault, tuple[str, Outcome]]


SHARED: dict[Fault, tuple[str, Outcome]] = {
    "accepted": ("ok", "ok"), "slow": ("slow", "ok"), "over_long": ("ok", "ok"), "429": ("429", "retry"),
    "5xx": ("500", "retry"), "permanent": ("404", "failed"), "nobody": ("ok", "retry"), "hang": ("hang", "unknown"),
    "cut": ("cut", "unknown"),
}  # fmt: skip
HTTP_FAULTS = SHARED
VENDOR_FAULTS: dict[Fault, tuple[str, Outcome]] = {
    **SHARED, "error_in_200": ("refuse", "failed"), "throttled": ("throttle", "retry"),
}  # fmt: skip
AT_LEAST_ONCE_FAULTS: dict[Fault, tuple[str, Outcome]] = {**SHARED, "hang": ("hang", "retry"), "cut": ("cut", "retry")}
SMTP_FAULTS: dict[Fault, tuple[str, Outcome]] = {
    **SHARED, "accepted": ("accept", "ok"), "over_long": ("accept", "ok"), "nobody": ("accept", "retry"),
    "5xx": ("451", "retry"), "429": ("421", "retry"), "permanent": ("550", "failed"),
}  # fmt: skip
SMPP_FAULTS: dict[Fault, tuple[str, Outcome]] = {
    **SHARED, "throttled": ("throttle", "retry"), "429": ("full", "retry"), "5xx": ("system", "retry"),
    "permanent": ("refuse", "failed"),
}  # fmt: skip
NO_SUCH_FAULT: dict[tuple[str, str], str] = {
    ("email", "error_in_200"): "SMTP has no success code that carries an error",
    ("email", "throttled"): "SMTP throttles by 4xx, which 5xx (451) and 429 (421) show",
    ("slack", "error_in_200"): "Slack tells errors by the HTTP status",
    ("slack", "throttled"): "Slack throttles by 429",
    ("smpp", "error_in_200"): "each SMPP answer has one status, which the other columns show",
    ("webhook", "error_in_200"): "a webhook takes any 2xx as success: there is no vendor behind it",
    ("webhook", "throttled"): "a webhook knows only HTTP status codes",
    ("alertmanager_webhook", "error_in_200"): "a webhook takes any 2xx as success: there is no vendor behind it",
    ("alertmanager_webhook", "throttled"): "a webhook knows only HTTP status codes",
    ("apprise json", "error_in_200"): "json:// takes any 2xx as success: there is no vendor behind it",
    ("apprise json", "throttled"): "json:// knows only HTTP status codes",
}
"""Why a pair does not exist; nothing else is left out."""


@contextlib.asynccontextmanager
async def _rig(
    peer: Any, channel: Callable[[], c.Channel], faults: dict[Fault, tuple[str, Outcome]]
) -> AsyncIterator[Rig]:
    async with peer:
        notifier: Any = build("it", channel())
        yield Rig(notifier, peer, faults)
        if hasattr(notifier, "close"):
            await notifier.close()


Made = contextlib.AbstractAsyncContextManager[Rig]


def email(timeout_s: int = PATIENCE_S) -> Made:
    """A mail server."""
    peer = SmtpPeer()
    return _rig(
        peer,
        lambda: c.EmailChannel(
            host="127.0.0.1", port=peer.port, sender="tocsin@ops.test", to=("li@ops.test",), timeout_s=timeout_s
        ),
        SMTP_FAULTS,
    )


def dingtalk(timeout_s: int = PATIENCE_S, **changes: Any) -> Made:
    """A signed DingTalk robot that mentions somebody."""
    peer = DingTalkPeer(token=TOKEN, secret=SECRET)
    settings = {"token": SecretStr(TOKEN), "secret": SecretStr(SECRET), "at_mobiles": (MOBILE,)} | changes
    return _rig(peer, lambda: c.DingTalkChannel(**settings, base_url=peer.url, timeout_s=timeout_s), VENDOR_FAULTS)


def dingtalk_plugin(timeout_s: int = PATIENCE_S) -> Made:
    """The same robot as an Apprise URL."""
    peer = DingTalkPeer(token=TOKEN, secret=SECRET)
    secret = SECRET.replace("+", "%2B").replace("/", "%2F")

    def channel() -> c.Channel:
        url = f"tocsindingtalk://{secret}@{TOKEN}/{MOBILE}?base={peer.url}"
        return c.AppriseChannel(url=SecretStr(url), timeout_s=timeout_s)

    return _rig(peer, channel, VENDOR_FAULTS)


def wecom(timeout_s: int = PATIENCE_S, **changes: Any) -> Made:
    """A WeCom robot."""
    peer = WeComPeer(key=TOKEN)
    return _rig(
        peer,
        lambda: c.WeComChannel(key=SecretStr(TOKEN), base_url=peer.url, timeout_s=timeout_s, **changes),
        VENDOR_FAULTS,
    )


def wecom_app(timeout_s: int = PATIENCE_S, **changes: Any) -> Made:
    """A WeCom application, which gets its access token first."""
    peer = WeComPeer(secret=SECRET)
    settings = {"to_users": ("lilei", "hanmeimei")} | changes
    return _rig(
        peer,
        lambda: c.WeComAppChannel(
            corp_id=peer.corp_id, agent_id=peer.agent_id, secret=SecretStr(SECRET), base_url=peer.url,
            timeout_s=timeout_s, **settings,
        ),
        VENDOR_FAULTS,
    )  # fmt: skip


def feishu(timeout_s: int = PATIENCE_S, **changes: Any) -> Made:
    """A signed Feishu robot."""
    peer = FeishuPeer(token=TOKEN, secret=SECRET)
    settings = {"token": SecretStr(TOKEN), "secret": SecretStr(SECRET)} | changes
    return _rig(peer, lambda: c.FeishuChannel(**settings, base_url=peer.url, timeout_s=timeout_s), VENDOR_FAULTS)


def slack(timeout_s: int = PATIENCE_S) -> Made:
    """An incoming webhook of Slack."""
    peer = SlackPeer(path=f"/services/{TOKEN}")
    return _rig(
        peer,
        lambda: c.SlackChannel(url=SecretStr(f"{peer.url}/services/{TOKEN}"), timeout_s=timeout_s),
        HTTP_FAULTS,
    )


def aliyun_sms(timeout_s: int = PATIENCE_S, **changes: Any) -> Made:
    """An SMS by Aliyun to two numbers."""
    peer = AliyunPeer(key_id=TOKEN, secret=SECRET)
    settings = _aliyun() | {"sign_name": "警钟", "phones": (MOBILE, "+8613900000000")} | changes
    return _rig(peer, lambda: c.AliyunSmsChannel(**settings, base_url=peer.url, timeout_s=timeout_s), VENDOR_FAULTS)


def aliyun_voice(timeout_s: int = PATIENCE_S, **changes: Any) -> Made:
    """A call by Aliyun."""
    peer = AliyunPeer(key_id=TOKEN, secret=SECRET)
    settings = _aliyun() | {"phone": MOBILE} | changes
    return _rig(peer, lambda: c.AliyunVoiceChannel(**settings, base_url=peer.url, timeout_s=timeout_s), VENDOR_FAULTS)


def tencent_sms(timeout_s: int = PATIENCE_S, **changes: Any) -> Made:
    """An SMS by Tencent Cloud to two numbers."""
    peer = TencentPeer(key_id=TOKEN, secret=SECRET)
    settings = _tencent() | {"sign_name": "警钟", "phones": (MOBILE, "13900000000")} | changes
    return _rig(peer, lambda: c.TencentSmsChannel(**settings, base_url=peer.url, timeout_s=timeout_s), VENDOR_FAULTS)


def tencent_voice(timeout_s: int = PATIENCE_S, **changes: Any) -> Made:
    """A call by Tencent Cloud."""
    peer = TencentPeer(key_id=TOKEN, secret=SECRET)
    settings = _tencent() | {"phone": MOBILE} | changes
    return _rig(peer, lambda: c.TencentVoiceChannel(**settings, base_url=peer.url, timeout_s=timeout_s), VENDOR_FAULTS)


def smpp(timeout_s: int = PATIENCE_S, **changes: Any) -> Made:
    """An SMS gateway."""
    peer = SmppPeer()
    settings = {"phones": (MOBILE,), "sender": "10690000"} | changes
    return _rig(
        peer,
        lambda: c.SmppChannel(
            host="127.0.0.1", port=peer.port, system_id="tocsin", password=SecretStr(SHORT_SECRET), timeout_s=timeout_s,
            **settings,
        ),
        SMPP_FAULTS,
    )  # fmt: skip


def webhook(timeout_s: int = PATIENCE_S) -> Made:
    """A program of one's own."""
    peer = HttpPeer()

    def channel() -> c.Channel:
        url = SecretStr(f"{peer.url}/hook/{TOKEN}?key={MOBILE}")
        return c.WebhookChannel(url=url, token=SecretStr(SECRET), timeout_s=timeout_s)

    return _rig(peer, channel, HTTP_FAULTS)


def alertmanager_webhook(timeout_s: int = PATIENCE_S) -> Made:
    """A receiver of Alertmanager's webhooks, which is told at least once."""
    peer = HttpPeer()

    def channel() -> c.Channel:
        url = SecretStr(f"{peer.url}/hook/{TOKEN}?key={MOBILE}")
        return c.AlertmanagerWebhookChannel(url=url, token=SecretStr(SECRET), timeout=f"{timeout_s}s")

    return _rig(peer, channel, AT_LEAST_ONCE_FAULTS)


def apprise_json(timeout_s: int = PATIENCE_S) -> Made:
    """The simplest service of Apprise's own."""
    peer = HttpPeer()
    return _rig(
        peer,
        lambda: c.AppriseChannel(url=SecretStr(f"json://127.0.0.1:{peer.port}/hook"), timeout_s=timeout_s),
        HTTP_FAULTS,
    )


def _aliyun() -> dict[str, Any]:
    return {"access_key_id": TOKEN, "access_key_secret": SecretStr(SECRET), "template_code": "SMS_1"}


def _tencent() -> dict[str, Any]:
    return {"secret_id": TOKEN, "secret_key": SecretStr(SECRET), "sdk_app_id": "1400006666", "template_id": "449739"}


RIGS: dict[str, Callable[..., Made]] = {
    "email": email, "dingtalk": dingtalk, "dingtalk plugin": dingtalk_plugin, "wecom": wecom, "wecom_app": wecom_app,
    "feishu": feishu, "slack": slack, "aliyun_sms": aliyun_sms, "aliyun_voice": aliyun_voice,
    "tencent_sms": tencent_sms, "tencent_voice": tencent_voice, "smpp": smpp, "webhook": webhook,
    "alertmanager_webhook": alertmanager_webhook,
    "apprise json": apprise_json,
}  # fmt: skip
PAIRS: list[tuple[str, Fault]] = [
    (name, fault) for name in RIGS for fault in FAULTS if (name, fault) not in NO_SUCH_FAULT
]


def notice(**changes: Any) -> Notice:
    """A plausible notice."""
    told: dict[str, Any] = {
        "kind": "opened", "incident": "INC-7", "title": "数据库连接耗尽", "priority": "P1", "severity": "critical",
        "state": "triggered", "service": "billing", "opened_ms": 1_760_000_000_000, "at_ms": 1_760_000_000_500,
        "alert_count": 2, "alerts": ["DbConnections", "Latency"], "url": "http://127.0.0.1:8080/incidents/INC-7",
    }  # fmt: skip
    return Notice(**(told | changes))


def long_notice() -> Notice:
    """Names of a length that no vendor takes, in bytes as in characters."""
    return notice(
        title="警" * 30_000,
        alerts=['钟"\\\n' * 9_000] * 40,
        alert_count=40,
        reason="🔔" * 9_000,
        service="www.pay.test/" * 99,
    )


async def outcome(attempt: Awaitable[Receipt]) -> tuple[Outcome, Receipt | DeliveryError]:
    """The one word that the outbox would report, with the evidence."""
    try:
        return "ok", await attempt
    except DeliveryError as trouble:
        return ("unknown" if trouble.maybe_sent else "failed" if trouble.permanent else "retry"), trouble


async def meet(name: str, fault: Fault) -> tuple[Outcome, Outcome, Receipt | DeliveryError, Any]:
    """Let one channel meet one fault, once: what became of it, what should, the evidence, and the peer."""
    async with RIGS[name](HANG_S if fault == "hang" else PATIENCE_S) as rig:
        rig.peer.mode, expected = rig.faults[fault]
        payload = rig.notifier.render(long_notice() if fault == "over_long" else notice())
        if fault == "nobody":
            await rig.peer.__aexit__(None, None, None)
        became, evidence = await outcome(rig.notifier.deliver(payload, delivery="INC-7.1"))
        if fault == "nobody":
            await rig.peer.__aenter__()  # so that leaving the rig finds something to stop
        return became, expected, evidence, rig.peer
