"""Packs as Prometheus rules, judged by Prometheus' own tool."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

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


def test_prometheus_takes_the_rules_of_every_pack(tmp_path: Path) -> None:
    """promtool finds every query, label and template of every exported pack in order."""
    assert CliRunner().invoke(app, ["packs", "export", str(tmp_path)]).exit_code == 0
    files = sorted(tmp_path.glob("*.rules.yml"))
    assert [file.name.removesuffix(".rules.yml") for file in files] == [pack.id for pack in packs.load_all()]
    checked = _promtool("check", "rules", *files)
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


def _fires(folder: Path, *tests: Mapping[str, object]) -> None:
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


NG = "nginx_ingress_controller_request_duration_seconds"
S = 'ingress="search"'
Series = tuple[tuple[str, str], ...]
CACHE_DOWN: Series = (
    ("redis_keyspace_hits_total", "0+60x150"), ("redis_keyspace_misses_total", "0+6000x150"),
    ("redis_db_keys", "1000x150"), ("mysql_global_status_queries", "0+6000x124 750000+60000x25"),
)  # fmt: skip


def _histogram(name: str, labels: str, slow: str, at: tuple[str, str]) -> Series:
    """Requests that all took longer than the first bound and at most the second."""
    low, high = at
    return tuple(
        (f'{name}_bucket{{{labels}le="{le}"}}', values) for le, values in ((low, "0x60"), (high, slow), ("+Inf", slow))
    )


BREACHES: tuple[tuple[str, Series, str], ...] = (
    ("SloScrapeIntervalS", (('prometheus_target_interval_length_seconds{quantile="0.99"}', "31x60"),), "30"),
    ("SloAlertsDropped", (("prometheus_notifications_dropped_total", "0+1x60"),), "0"),
    ("SloRedisOps", (("redis_commands_processed_total", "0+7800000x60"),), "0+2000000"),
    ("SloRedisNodes", (("redis_up", "1x60"),), ""),
    ("SloEsDocs", (("elasticsearch_indices_indexing_index_total", "0+400000x60"),), "0+50000"),
    ("SloSearchP90S", _histogram("search_request_duration_seconds", "", "0+60x60", ("20", "25")), ""),
    ("SloSearchP99S", _histogram("search_request_duration_seconds", "", "0+60x60", ("25", "30")), ""),
    ("SloSearchAvailable", (('probe_success{service="search"}', "1x30 0x30"),), "1"),
    ("SloGwMeanMs", ((f"{NG}_sum{{{S}}}", "0+30x60"), (f"{NG}_count{{{S}}}", "0+600x60")), "0+6"),
    ("SloGwP95Ms", _histogram(NG, S + ",", "0+60x60", ("0.05", "0.1")), ""),
    ("SloGwP99Ms", _histogram(NG, S + ",", "0+60x60", ("0.1", "0.25")), ""),
    ("SloGwOps", ((f"nginx_ingress_controller_requests{{{S}}}", "0+36000x60"),), "0+6000"),
    ("SloSqlMs", (("mysql_perf_schema_events_statements_seconds_total", "0+12x60"),
                  ("mysql_perf_schema_events_statements_total", "0+60x60")), "0+1"),
    ("SloSqlConcurrent", (("mysql_global_status_threads_running", "101x60"),), "100"),
    ("SloMqSmallRate", (("rocketmq_producer_tps", "21000x60"),
                        ("rocketmq_producer_message_size", "2700000x60")), "19000"),
    ("SloMqLargeRate", (("rocketmq_producer_tps", "16000x60"),
                        ("rocketmq_producer_message_size", "8200000x60")), "14000"),
    ("SloMqDelayS", (('rocketmq_group_get_latency_by_storetime{group="g",topic="t"}', "21000x60"),), "20000"),
    ("SloConfigClients", (('nacos_monitor{name="longConnection"}', "50001x60"),), "50000"),
    ("SloConfigQps", (('http_server_requests_seconds_count{job="nacos"}', "0+6600x60"),), "0+60"),
    ("SloConfigMs", (('http_server_requests_seconds_sum{job="nacos"}', "0+12x60"),
                     ('http_server_requests_seconds_count{job="nacos"}', "0+60x60")), "0+1"),
    ("SloReleases", (("release_running", "11x60"),), "10"),
    ("SloRollbackPct", (('release_rollbacks_total{result="failure"}', "0+1x60"),
                        ('release_rollbacks_total{result="success"}', "0+9x60")), "0+0"),
    ("SloAvailable", (("probe_success", "1x40 0x20"),), "1"),
    ("SloRto", (("probe_success", "1x10 0x110"),), "1"),
    ("SloRpoS", (("mysql_slave_status_seconds_behind_master", "301x60"),), "300"),
    ("SloPeakRps", (("nginx_ingress_controller_requests", "0+186000x60"),), "0+60000"),
)  # fmt: skip
"""What breaks each objective, sampled every 30 s, and what the first of these series may be when it is kept."""


def test_every_row_of_the_performance_table_fires(tmp_path: Path) -> None:
    """Each objective of the contract fires on what breaks it, and not on what keeps it (R2–R10)."""
    tests = []
    for alert, bad, good in BREACHES:
        at = "50m" if alert == "SloRto" else "28m"
        tests.append(_judged(alert, bad, at, fires=True))
        if good:
            (series, _), *others = bad
            tests.append(_judged(alert, ((series, good + "x120"), *others), at, fires=False))
    _pass("slo", tests, tmp_path)


def test_every_objective_that_prometheus_evaluates_has_its_case() -> None:
    """No row of the pack `slo` is left without a test that it fires."""
    (slo,) = [pack for pack in packs.load_all() if pack.id == "slo"]
    assert {case[0] for case in BREACHES} == {packs.alert_name(i) for i in slo.indicators if i.source == "prometheus"}


def test_a_composite_fires_when_its_conditions_come_together(tmp_path: Path) -> None:
    """Penetration: hardly any hits, keys kept, the database asked ten times as much; without the latter, silence."""
    both = _judged("CachePenetration", CACHE_DOWN, "66m", fires=True)
    _pass("cache", [both, _judged("CachePenetration", CACHE_DOWN[:3], "66m", fires=False)], tmp_path)


def _judged(alert: str, series: Series, at: str, *, fires: bool) -> dict[str, object]:
    """A test for promtool: whether any level of an alert fires at `at`."""
    firing = f'clamp_max(count(ALERTS{{alertname="{alert}",alertstate="firing"}}),1) or vector(0)'
    return {
        "name": f"{alert} {'fires' if fires else 'is silent'}",
        "interval": "30s",
        "input_series": [{"series": _on_one_instance(name), "values": values} for name, values in series],
        "promql_expr_test": [
            {"expr": firing, "eval_time": at, "exp_samples": [{"labels": "{}", "value": int(fires)}]}
        ],
    }  # fmt: skip


def _pass(pack: str, tests: list[dict[str, object]], folder: Path) -> None:
    content = {"rule_files": [str(_exported(pack, folder))], "evaluation_interval": "30s", "tests": tests}
    file = folder / "test.yml"
    file.write_text(yaml.safe_dump(content, allow_unicode=True), "utf-8")
    ran = _promtool("test", "rules", file)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def _on_one_instance(series: str) -> str:
    name, _, labels = series.partition("{")
    return f"{name}{{{','.join(filter(None, (labels.rstrip('}'), *_missing(labels))))}}}"


def _missing(labels: str) -> list[str]:
    return [f'{label}="{value}"' for label, value in (("job", "j"), ("instance", "i")) if f"{label}=" not in labels]


def test_one_instance_has_thresholds_of_its_own(tmp_path: Path) -> None:
    """An override applies to its instance alone; switched off means silent there, and the others are judged as ever."""
    overrides = tmp_path / "overrides.yml"
    overrides.write_text(
        "overrides:\n"
        "  - {indicator: redis.fork_s, match: {instance: 'big:1'}, warn: 2, crit: 3}\n"
        "  - {indicator: redis.fork_s, match: {instance: 'lab:1'}, off: true}\n"
    )
    ran = CliRunner().invoke(app, ["packs", "export", str(tmp_path / "rules"), "--overrides", str(overrides)])
    assert ran.exit_code == 0, ran.output
    assert len(list((tmp_path / "rules").glob("*.rules.yml"))) == len(packs.load_all())
    tests = [
        {
            "interval": "15s",
            "input_series": [{"series": f'redis_latest_fork_seconds{{instance="{instance}"}}', "values": f"{value}x8"}],
            "promql_expr_test": [
                {
                    "expr": 'count(ALERTS{alertname="RedisForkS",alertstate="firing"}) or vector(0)',
                    "eval_time": "1m",
                    "exp_samples": [{"labels": "{}", "value": levels}],
                }
            ],
        }
        for instance, value, levels in (
            ("big:1", 1.5, 0), ("big:1", 2.5, 1), ("lab:1", 9, 0), ("other:1", 0.7, 1), ("other:1", 1.5, 2),
        )
    ]  # fmt: skip
    file = tmp_path / "test.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(tmp_path / "rules" / "redis.rules.yml")], "tests": tests}))
    judged = _promtool("test", "rules", file)
    assert judged.returncode == 0, judged.stdout + judged.stderr
