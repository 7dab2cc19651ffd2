"""From configuration to channels: the one place that names every notifier class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from notifiers.alertmanager_webhook.notifier import AlertmanagerWebhookNotifier
from notifiers.aliyun.notifier import AliyunSmsNotifier, AliyunVoiceNotifier
from notifiers.apprise_url.notifier import AppriseNotifier
from notifiers.dingtalk.notifier import DingTalkNotifier
from notifiers.email.notifier import EmailNotifier
from notifiers.feishu.notifier import FeishuNotifier
from notifiers.notifier import Notifier
from notifiers.slack.notifier import SlackNotifier
from notifiers.smpp.notifier import SmppNotifier
from notifiers.tencent.notifier import TencentSmsNotifier, TencentVoiceNotifier
from notifiers.webhook.notifier import WebhookNotifier
from notifiers.wecom.app import WeComAppNotifier
from notifiers.wecom.notifier import WeComNotifier
from schemas import channels as c

MAKERS: dict[type[Any], Callable[[str, Any], Notifier[Any]]] = {
    c.EmailChannel: EmailNotifier,
    c.DingTalkChannel: DingTalkNotifier,
    c.WeComChannel: WeComNotifier,
    c.WeComAppChannel: WeComAppNotifier,
    c.FeishuChannel: FeishuNotifier,
    c.SlackChannel: SlackNotifier,
    c.AliyunSmsChannel: AliyunSmsNotifier,
    c.AliyunVoiceChannel: AliyunVoiceNotifier,
    c.TencentSmsChannel: TencentSmsNotifier,
    c.TencentVoiceChannel: TencentVoiceNotifier,
    c.SmppChannel: SmppNotifier,
    c.WebhookChannel: WebhookNotifier,
    c.AppriseChannel: AppriseNotifier,
    c.AlertmanagerWebhookChannel: AlertmanagerWebhookNotifier,
}
"""Settings → notifier; a test looks that no type of channel is left out."""


def build(name: str, channel: c.Channel) -> Notifier[Any]:
    """The notifier of one configured channel. Raises ConfigError that names ``channels.<name>…``."""
    return MAKERS[type(channel)](name, channel)


def build_all(channels: Mapping[str, c.Channel]) -> dict[str, Notifier[Any]]:
    """Every configured channel by its name. Raises ConfigError for the first that is wrong."""
    return {name: build(name, channel) for name, channel in channels.items()}
