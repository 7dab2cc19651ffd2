"""From configuration to channels: the one place that names every notifier class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from notifiers import rendering, template_check
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
from schemas.directory import Addresses, addressed

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


def build_all(
    channels: Mapping[str, c.Channel],
    templates: Path | None = None,
    directory: Mapping[str, Addresses] | None = None,
) -> dict[str, Notifier[Any]]:
    """Every configured channel by its name, rendering with the folder `templates` over our own from now on.

    ``NAME@PERSON`` is a channel as it reaches one person of the `directory`; ``NAME@`` as it reaches people of whom it
    has no address, a group chat for example: a channel that needs one is not there.

    Raises ConfigError for the first channel or template that is wrong; then nothing has changed.
    """
    if templates is not None:
        template_check.check(templates)
    made = {name: build(name, channel) for name, channel in channels.items()}
    for person, addresses in ({"": None} | dict(directory or {})).items():
        for name, channel in channels.items():
            reaching = addressed(channel, addresses)
            if reaching is not None:
                made[f"{name}@{person}"] = made[name] if reaching is channel else build(name, reaching)
    rendering.use(rendering.templates_in(templates))
    return made
