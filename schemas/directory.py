"""Where people are reached: numbers and addresses, kept out of rules and journal, masked wherever they are shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import SecretStr

from schemas import channels as c
from schemas.oncall import OnCall
from schemas.sections import Section


class Addresses(Section):
    """How one person is reached. What is not given is not used."""

    email: SecretStr | None = None
    """Their mailbox."""
    mobile: SecretStr | None = None
    """For SMS and calls, and to be mentioned in DingTalk and WeCom groups: ``13800000000``, or ``+8613800000000``."""
    wecom: str = ""
    """The account in WeCom (UserID)."""
    feishu: str = ""
    """The open id in Feishu (``ou_…``), to be mentioned."""


_FIELDS: Final[dict[type[Any], tuple[str, str, bool]]] = {
    c.EmailChannel: ("email", "to", True),
    c.AliyunSmsChannel: ("mobile", "phones", True),
    c.TencentSmsChannel: ("mobile", "phones", True),
    c.SmppChannel: ("mobile", "phones", True),
    c.AliyunVoiceChannel: ("mobile", "phone", True),
    c.TencentVoiceChannel: ("mobile", "phone", True),
    c.WeComAppChannel: ("wecom", "to_users", True),
    c.DingTalkChannel: ("mobile", "at_mobiles", False),
    c.WeComChannel: ("mobile", "at_mobiles", False),
    c.FeishuChannel: ("feishu", "at_users", False),
}
"""Type of channel → which address of a person it needs, its own field for it, and whether it is of no use without."""


def addressed(channel: c.Channel, addresses: Addresses | None) -> c.Channel | None:
    """The channel as it reaches one person; a group chat mentions them. None where it cannot reach them.

    Channels that know no people (webhook, Slack, Apprise) are as they are.
    """
    if type(channel) not in _FIELDS:
        return channel
    source, target, needed = _FIELDS[type(channel)]
    given = getattr(addresses, source, None) if addresses is not None else None
    address = given.get_secret_value() if isinstance(given, SecretStr) else given
    if not address:
        return None if needed else channel
    others = {"to_parties": (), "to_tags": ()} if isinstance(channel, c.WeComAppChannel) else {}
    value = address if isinstance(getattr(channel, target), str) else (address,)
    return channel.model_copy(update={target: value, **others})


def channels_without_address(
    oncall: OnCall, directory: Mapping[str, Addresses], channels: Mapping[str, c.Channel]
) -> Iterator[tuple[str, str]]:
    """Each person, and what is missing to reach them by a channel of theirs."""
    for person, rule in oncall.people.items():
        for name in rule.contacts:
            if name in channels and addressed(channels[name], directory.get(person)) is None:
                yield person, f"{_FIELDS[type(channels[name])][0]} is required: a contact of theirs is {name}"
