"""alertmanager.yml as Tocsin reads it: what it means, what is refused, and what is named as not honoured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.alertmanager_config import Imported, applied, read_alertmanager
from engine.config import load, write
from schemas.channels import AlertmanagerWebhookChannel, EmailChannel, SlackChannel, WeComAppChannel
from schemas.config import Settings
from schemas.errors import ConfigError

WEBHOOK = {"url": "http://127.0.0.1:9/x"}


def read(folder: Path, **sections: Any) -> Imported:
    """What a file of these sections means, written as YAML; `root` and `other` are its receivers."""
    receivers = sections.pop("receivers", [{"name": "root"}, {"name": "other", "webhook_configs": [WEBHOOK]}])
    file = folder / "alertmanager.yml"
    text = yaml.safe_dump({"route": {"receiver": "root"}, "receivers": receivers, **sections}, sort_keys=False)
    file.write_text(text)
    return read_alertmanager(file)


def refused(folder: Path, text: str) -> str:
    """Why a file of this text is refused."""
    file = folder / "alertmanager.yml"
    file.write_text(text)
    with pytest.raises(ConfigError) as error:
        read_alertmanager(file)
    return str(error.value).replace(str(folder) + "/", "")


def test_the_tree_of_routes_with_all_three_forms_of_matchers(tmp_path: Path) -> None:
    """`match`, `match_re` and `matchers` are all conditions of one route."""
    below = {"match": {"severity": "page", "code": 500}, "match_re": {"job": "a|b"}, "matchers": ['x!="y"']}
    imported = read(tmp_path, route={"receiver": "root", "group_by": ["..."], "routes": [below | {"continue": True}]})
    route = imported.dispatch.route
    assert route is not None
    assert route.routes[0].matchers == ('code="500"', 'severity="page"', 'job=~"^(?:a|b)$"', 'x!="y"')
    assert (route.routes[0].continue_, route.group_by) == (True, ("...",))


def test_intervals_and_times(tmp_path: Path) -> None:
    """Durations in Prometheus's units, recurring times of both sections."""
    night = {"name": "night", "time_intervals": [{"times": [{"start_time": "22:00", "end_time": "24:00"}]}]}
    late = {"name": "late", "time_intervals": [{"weekdays": ["Monday:Friday"], "days_of_month": [-1, "1:5"]}]}
    routes = [{"mute_time_intervals": ["night"], "active_time_intervals": ["late"], "group_wait": "1h30m"}]
    imported = read(
        tmp_path,
        route={"receiver": "root", "repeat_interval": "1ms", "routes": routes},
        time_intervals=[night],
        mute_time_intervals=[late],
    )
    assert set(imported.dispatch.time_intervals) == {"night", "late"}
    route = imported.dispatch.route
    assert route is not None
    assert (route.repeat_interval, route.routes[0].group_wait) == (1, 5_400_000)


def test_inhibition_in_both_forms(tmp_path: Path) -> None:
    """A side without matchers is everything."""
    old = {"source_match": {"a": "b"}, "target_match_re": {"c": "d.*"}, "equal": ["e"]}
    imported = read(tmp_path, inhibit_rules=[old, {"target_matchers": ['x="y"']}])
    assert [(rule.source_matchers, rule.target_matchers, rule.equal) for rule in imported.inhibit] == [
        (('a="b"',), ('c=~"^(?:d.*)$"',), ("e",)),
        (('alertname=~".*"',), ('x="y"',), ()),
    ]


def test_webhooks_with_their_way_in(tmp_path: Path) -> None:
    """User and password of the URL or of `basic_auth`, a credential, or a file with it; several of one receiver."""
    (tmp_path / "token").write_text("from-a-file\n")
    hooks = [
        {"url": "http://me:p%40ss@127.0.0.1/1", "max_alerts": 5, "timeout": "1.5s"},
        {"url_file": "url", "http_config": {"basic_auth": {"username": "u", "password": "w"}}},
        {**WEBHOOK, "http_config": {"authorization": {"type": "Token", "credentials_file": "token"}}},
        {**WEBHOOK, "send_resolved": False},
    ]
    (tmp_path / "url").write_text("http://127.0.0.1/2")
    imported = read(
        tmp_path,
        receivers=[{"name": "root", "webhook_configs": hooks}],
        **{"global": {"http_config": {"bearer_token": "b"}}},
    )
    made = [imported.channels[f"root.webhook{number}"] for number in range(4)]
    assert all(isinstance(one, AlertmanagerWebhookChannel) for one in made)
    shown = [one.model_dump(exclude_none=True, exclude_defaults=True) for one in made]
    secrets = [{name: value.get_secret_value() for name, value in one.items() if hasattr(value, "get_secret_value")}
               for one in shown]  # fmt: skip
    assert secrets[0] == {"url": "http://127.0.0.1/1", "password": "p@ss"}
    assert (shown[0]["username"], shown[0]["max_alerts"], shown[0]["timeout"]) == ("me", 5, "1s500ms")
    assert secrets[1] == {"url": "http://127.0.0.1/2", "password": "w"}
    assert (secrets[2]["token"], shown[2]["scheme"]) == ("from-a-file", "Token")
    assert secrets[3]["token"] == "b"
    assert [one.send_resolved for one in imported.dispatch.receivers["root"].integrations] == [True, True, True, False]


def test_people_are_told_by_our_own_channels(tmp_path: Path) -> None:
    """E-mail, Slack and WeCom, with what `global` says where the receiver does not."""
    receiver = {
        "name": "root",
        "email_configs": [{"to": "Li <li@x.org>, wang@x.org", "headers": {"Subject": "Alarm"}, "require_tls": False}],
        "slack_configs": [{"send_resolved": True}],
        "wechat_configs": [{"agent_id": 7, "to_user": "li|wang", "message_type": "markdown"}],
    }
    given = {
        "smtp_smarthost": "mail.x.org:465", "smtp_from": "am@x.org", "slack_api_url": "https://hooks.x.org/1",
        "wechat_api_secret": "s", "wechat_api_corp_id": "c", "wechat_api_url": "https://wx.x.org/cgi-bin/",
    }  # fmt: skip
    imported = read(tmp_path, receivers=[receiver], **{"global": given})
    mail, slack, wecom = imported.channels.values()
    assert isinstance(mail, EmailChannel)
    assert (mail.to, mail.security, mail.headers) == (("li@x.org", "wang@x.org"), "tls", {"Subject": "Alarm"})
    assert isinstance(slack, SlackChannel)
    assert isinstance(wecom, WeComAppChannel)
    assert (wecom.agent_id, wecom.to_users, wecom.base_url) == (7, ("li", "wang"), "https://wx.x.org")
    assert [one.send_resolved for one in imported.dispatch.receivers["root"].integrations] == [False, True, False]
    assert not imported.warnings


def test_what_is_not_honoured_is_named_with_its_line(tmp_path: Path) -> None:
    """No receiver, template or option is dropped in silence."""
    receiver = {
        "name": "root",
        "pagerduty_configs": [{"service_key": "k"}],
        "webhook_configs": [{"url": "http://x/{{ .GroupKey }}"}, {**WEBHOOK, "payload": {"a": "{{ . }}"}}],
        "slack_configs": [{"api_url": "https://hooks.x.org/1", "title": "{{ . }}"}],
    }
    imported = read(tmp_path, receivers=[receiver], templates=["*.tmpl"], tracing={})
    said = {(warned.key, warned.line) for warned in imported.warnings}
    assert {key for key, _ in said} == {
        "receivers[0].pagerduty_configs", "receivers[0].webhook_configs[0].url",
        "receivers[0].webhook_configs[1].payload", "receivers[0].slack_configs[0].title", "templates", "tracing",
    }  # fmt: skip
    assert all(line and line > 1 for _, line in said)
    assert [one.channel for one in imported.dispatch.receivers["root"].integrations] == ["root.webhook1", "root.slack0"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("receivers: []\n", "alertmanager.yml:1: route: is required"),
        ("route:\n  receiver: a\nreceivers: []\n", "alertmanager.yml:2: route.receiver: no receiver named 'a'"),
        (
            "route:\n  receiver: a\n  routes:\n    - matchers: ['x=~(']\nreceivers: [{name: a}]\n",
            "alertmanager.yml:4: route.routes[0].matchers[0]: bad regular expression",
        ),
        (
            "route: {receiver: a, group_wait: 10 minutes}\nreceivers: [{name: a}]\n",
            "alertmanager.yml:1: route.group_wait: expected a duration such as 30s",
        ),
        ("route: {receiver: a}\nreceivers: [{name: a}, {name: a}]\n", "receivers[1].name: 'a' is given twice"),
        ("route: {receiver: a}\nreciever: []\n", "reciever: unknown key; did you mean receivers?"),
        (
            "route: {receiver: a}\nreceivers:\n  - name: a\n    webhook_configs:\n      - send_resolved: true\n",
            "alertmanager.yml:5: receivers[0].webhook_configs[0].url: one of url and url_file must be given",
        ),
        (
            "route: {receiver: a}\nreceivers:\n  - name: a\n    email_configs:\n      - to: a@b.c\n",
            "alertmanager.yml:5: receivers[0].email_configs[0].smarthost: expected HOST:PORT here or in global",
        ),
        (
            "route: {receiver: a}\nreceivers:\n  - name: a\n    webhook_configs:\n      - url_file: nowhere\n",
            "receivers[0].webhook_configs[0].url_file: cannot read nowhere",
        ),
        (
            "route: {receiver: a}\nreceivers: [{name: a}]\ntime_intervals:\n  - name: t\n    time_intervals:\n"
            "      - weekdays: [someday]\n",
            "alertmanager.yml:6: time_intervals[0].time_intervals[0].weekdays[0]: someday is not a valid weekday",
        ),
    ],
)
def test_a_mistake_is_refused_with_its_place(tmp_path: Path, text: str, reason: str) -> None:
    """File, line, key, and in plain words what is wrong."""
    assert reason in refused(tmp_path, text)


def test_secrets_stay_with_the_channels(tmp_path: Path) -> None:
    """What is journalled, the rules, holds neither addresses nor passwords."""
    receiver = {"name": "root", "webhook_configs": [{"url": "http://127.0.0.1/hook-secret"}]}
    settings = applied(Settings(), read(tmp_path, receivers=[receiver]))
    assert b"hook-secret" not in settings.rules.canonical()
    assert b"root.webhook0" in settings.rules.canonical()


def test_what_is_written_means_the_same(tmp_path: Path) -> None:
    """The tocsin.yaml of `tocsin config import` gives the same settings, and the same rules to the byte."""
    routes = [{"matchers": ["a=b"], "continue": True, "group_wait": "500ms", "receiver": "other"}]
    imported = read(
        tmp_path,
        route={"receiver": "root", "routes": routes, "group_by": ["x"]},
        inhibit_rules=[{"source_matchers": ["a=b"], "target_matchers": ["a=c"]}],
        **{"global": {"resolve_timeout": "10s"}},
    )
    settings = applied(Settings(), imported)
    (tmp_path / "tocsin.yaml").write_text(write(settings))
    again = load(tmp_path / "tocsin.yaml")
    assert again == settings
    assert again.rules.digest == settings.rules.digest
    assert again.rules.expiry_s["alertmanager_v2"] == 10
