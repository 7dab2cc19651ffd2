"""The rules of the Alertmanager webhook and of its relatives."""

from __future__ import annotations

import json

import pytest

from schemas.alerts import Alert, Rejected
from schemas.errors import InvalidPayload
from sources.alertmanager_webhook import parse

NOW = 1_767_323_045_000
"""2026-01-02T03:04:05Z"""
PAST, FUTURE = "2026-01-02T03:00:00Z", "2026-01-02T04:00:00Z"


def one(**fields: object) -> Alert | Rejected:
    """The answer for a notification of one alert with these fields."""
    alert = {"labels": {"alertname": "DiskFull"}, "startsAt": "2026-01-02T02:00:00Z", **fields}
    (answer,) = parse(json.dumps({"version": "4", "alerts": [alert]}).encode(), NOW)
    return answer


@pytest.mark.parametrize(
    ("status", "ends_at", "expected", "ends_ms"),
    [
        ("firing", "0001-01-01T00:00:00Z", "firing", None),
        ("firing", FUTURE, "firing", NOW + 3_355_000),
        ("firing", PAST, "firing", None),
        ("resolved", PAST, "resolved", NOW - 245_000),
        ("resolved", FUTURE, "resolved", NOW + 3_355_000),
        ("resolved", None, "resolved", NOW),
        ("resolved", "2026-01-02T01:00:00Z", "resolved", NOW - 3_845_000),
        (None, PAST, "resolved", NOW - 245_000),
        (None, FUTURE, "firing", NOW + 3_355_000),
        (None, None, "firing", None),
    ],
)
def test_the_stated_status_wins_over_the_end(
    status: str | None, ends_at: str | None, expected: str, ends_ms: int | None
) -> None:
    """Status and end disagree under clock skew: the status counts; where it is absent, the end decides."""
    answer = one(status=status, endsAt=ends_at)
    assert isinstance(answer, Alert)
    assert (answer.status, answer.ends_ms) == (expected, ends_ms)


def test_an_unknown_status_is_rejected() -> None:
    """Only firing and resolved are statuses of an alert."""
    assert one(status="pending") == Rejected("$.alerts[0].status", "expected firing or resolved, got 'pending'")


def test_a_bad_alert_costs_only_itself() -> None:
    """The wrong type in one alert leaves the others."""
    bad, good = parse(b'{"alerts":[{"labels":{"a":"b"},"startsAt":1},{"labels":{"a":"b"}}]}', NOW)
    assert isinstance(bad, Rejected)
    assert bad.place == "$.alerts[0].startsAt"
    assert isinstance(good, Alert)


@pytest.mark.parametrize(("value", "gaps"), [("0", 0), ("null", 0), ("-1", 0), ("7", 1), ('"x"', 1), ("1e999", 1)])
def test_a_cut_list_shows_as_one_rejection(value: str, gaps: int) -> None:
    """A count above zero, or one that cannot be read, is one rejection after the alerts."""
    first, *rest = parse(b'{"alerts":[{"labels":{"a":"b"}}],"truncatedAlerts":' + value.encode() + b"}", NOW)
    assert isinstance(first, Alert)
    assert [r.place for r in rest if isinstance(r, Rejected)] == ["$.truncatedAlerts"] * gaps


def test_relatives_of_the_format_are_read() -> None:
    """Grafana's version "1", its further fields, and those that newer Alertmanagers add do not matter."""
    body = {
        "version": "1", "orgId": 1, "title": "[FIRING:1]", "state": "alerting", "message": "x",
        "routeLabels": {"a": "b"}, "notification_reason": "FIRST_NOTIFICATION",
        "alerts": [{"labels": {"alertname": "x"}, "values": {"B": 1.5}, "silenceURL": "http://x", "imageURL": None}],
    }  # fmt: skip
    (answer,) = parse(json.dumps(body).encode(), NOW)
    assert isinstance(answer, Alert)


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"alerts":null}', b'{"alerts":{}}', b'{"text":"hi"}', b"hello", b""])
def test_a_body_without_a_list_of_alerts_is_refused(body: bytes) -> None:
    """A notification templated into something else cannot be read, and says where."""
    with pytest.raises(InvalidPayload):
        parse(body, NOW)
