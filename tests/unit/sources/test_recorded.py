"""What the real senders send is read as it was meant (bodies recorded from Prometheus 2.42 and Alertmanager 0.25)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from schemas.alerts import Alert, Rejected, fingerprint
from sources import PARSERS

PAYLOADS = Path(__file__).parents[2] / "payloads"
ARRIVALS: dict[str, int] = json.loads((PAYLOADS / "arrivals.json").read_text())


def read(file: str) -> list[Alert | Rejected]:
    """The recorded body `file`, parsed as of the moment it arrived."""
    return list(PARSERS[file.split("/")[0]]((PAYLOADS / file).read_bytes(), ARRIVALS[file]))


def alerts(file: str) -> list[Alert]:
    """The same where nothing is rejected."""
    answers = read(file)
    assert all(isinstance(answer, Alert) for answer in answers)
    return [answer for answer in answers if isinstance(answer, Alert)]


def test_prometheus_states_an_end_ahead_while_firing() -> None:
    """Two firing alerts, each with the moment at which Prometheus' silence would mean that they are over."""
    first, second = alerts("alertmanager_v2/firing.json")
    assert (first.status, second.status) == ("firing", "firing")
    assert first.ends_ms is not None
    assert first.ends_ms - first.starts_ms == 8_000  # 4 resend delays of 2 s
    assert first.labels["host"] == "db1"
    assert first.labels["service"] == "订单库"
    assert first.annotations["description"] == '磁盘使用率 > 90 % & "rising" on <db1>'
    assert first.generator_url.endswith("g0.expr=demo_disk_used_percent+%3E+90&g0.tab=1")


def test_an_end_that_has_passed_means_resolved() -> None:
    """Prometheus says resolved by an end that is not in the future; there is no status field."""
    (over,) = alerts("alertmanager_v2/resolved.json")
    assert over.status == "resolved"
    assert over.ends_ms is not None
    assert over.starts_ms < over.ends_ms <= ARRIVALS["alertmanager_v2/resolved.json"]


def test_the_webhook_states_no_end_while_firing() -> None:
    """Go's zero time is no end."""
    assert [(a.status, a.ends_ms) for a in alerts("alertmanager_webhook/firing.json")] == [("firing", None)] * 2


def test_each_alerts_own_status_counts_not_the_groups() -> None:
    """In a group that still fires, the alert that is over is resolved."""
    body = json.loads((PAYLOADS / "alertmanager_webhook/partly_resolved.json").read_bytes())
    assert body["status"] == "firing"
    statuses = {a.labels["host"]: a.status for a in alerts("alertmanager_webhook/partly_resolved.json")}
    assert statuses == {"db1": "resolved", "db2": "firing"}


def test_what_the_sender_cut_is_named() -> None:
    """A notification cut by max_alerts yields its alerts and one rejection that tells how many are missing."""
    kept, gap = read("alertmanager_webhook/truncated.json")
    assert isinstance(kept, Alert)
    assert gap == Rejected("$.truncatedAlerts", "1 alerts were cut by max_alerts at the sender")


@pytest.mark.parametrize("file", sorted(f for f in ARRIVALS if f.startswith("alertmanager_webhook/")))
def test_our_fingerprint_is_alertmanagers(file: str) -> None:
    """The fingerprints that the real Alertmanager wrote into its notifications are the ones we compute."""
    body = json.loads((PAYLOADS / file).read_bytes())
    theirs = [alert["fingerprint"] for alert in body["alerts"]]
    assert [fingerprint(a.labels) for a in read(file) if isinstance(a, Alert)] == theirs


def test_one_alert_by_two_ways_has_equal_bytes() -> None:
    """The same label set has the same raw bytes whether Prometheus or Alertmanager sent it."""
    direct, relayed = alerts("alertmanager_v2/firing.json"), alerts("alertmanager_webhook/firing.json")
    assert [a.labels_raw for a in direct] == [a.labels_raw for a in relayed]
    assert [a.annotations_raw for a in direct] == [a.annotations_raw for a in relayed]
