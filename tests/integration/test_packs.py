"""Packs as Prometheus rules, judged by Prometheus' own tool."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from engine import packs
from engine.cli import app
from tests.servers import require

SERVER = 'job="tocsin",instance="t:1"'


def _promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [require("promtool"), *map(str, arguments)], capture_output=True, text=True, check=False, timeout=240
    )


def _exported(pack: str, folder: Path) -> Path:
    ran = CliRunner().invoke(app, ["packs", "rules", pack])
    assert ran.exit_code == 0, ran.stderr
    file = folder / f"{pack}.rules.yml"
    file.write_text(ran.stdout, "utf-8")
    return file


@pytest.mark.parametrize("pack", sorted(file.stem for file in packs.FOLDER.glob("*.yaml")))
def test_prometheus_takes_the_rules_of_every_pack(pack: str, tmp_path: Path) -> None:
    """promtool finds every query, label and template of an exported pack in order."""
    checked = _promtool("check", "rules", _exported(pack, tmp_path))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def _alert(name: str, **labels: str) -> dict[str, object]:
    """An alert as promtool expects it, with the annotations of its rule for the value 0 or 1 filled in."""
    value = "0" if name == "TocsinUp" else "1"
    (own,) = [pack for pack in packs.load_all() if pack.id == "tocsin"]
    (rule,) = [
        rule
        for group in yaml.safe_load(packs.rule_file(own))["groups"]
        for rule in group["rules"]
        if rule["alert"] == name and rule["labels"]["severity"] == labels["severity"]
    ]
    texts = {key: text.replace('{{ $value | printf "%.4g" }}', value) for key, text in rule["annotations"].items()}
    common = {"service": "tocsin", "pack": "tocsin", "job": "tocsin"}
    return {"exp_labels": common | labels, "exp_annotations": texts}


def test_tocsin_is_missed_whether_it_is_down_or_gone(tmp_path: Path) -> None:
    """TocsinUp fires 30 s after the server stopped answering, and when nobody scrapes it any more."""
    labels = {"severity": "critical", "indicator": "tocsin.up", "requirement": "R10.2"}
    down = {
        "interval": "15s",
        "input_series": [{"series": f"up{{{SERVER}}}", "values": "1 1 0 0 0 0 0"}],
        "alert_rule_test": [
            {"eval_time": "45s", "alertname": "TocsinUp", "exp_alerts": []},
            {"eval_time": "60s", "alertname": "TocsinUp", "exp_alerts": [_alert("TocsinUp", instance="t:1", **labels)]},
        ],
    }
    gone = {
        "interval": "15s",
        "input_series": [{"series": 'up{job="other"}', "values": "1x10"}],
        "alert_rule_test": [
            {"eval_time": "15s", "alertname": "TocsinUp", "exp_alerts": []},
            {"eval_time": "60s", "alertname": "TocsinUp", "exp_alerts": [_alert("TocsinUp", **labels)]},
        ],
    }
    _fires(tmp_path, down, gone)


def test_the_first_lost_notification_is_seen(tmp_path: Path) -> None:
    """A counter that comes up with 1 fires at once, and stops when the loss is 15 minutes ago; an old one does not."""
    name = "TocsinDeliveriesFailed"
    alert = _alert(
        name, severity="warning", indicator="tocsin.deliveries_failed", requirement="R1.8", instance="t:1",
        type="delivery_failed",
    )  # fmt: skip
    lost = 'tocsin_events_total{type="delivery_failed",' + SERVER + "}"
    new = {
        "interval": "1m",
        "input_series": [
            {"series": f"up{{{SERVER}}}", "values": "1x60"},
            {"series": lost, "values": "_x20 1x40"},
        ],
        "alert_rule_test": [
            {"eval_time": "19m", "alertname": name, "exp_alerts": []},
            {"eval_time": "22m", "alertname": name, "exp_alerts": [alert]},
            {"eval_time": "40m", "alertname": name, "exp_alerts": []},
        ],
    }
    old = {
        "interval": "1m",
        "input_series": [
            {"series": f"up{{{SERVER}}}", "values": "1x60"},
            {"series": lost, "values": "7x60"},
        ],
        "alert_rule_test": [{"eval_time": at, "alertname": name, "exp_alerts": []} for at in ("1m", "16m", "40m")],
    }
    _fires(tmp_path, new, old)


def _fires(folder: Path, *tests: dict[str, object]) -> None:
    content = {"rule_files": [str(_exported("tocsin", folder))], "evaluation_interval": "15s", "tests": list(tests)}
    file = folder / "test.yml"
    file.write_text(yaml.safe_dump(content, allow_unicode=True), "utf-8")
    ran = _promtool("test", "rules", file)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_query_that_is_no_promql_is_refused(tmp_path: Path) -> None:
    """`tocsin packs check` lets promtool read the queries: one that it refuses is named, with exit code 1."""
    require("promtool")
    text = (packs.FOLDER / "redis.yaml").read_text("utf-8")
    (tmp_path / "redis.yaml").write_text(text.replace("query: 'redis_up'", "query: 'redis_up ('"), "utf-8")
    (tmp_path / "runbooks").symlink_to(packs.FOLDER / "runbooks")
    refused = CliRunner().invoke(app, ["packs", "check", "--folder", str(tmp_path)])
    assert refused.exit_code == 1
    assert "promtool refuses a rule" in refused.stderr
    assert CliRunner().invoke(app, ["packs", "check"]).exit_code == 0
