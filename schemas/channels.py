"""How messages leave: the settings of one channel of each type. Secrets stay here and are never journalled."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, SecretStr

from schemas.durations import Duration
from schemas.sections import WithSecrets

Timeout = Annotated[int, Field(ge=1, le=120)]
Phone = Annotated[str, Field(pattern=r"^\+?\d{5,15}$")]
NoticeField = Literal["code", "priority", "severity", "kind", "service", "incident", "count", "time"]
"""What of a notice can fill a variable of a template. ``code`` is the incident's short code: 6 characters at most."""


class EmailChannel(WithSecrets):
    """E-mail by SMTP, with the server's own answer as the proof."""

    type: Literal["email"] = "email"
    host: str
    port: Annotated[int, Field(ge=1, le=65_535)] = 25
    security: Literal["none", "starttls", "tls"] = "none"
    username: str = ""
    password: SecretStr | None = None
    password_file: Path | None = None
    sender: str
    to: Annotated[tuple[str, ...], Field(min_length=1)]
    test_to: tuple[str, ...] = ()
    """Where test messages go instead."""
    headers: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")], Annotated[str, Field(pattern=r"^[^\r\n]*$")]] = {}
    """Headers instead of Tocsin's own, ``Subject`` or ``Reply-To`` for example."""
    timeout_s: Annotated[int, Field(ge=1, le=120)] = 10


class DingTalkChannel(WithSecrets):
    """A DingTalk robot. `base_url` is for private clouds and tests."""

    required_secrets: ClassVar[tuple[str, ...]] = ("token",)
    type: Literal["dingtalk"] = "dingtalk"
    token: SecretStr | None = None
    token_file: Path | None = None
    secret: SecretStr | None = None
    secret_file: Path | None = None
    message: Literal["markdown", "text", "action_card"] = "markdown"
    """``action_card`` has a button that leads to the incident, but can mention nobody."""
    at_mobiles: tuple[str, ...] = ()
    at_all: bool = False
    """Mention everybody in the group."""
    base_url: str = "https://oapi.dingtalk.com"
    timeout_s: Annotated[int, Field(ge=1, le=120)] = 10


class WeComChannel(WithSecrets):
    """A robot in a WeCom (企业微信) group. `key` is the end of its webhook address, and its only secret."""

    required_secrets: ClassVar[tuple[str, ...]] = ("key",)
    type: Literal["wecom"] = "wecom"
    key: SecretStr | None = None
    """What stands behind ``key=`` in the robot's webhook address."""
    key_file: Path | None = None
    message: Literal["markdown", "text"] = "markdown"
    """``text`` is shorter (2,048 bytes), and can mention people by mobile number."""
    at_mobiles: tuple[str, ...] = ()
    """Mobile numbers to mention; ``@all`` is everybody. With ``text`` only."""
    base_url: str = "https://qyapi.weixin.qq.com"
    """Another address, for private clouds and tests."""
    timeout_s: Timeout = 10
    """Seconds for one attempt."""


class WeComAppChannel(WithSecrets):
    """Messages of a WeCom (企业微信) application to members, departments and tags."""

    required_secrets: ClassVar[tuple[str, ...]] = ("secret",)
    type: Literal["wecom_app"] = "wecom_app"
    corp_id: str
    """The enterprise's id (企业 ID)."""
    agent_id: int
    """The application's number (AgentId)."""
    secret: SecretStr | None = None
    """The application's secret."""
    secret_file: Path | None = None
    to_users: tuple[str, ...] = ()
    """Members by their account (UserID); ``@all`` is everybody who sees the application."""
    to_parties: tuple[str, ...] = ()
    """Departments by number."""
    to_tags: tuple[str, ...] = ()
    """Tags by number."""
    test_users: tuple[str, ...] = ()
    """Members who get test messages instead of everybody else."""
    message: Literal["textcard", "markdown", "text"] = "textcard"
    """``textcard`` is a card that leads to the incident; ``markdown`` is shown in WeCom only, not in WeChat."""
    base_url: str = "https://qyapi.weixin.qq.com"
    """Another address, for private clouds and tests."""
    timeout_s: Timeout = 10
    """Seconds for one attempt."""


class FeishuChannel(WithSecrets):
    """A robot in a Feishu or Lark (飞书) group: a card with a button that leads to the incident."""

    required_secrets: ClassVar[tuple[str, ...]] = ("token",)
    type: Literal["feishu"] = "feishu"
    token: SecretStr | None = None
    """The last part of the robot's webhook address."""
    token_file: Path | None = None
    secret: SecretStr | None = None
    """The key for signing (签名校验), if the robot wants signatures."""
    secret_file: Path | None = None
    at_users: tuple[str, ...] = ()
    """Members to mention by open id (``ou_…``); ``all`` is everybody."""
    base_url: str = "https://open.feishu.cn"
    """``https://open.larksuite.com`` for Lark; another address for private clouds and tests."""
    timeout_s: Timeout = 10
    """Seconds for one attempt."""


class SlackChannel(WithSecrets):
    """An incoming webhook of Slack."""

    required_secrets: ClassVar[tuple[str, ...]] = ("url",)
    type: Literal["slack"] = "slack"
    url: SecretStr | None = None
    """The webhook's address; it is a credential."""
    url_file: Path | None = None
    timeout_s: Timeout = 10
    """Seconds for one attempt."""


class _Aliyun(WithSecrets):
    required_secrets: ClassVar[tuple[str, ...]] = ("access_key_secret",)
    access_key_id: str
    """The AccessKey's id."""
    access_key_secret: SecretStr | None = None
    """The AccessKey's secret."""
    access_key_secret_file: Path | None = None
    template_code: str
    """The approved template."""
    variables: dict[str, NoticeField] = {"priority": "priority", "code": "code"}
    """The template's variables, and what of the notice each is filled with."""
    variable_chars: Annotated[int, Field(ge=4, le=70)] = 20
    """The longest value that your template takes for a variable, in characters."""
    timeout_s: Timeout = 10
    """Seconds for one attempt."""


class AliyunSmsChannel(_Aliyun):
    """SMS by Aliyun (阿里云短信), by an approved template. It carries no link: it names the incident's short code."""

    type: Literal["aliyun_sms"] = "aliyun_sms"
    sign_name: str
    """The approved signature (签名), without brackets."""
    phones: Annotated[tuple[Phone, ...], Field(min_length=1, max_length=1000)]
    """The numbers that get the message: ``13800000000``, or ``+8613800000000``."""
    test_phones: tuple[Phone, ...] = ()
    """Where test messages go instead."""
    base_url: str = "https://dysmsapi.aliyuncs.com"
    """Another address, for private clouds and tests."""


class AliyunVoiceChannel(_Aliyun):
    """A telephone call by Aliyun (阿里云语音服务) that reads out an approved template."""

    type: Literal["aliyun_voice"] = "aliyun_voice"
    phone: Phone
    """The number that is called: the vendor takes one at a time."""
    test_phone: Annotated[str, Field(pattern=r"^(\+?\d{5,15})?$")] = ""
    """The number that tests call instead."""
    show_number: str = ""
    """The number that is shown, if you bought one."""
    play_times: Annotated[int, Field(ge=1, le=3)] = 2
    """How often the text is read out."""
    base_url: str = "https://dyvmsapi.aliyuncs.com"
    """Another address, for private clouds and tests."""


class _Tencent(WithSecrets):
    required_secrets: ClassVar[tuple[str, ...]] = ("secret_key",)
    secret_id: str
    """The API key's id (SecretId)."""
    secret_key: SecretStr | None = None
    """The API key's secret (SecretKey)."""
    secret_key_file: Path | None = None
    sdk_app_id: str
    """The application's number (SdkAppId)."""
    template_id: str
    """The approved template."""
    variables: tuple[NoticeField, ...] = ("priority", "code")
    """What of the notice fills the template's variables {1}, {2}, …"""
    variable_chars: Annotated[int, Field(ge=4, le=70)] = 6
    """The longest value for a variable, in characters: 6 for accounts opened since 2024."""
    timeout_s: Timeout = 10
    """Seconds for one attempt."""


class TencentSmsChannel(_Tencent):
    """SMS by Tencent Cloud (腾讯云短信), by an approved template; each number is answered for by itself."""

    type: Literal["tencent_sms"] = "tencent_sms"
    sign_name: str
    """The approved signature (签名), without brackets."""
    phones: Annotated[tuple[Phone, ...], Field(min_length=1, max_length=200)]
    """The numbers that get the message: ``13800000000``, or ``+8613800000000``."""
    test_phones: tuple[Phone, ...] = ()
    """Where test messages go instead."""
    region: str = "ap-guangzhou"
    """The vendor's region."""
    base_url: str = "https://sms.tencentcloudapi.com"
    """Another address, for private clouds and tests."""


class TencentVoiceChannel(_Tencent):
    """A telephone call by Tencent Cloud (腾讯云语音消息) that reads out an approved template."""

    type: Literal["tencent_voice"] = "tencent_voice"
    phone: Phone
    """The number that is called: the vendor takes one at a time."""
    test_phone: Annotated[str, Field(pattern=r"^(\+?\d{5,15})?$")] = ""
    """The number that tests call instead."""
    play_times: Annotated[int, Field(ge=1, le=3)] = 2
    """How often the text is read out."""
    base_url: str = "https://vms.tencentcloudapi.com"
    """Another address, for private clouds and tests."""


class SmppChannel(WithSecrets):
    """SMS through a gateway that speaks SMPP 3.4: one short message of 140 bytes to each number."""

    required_secrets: ClassVar[tuple[str, ...]] = ("password",)
    type: Literal["smpp"] = "smpp"
    host: str
    """The gateway."""
    port: Annotated[int, Field(ge=1, le=65_535)] = 2775
    """Its port."""
    tls: bool = False
    """Encrypt the connection."""
    system_id: str
    """Sign in with this name."""
    password: SecretStr | None = None
    """The password for it."""
    password_file: Path | None = None
    sender: str = ""
    """The number or name that the message comes from."""
    phones: Annotated[tuple[Phone, ...], Field(min_length=1, max_length=100)]
    """The numbers that get the message."""
    test_phones: tuple[Phone, ...] = ()
    """Where test messages go instead."""
    timeout_s: Timeout = 15
    """Seconds for one attempt, all numbers together."""


class AlertmanagerWebhookChannel(WithSecrets):
    """A receiver of Alertmanager's webhooks (version "4"), told of groups of alerts; of incidents, too."""

    required_secrets: ClassVar[tuple[str, ...]] = ("url",)
    type: Literal["alertmanager_webhook"] = "alertmanager_webhook"
    url: SecretStr | None = None
    """Where to POST; it may be a credential."""
    url_file: Path | None = None
    username: str = ""
    """For HTTP Basic, with `password`."""
    password: SecretStr | None = None
    """The password of `username`."""
    password_file: Path | None = None
    scheme: Annotated[str, Field(pattern=r"^[!-~]+$")] = "Bearer"
    """The first word of the Authorization header, before `token`."""
    token: SecretStr | None = None
    """The rest of the Authorization header."""
    token_file: Path | None = None
    max_alerts: Annotated[int, Field(ge=0)] = 0
    """At most so many alerts in one message; 0: all."""
    ca: SecretStr | None = None
    """Certificates (PEM) to trust instead of the system's."""
    ca_file: Path | None = None
    insecure_skip_verify: bool = False
    """Trust whatever answers. For tests."""
    timeout: Annotated[Duration, Field(ge=1, le=120_000)] = 10_000
    """For one attempt, ``500ms`` for example."""


class AppriseChannel(WithSecrets):
    """Any Apprise URL: the long tail. Its success is what Apprise says it is."""

    required_secrets: ClassVar[tuple[str, ...]] = ("url",)
    type: Literal["apprise"] = "apprise"
    url: SecretStr | None = None
    url_file: Path | None = None
    timeout_s: Annotated[int, Field(ge=1, le=120)] = 20


class WebhookChannel(WithSecrets):
    """A program of your own: the notice as JSON by POST. It is told when the answer is any 2xx."""

    required_secrets: ClassVar[tuple[str, ...]] = ("url",)
    type: Literal["webhook"] = "webhook"
    url: SecretStr | None = None
    url_file: Path | None = None
    token: SecretStr | None = None
    token_file: Path | None = None
    idempotent: bool = False
    """Your program knows a second copy by its ``Idempotency-Key``: what may have been lost is then sent again."""
    timeout_s: Annotated[int, Field(ge=1, le=120)] = 10


Channel = Annotated[
    EmailChannel | DingTalkChannel | WeComChannel | WeComAppChannel | FeishuChannel | SlackChannel | AliyunSmsChannel
    | AliyunVoiceChannel | TencentSmsChannel | TencentVoiceChannel | SmppChannel | WebhookChannel | AppriseChannel
    | AlertmanagerWebhookChannel,
    Field(discriminator="type"),
]  # fmt: skip
