"""From configuration to channels: the one place that names every notifier class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_never

from notifiers.apprise_url.notifier import AppriseNotifier
from notifiers.dingtalk.notifier import DingTalkNotifier
from notifiers.email.notifier import EmailNotifier
from notifiers.notifier import Notifier
from notifiers.webhook.notifier import WebhookNotifier
from schemas.config import AppriseChannel, Channel, DingTalkChannel, EmailChannel, WebhookChannel


def build(name: str, channel: Channel) -> Notifier[Any]:
    """The notifier of one configured channel. Raises ConfigError that names ``channels.<name>…``."""
    match channel:
        case EmailChannel():
            return EmailNotifier(name, channel)
        case DingTalkChannel():
            return DingTalkNotifier(name, channel)
        case WebhookChannel():
            return WebhookNotifier(name, channel)
        case AppriseChannel():
            return AppriseNotifier(name, channel)
        case unknown:
            assert_never(unknown)


def build_all(channels: Mapping[str, Channel]) -> dict[str, Notifier[Any]]:
    """Every configured channel by its name. Raises ConfigError for the first that is wrong."""
    return {name: build(name, channel) for name, channel in channels.items()}
