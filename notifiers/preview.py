"""What a channel would send, as text for people: for looking at templates without sending anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from notifiers.registry import build
from schemas.channels import Channel
from schemas.events import Notice

Preview = Callable[[str, Notice], list[tuple[str, str]]]
"""`(channel, notice)` to the parts of the message, by name. Raises LookupError for a channel that is not there."""

PERSONAL = ("to", "phones", "at_mobiles", "at_users", "only")
"""Parts that hold people's numbers and addresses: a preview shows texts."""


def previewer(channels: Mapping[str, Channel]) -> Preview:
    """Renders as the channels would, with the templates in force. Raises ConfigError for a channel that is wrong."""
    notifiers = {name: build(name, channel) for name, channel in channels.items()}

    def preview(channel: str, notice: Notice) -> list[tuple[str, str]]:
        return list(_parts(msgspec.to_builtins(notifiers[channel].render(notice))))

    return preview


def _parts(payload: Any, name: str = "") -> list[tuple[str, str]]:
    if isinstance(payload, dict):
        inner = [_parts(value, key) for key, value in payload.items() if key not in PERSONAL]
        return [part for parts in inner for part in parts]
    if isinstance(payload, list):
        return [(name, "\n".join(str(value) for value in payload))] if payload else []
    return [(name, str(payload))] if payload not in ("", None) else []
