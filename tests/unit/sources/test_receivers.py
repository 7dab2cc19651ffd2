"""Bodies as each sender documents them become the alerts that they mean (R1.1)."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.alerts import Alert, Rejected
from schemas.errors import InvalidPayload
from schemas.wire.pagerduty import dedup_key
from sources import PARSERS

PAYLOADS = Path(__file__).resolve().parents[2] / "payloads"
AT_MS = 1_767_323_045_000  # 2026-01-02T03:04:05Z


def _alerts(format: str, name: str) -> list[Alert]:
    answers = PARSERS[format]((PAYLOADS / format / f"{name}.json").read_bytes(), AT_MS)
    assert not [answer for answer in answers if isinstance(answer, Rejected)]
    return [answer for answer in answers if isinstance(answer, Alert)]


def test_grafana_brings_its_links_and_ends_what_it_began() -> None:
    """The alert keeps its labels; dashboard, panel and silence are annotations; the resolved one is the same alert."""
    (firing,) = _alerts("grafana", "firing")
    assert firing.labels["severity"] == "critical"
    assert firing.annotations["panel"] == "http://grafana:3000/d/xyz?viewPanel=2"
    assert "image" not in firing.annotations
    assert (firing.status, firing.starts_ms, firing.ends_ms) == ("firing", AT_MS, None)
    (resolved,) = _alerts("grafana", "resolved")
    assert resolved.labels_raw == firing.labels_raw
    assert (resolved.status, resolved.ends_ms) == ("resolved", AT_MS + 300_000)


def test_zabbix_problem_and_recovery_are_one_alert() -> None:
    """Trigger, host, tags and the trigger's own severity identify it; an unresolved macro counts as absent."""
    (problem,) = _alerts("zabbix", "problem")
    assert problem.labels == {
        "alertname": "Disk space is low on /data", "host": "db1", "scope": "capacity", "service": "pay",
        "severity": "major", "trigger_id": "13926",
    }  # fmt: skip
    (recovery,) = _alerts("zabbix", "recovery")
    assert (recovery.labels_raw, recovery.status) == (problem.labels_raw, "resolved")
    assert "summary" not in recovery.annotations


def test_nightingale_sends_one_or_many() -> None:
    """An array has one alert for each; a single recovery ends the alert that the array began."""
    lag, host = _alerts("nightingale", "batch")
    assert (lag.labels["severity"], lag.labels["service"], lag.starts_ms) == ("critical", "orders", 1_767_322_980_000)
    assert (host.status, host.ends_ms, host.labels["ident"]) == ("resolved", 1_767_322_030_000, "web3")
    (recovered,) = _alerts("nightingale", "single")
    assert (recovered.labels_raw, recovered.status) == (lag.labels_raw, "resolved")


def test_pagerduty_resolves_by_its_key_alone() -> None:
    """A resolve without payload ends the alert of whatever severity; an acknowledgement is none of ours."""
    (begun,) = _alerts("pagerduty", "trigger")
    assert begun.labels == {"alertname": "disk/db1", "dedup_key": "disk/db1", "severity": "critical"}
    assert begun.annotations["summary"] == "DISK at 99% on machine db1"
    ended = _alerts("pagerduty", "resolve")
    assert begun.labels_raw in [alert.labels_raw for alert in ended]
    assert {alert.status for alert in ended} == {"resolved"}
    assert list(PARSERS["pagerduty"](b'{"event_action":"acknowledge","dedup_key":"x"}', AT_MS)) == []
    made = {"event_action": "trigger", "payload": {"summary": "s", "source": "db1"}}
    assert dedup_key(made) == dedup_key(dict(made)) != ""


def test_cloudevents_are_read_structured_and_in_batches() -> None:
    """Without a title the type names the alert; source and subject are labels, the id is not."""
    (failed,) = _alerts("cloudevents", "structured")
    assert failed.labels == {
        "alertname": "com.example.backup.failed", "ce_source": "/backup/nightly", "ce_subject": "orders",
        "service": "orders", "severity": "critical",
    }  # fmt: skip
    assert failed.annotations["ce_id"] == "A234-1234-1234"
    ended, note = _alerts("cloudevents", "batch")
    assert (ended.labels["alertname"], ended.status) == ("Backup failed", "resolved")
    assert note.annotations["description"] == "written by hand"


def test_only_errors_in_logs_are_alerts() -> None:
    """A record below ERROR is none; the alert is known by its kind, not by its changing text."""
    (error,) = _alerts("otlp_logs", "export")
    assert error.labels == {"alertname": "java.net.SocketTimeoutException", "service": "pay", "severity": "major"}
    assert (error.annotations["summary"], error.starts_ms) == ("charge 4711 failed", AT_MS)


@pytest.mark.parametrize(
    ("format", "body", "place"),
    [
        ("grafana", b'{"alerts":[{"labels":{"a":"b"},"status":"odd"}]}', "$.alerts[0].status"),
        ("zabbix", b'{"trigger_name":"x","event_value":"2"}', "$.event_value"),
        ("zabbix", b'{"trigger_name":"x","event_value":"1","tags":"no"}', "$.tags"),
        ("nightingale", b'[{"rule_name":"x","trigger_time":1e18}]', "$[0].trigger_time"),
        ("pagerduty", b'{"event_action":"trigger","payload":{"severity":"odd"}}', "$.payload.severity"),
        ("pagerduty", b'{"event_action":"resolve"}', "$.dedup_key"),
        ("cloudevents", b'{"id":"1","source":"s","type":"t","specversion":"0.3"}', "$.specversion"),
        (
            "otlp_logs",
            b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityNumber":99}]}]}]}',
            "$.resourceLogs[0].scopeLogs[0].logRecords[0].severityNumber",
        ),
    ],
)
def test_a_bad_item_is_named_with_its_place(format: str, body: bytes, place: str) -> None:
    """What cannot be read is answered by its place; nothing is dropped silently."""
    (answer,) = PARSERS[format](body, AT_MS)
    assert isinstance(answer, Rejected)
    assert answer.place == place


@pytest.mark.parametrize("format", ["grafana", "zabbix", "nightingale", "pagerduty", "cloudevents", "otlp_logs"])
@pytest.mark.parametrize("body", [b"", b"7", b'"x"', b"{", b"\xff"])
def test_a_body_of_another_shape_is_refused_whole(format: str, body: bytes) -> None:
    """What is no object or array of the format is invalid as a whole."""
    with pytest.raises(InvalidPayload):
        PARSERS[format](body, AT_MS)
