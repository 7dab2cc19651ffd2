"""Alertmanager's webhook: the bytes that its receivers know, and what an incident looks like to them."""

from __future__ import annotations

import json

import pytest
from msgspec import Raw
from pydantic import SecretStr

from notifiers.alertmanager_webhook.message import as_group, message
from notifiers.alertmanager_webhook.notifier import AlertmanagerWebhookNotifier
from schemas.channels import AlertmanagerWebhookChannel
from schemas.errors import ConfigError
from schemas.events import Notice
from schemas.groups import GroupAlert, GroupNotice

FIRING = GroupAlert(
    "f1", "firing", 1_767_585_600_120, Raw(b'{"a":"<1>","b":"2"}'), Raw(b'{"s":"x & y"}'), 0, "http://p"
)
OVER = GroupAlert("f2", "resolved", 1_767_585_600_000, Raw(b'{"a":"<1>","b":"3"}'), ends_ms=1_767_585_660_000)
GROUP = GroupNotice('{}:{a="<1>"}', "team.x|y", "new_alerts", {"a": "<1>"}, 1, 1, "http://am", [FIRING, OVER])
INCIDENT = Notice(
    kind="resolved", incident="INC-7", title="DB down", priority="P1", severity="critical", state="resolved",
    service="db", opened_ms=0, at_ms=60_000, alert_count=1, url="http://tocsin/incidents/INC-7",
)  # fmt: skip


def test_the_body_is_what_gos_encoder_writes() -> None:
    """Fields in their order, names sorted, `<`, `>` and `&` escaped, Go's times, a line feed at the end."""
    assert message(GROUP).decode() == (
        '{"receiver":"team\\\\.x\\\\|y","status":"firing","alerts":[{"status":"firing","labels":{"a":"\\u003c1\\u003e",'
        '"b":"2"},"annotations":{"s":"x \\u0026 y"},"startsAt":"2026-01-05T04:00:00.12Z",'
        '"endsAt":"0001-01-01T00:00:00Z","generatorURL":"http://p","fingerprint":"f1"},{"status":"resolved",'
        '"labels":{"a":"\\u003c1\\u003e","b":"3"},"annotations":{},"startsAt":"2026-01-05T04:00:00Z",'
        '"endsAt":"2026-01-05T04:01:00Z","generatorURL":"","fingerprint":"f2"}],'
        '"notification_reason":"new alerts added","groupLabels":{"a":"\\u003c1\\u003e"},'
        '"commonLabels":{"a":"\\u003c1\\u003e"},"commonAnnotations":{},"routeLabels":{},"externalURL":"http://am",'
        '"version":"4","groupKey":"{}:{a=\\"\\u003c1\\u003e\\"}","truncatedAlerts":0}\n'
    )


def test_what_is_cut_is_counted_and_counts_for_nothing_else() -> None:
    """Status and common labels are those of the alerts that are shown."""
    body = json.loads(message(GROUP, max_alerts=1))
    assert (len(body["alerts"]), body["truncatedAlerts"], body["commonLabels"]) == (1, 1, {"a": "<1>", "b": "2"})


def test_an_incident_is_one_alert() -> None:
    """Receivers of groups can be told of incidents, too."""
    body = json.loads(message(as_group(INCIDENT)))
    assert body["status"] == "resolved"
    assert body["groupKey"] == '{}:{incident="INC-7"}'
    [alert] = body["alerts"]
    assert alert["labels"] == {
        "alertname": "TocsinResolved", "incident": "INC-7", "priority": "P1", "service": "db", "severity": "critical",
    }  # fmt: skip
    assert (alert["annotations"]["summary"], alert["endsAt"]) == ("DB down", "1970-01-01T00:01:00Z")


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        ({"url": SecretStr("ftp://x")}, "channels.hook.url"),
        ({"url": SecretStr("http://x"), "token": SecretStr("two words")}, "channels.hook.token"),
        ({"url": SecretStr("https://x"), "ca": SecretStr("no certificate")}, "channels.hook.ca"),
    ],
)
def test_bad_settings_are_named(settings: dict[str, SecretStr], place: str) -> None:
    """Before anything is served, and without their secrets."""
    with pytest.raises(ConfigError) as wrong:
        AlertmanagerWebhookNotifier("hook", AlertmanagerWebhookChannel(**settings))
    assert wrong.value.key == place
