"""The routing in force as the text of an `alertmanager.yml` without secrets: what `amtool config` works with.

It is written from the rules, not copied from a file: what it says is what is decided by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from schemas.channels import Channel, EmailChannel, SlackChannel, WeComAppChannel
from schemas.config import Rules
from schemas.dispatch import DispatchReceiver
from schemas.matchers import Matcher

SECRET = "<secret>"
"""What stands for a secret, as in Alertmanager's own answer."""
SECRET_URL = "http://secret.invalid/"
"""What stands for a webhook's address: a URL still, for `amtool` before 0.26 reads nothing else there."""
OWN_RECEIVER = "tocsin"
"""Stands at the root where Tocsin's own routes of incidents are all there is."""


def receivers_of(rules: Rules) -> Sequence[str]:
    """The names of all receivers, in the order of the file."""
    if rules.dispatch.route is not None:
        return tuple(rules.dispatch.receivers)
    return (OWN_RECEIVER, *rules.receivers)


def config_text(rules: Rules, channels: Mapping[str, Channel]) -> str:
    """The text; where there is no tree of routes, Tocsin's own routes of incidents stand in for it."""
    if rules.dispatch.route is None:
        content = _own(rules)
    else:
        content = {
            "route": rules.dispatch.route.model_dump(mode="json", exclude_none=True, exclude_defaults=True),
            "receivers": [
                {"name": name, **_integrations(receiver, channels)}
                for name, receiver in rules.dispatch.receivers.items()
            ],
            "time_intervals": [
                {"name": name, "time_intervals": [one.model_dump(mode="json", exclude_none=True) for one in intervals]}
                for name, intervals in rules.dispatch.time_intervals.items()
            ],
        }
    content["inhibit_rules"] = [
        {"source_matchers": list(rule.source_matchers), "target_matchers": list(rule.target_matchers)}
        | ({"equal": list(rule.equal)} if rule.equal else {})
        for rule in rules.inhibit
    ]
    kept = {key: value for key, value in content.items() if value}
    return yaml.safe_dump(kept, sort_keys=False, allow_unicode=True, default_flow_style=False)


def _own(rules: Rules) -> dict[str, Any]:
    routes = [
        {"receiver": route.receiver, "continue": route.also}
        | {"matchers": [str(Matcher(name, "=", value)) for name, value in route.match.items()]}
        for route in rules.routes
    ]
    receivers = [{"name": name} for name in (OWN_RECEIVER, *rules.receivers)]
    return {"route": {"receiver": OWN_RECEIVER, "routes": routes}, "receivers": receivers}


def _integrations(receiver: DispatchReceiver, channels: Mapping[str, Channel]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for integration in receiver.integrations:
        kind, settings = _as_alertmanager(channels.get(integration.channel))
        found.setdefault(kind, []).append({"send_resolved": integration.send_resolved, **settings})
    return found


def _as_alertmanager(channel: Channel | None) -> tuple[str, dict[str, Any]]:
    """The nearest thing to a channel that Alertmanager has; a webhook where there is none."""
    if isinstance(channel, EmailChannel):
        smarthost = f"{channel.host}:{channel.port}"
        tls = channel.security != "none"
        return "email_configs", {
            "to": ", ".join(channel.to), "from": channel.sender, "smarthost": smarthost, "require_tls": tls,
        }  # fmt: skip
    if isinstance(channel, SlackChannel):
        return "slack_configs", {"api_url": SECRET}
    if isinstance(channel, WeComAppChannel):
        return "wechat_configs", {"corp_id": channel.corp_id, "agent_id": str(channel.agent_id), "api_secret": SECRET}
    return "webhook_configs", {"url": SECRET_URL}
