"""The demo's files, read by the programs that they are for."""

from __future__ import annotations

import itertools
import json
import smtplib
import subprocess
import urllib.request
from email.message import EmailMessage
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from demo.faulty_shop import STORY, Instance, state_at
from demo.peers import Outbox, peers
from demo.stack import ASSETS, SHOP, Addresses, Stack, free_ports
from demo.view import Figures, figures_of, set_up_link
from engine.config import load
from tests.servers import require

RULE_TESTS = {
    "rule_files": [str(ASSETS / "rules.yml")],
    "evaluation_interval": "2s",
    "tests": [
        {
            "interval": "2s",
            "input_series": [
                {
                    "series": 'up{job="mall",namespace="mall",service="redis",instance="r:1"}',
                    "values": "1 1 1 0x20",
                },
                {
                    "series": 'shop_requests_total{code="500",namespace="mall",service="order-service",instance="o:1"}',
                    "values": "0+0x10 26+26x20",
                },
                {
                    "series": 'shop_requests_total{code="200",namespace="mall",service="order-service",instance="o:1"}',
                    "values": "0+40x10 414+14x20",
                },
            ],
            "alert_rule_test": [
                {"eval_time": "8s", "alertname": "InstanceDown", "exp_alerts": []},
                {
                    "eval_time": "12s",
                    "alertname": "InstanceDown",
                    "exp_alerts": [
                        {
                            "exp_labels": {
                                "severity": "critical",
                                "job": "mall",
                                "namespace": "mall",
                                "service": "redis",
                                "instance": "r:1",
                            },
                            "exp_annotations": {
                                "summary": "redis 无法访问（r:1）",
                                "description": "实例 r:1 已连续多次无法采集，请检查进程与网络。",
                            },
                        }
                    ],
                },
                {"eval_time": "18s", "alertname": "HighErrorRatio", "exp_alerts": []},
                {
                    "eval_time": "58s",
                    "alertname": "CheckoutUnavailable",
                    "exp_alerts": [
                        {
                            "exp_labels": {
                                "severity": "critical",
                                "impact": "1",
                                "outage": "business",
                                "namespace": "mall",
                                "service": "order-service",
                            },
                            "exp_annotations": {
                                "summary": "用户无法下单",
                                "description": "超过一半的下单请求失败（65%），业务中断。",
                            },
                        }
                    ],
                },
            ],
        }
    ],
}


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    """The demo's configuration, written but not started."""
    shop = [(service, 9000 + number) for number, service in enumerate(SHOP)]
    stack = Stack(tmp_path, Addresses(8080, 9090, 9093, 2525, 8585, shop))
    stack.write_configuration()
    return stack


def _accepted(*command: str | Path) -> None:
    ran = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_prometheus_accepts_its_configuration_and_rules(stack: Stack) -> None:
    """Debian's own promtool finds nothing wrong with what the demo writes for Prometheus."""
    _accepted(require("promtool"), "check", "config", stack.folder / "prometheus.yml")
    for rules in ("rules.yml", "tocsin.rules.yml"):
        _accepted(require("promtool"), "check", "rules", stack.folder / rules)


def test_alertmanager_accepts_its_configuration(stack: Stack) -> None:
    """Debian's own amtool finds nothing wrong with what the demo writes for Alertmanager."""
    _accepted(require("amtool"), "check-config", stack.folder / "alertmanager.yml")


def test_the_rules_fire_when_they_should(tmp_path: Path) -> None:
    """Fed with samples, the rules wait, fire with their labels, and say in Chinese what is wrong."""
    file = tmp_path / "rules_test.yml"
    file.write_text(yaml.safe_dump(RULE_TESTS, allow_unicode=True))
    _accepted(require("promtool"), "test", "rules", file)


def test_tocsin_accepts_its_configuration(stack: Stack) -> None:
    """The demo's tocsin.yaml is valid, and its tokens are secrets in files that only the owner reads."""
    settings = load(stack.folder / "tocsin.yaml")
    token = settings.sources["alertmanager"].token
    assert token is not None
    assert token.get_secret_value() == (stack.folder / "alertmanager.token").read_text()
    assert (stack.folder / "alertmanager.token").stat().st_mode & 0o077 == 0
    assert {channel for receiver in settings.rules.receivers.values() for channel in receiver.channels} == {
        "robot",
        "mail",
    }


def test_the_shop_tells_its_trouble_and_heals() -> None:
    """Counters only grow; during the error burst most orders fail, and at the end of the story nothing is wrong."""
    times_s = [0.0, 1.0, 11.0, 30.0, 70.0, 200.0]
    order = Instance("order-service", 1, iter(times_s).__next__)  # it looks at the clock when made and when read
    readings = []
    for _ in times_s[1:]:
        text = order.metrics()
        assert text is not None
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        readings.append({sample.labels.get("code", sample.name): sample.value for sample in samples})
    failed = [after["500"] - before["500"] for before, after in itertools.pairwise(readings)]
    served = [after["200"] - before["200"] for before, after in itertools.pairwise(readings)]
    assert all(count >= 0 for count in failed + served)
    assert failed[2] > served[2]
    assert readings[3]["shop_queue_length"] > 2000
    assert not any(state_at(service, max(trouble.end_s for trouble in STORY)).service for service in SHOP)


def test_a_service_that_is_down_answers_nothing() -> None:
    """While the cache is away its instance has no metrics, so that `up` is 0."""
    assert Instance("redis", 1, lambda: 60.0).metrics() is None
    assert Instance("redis", 1, lambda: 10.0).metrics() is not None


def test_messages_are_kept_as_files(tmp_path: Path) -> None:
    """What a mail client and a chat robot's client send is in the folder, whole, one file each."""
    outbox = Outbox(tmp_path)
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@demo.invalid", "b@demo.invalid", "警钟"
    mail.set_content("first line\n.a line that begins with a dot\n")
    with peers(outbox) as (mail_port, robot_port):
        with smtplib.SMTP("127.0.0.1", mail_port, timeout=60) as client:
            client.send_message(mail)
        request = urllib.request.Request(f"http://127.0.0.1:{robot_port}/robot/send", data=b'{"msgtype":"text"}')
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert json.load(answer)["errcode"] == 0
    assert (outbox.count("eml"), outbox.count("json")) == (1, 1)
    assert b"\n.a line that begins with a dot" in (tmp_path / "0001.eml").read_bytes()
    assert (tmp_path / "0002.json").read_bytes() == b'{"msgtype":"text"}'


def test_figures_are_read_from_the_metrics() -> None:
    """The screen's numbers are Tocsin's own; a setting-up link is found in its log."""
    metrics = (
        "# TYPE tocsin_alerts counter\n"
        'tocsin_alerts_total{source="a",disposition="opened"} 2\n'
        'tocsin_alerts_total{source="b",disposition="opened"} 1\n'
        'tocsin_alerts_total{source="a",disposition="repeated"} 5\n'
        "# TYPE tocsin_events counter\n"
        'tocsin_events_total{type="incident_opened"} 3\n'
    )
    figures = figures_of(metrics, mails=4, robot_messages=1)
    assert figures == Figures({"opened": 3, "repeated": 5}, 3, 0, 4, 1)
    assert figures.received == 8
    link = "http://127.0.0.1:8080/setup?token=abc-_1"
    assert set_up_link(f"first run: open {link} now") == link
    assert set_up_link("nothing") is None


def test_ports_are_free_and_different() -> None:
    """Every component gets a port of its own, and the preferred one only where nobody has it."""
    ports = free_ports(5)
    assert len(set(ports)) == 5
    assert all(port > 0 for port in ports)
