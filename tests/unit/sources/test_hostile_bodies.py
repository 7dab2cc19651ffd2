"""No body, however broken, gets anything out of a parser but alerts, rejections or InvalidPayload."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.alerts import Alert, Rejected, fingerprint
from schemas.errors import InvalidPayload
from sources import PARSERS

PAYLOADS = Path(__file__).parents[2] / "payloads"
RECORDED = [path.read_bytes() for path in sorted(PAYLOADS.glob("*/*.json"))]
FORMATS = sorted(PARSERS)
FIELDS = (
    "labels", "annotations", "startsAt", "endsAt", "generatorURL", "status", "alerts", "truncatedAlerts", "title",
    "alertname", "severity", "service", "description", "url",
)  # fmt: skip
TEXTS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["", "\0", "firing", "resolved", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"]),
    st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(TEXTS, inner, max_size=4),
        st.dictionaries(st.sampled_from(FIELDS), inner, max_size=8),
    ),
    max_leaves=20,
)
ITEMS = st.dictionaries(st.sampled_from(FIELDS), st.one_of(JSON, TEXTS, st.dictionaries(TEXTS, TEXTS)), max_size=8)


def answers(format: str, body: bytes) -> list[Alert | Rejected] | None:
    """What the parser answers, checked to be usable; None when it refuses the body as a whole."""
    try:
        found = list(PARSERS[format](body, 1_767_323_045_000))
    except InvalidPayload:
        return None
    for answer in found:
        if isinstance(answer, Rejected):
            assert answer.place.startswith("$")
            assert answer.reason
        else:
            assert answer.labels
            assert len(fingerprint(answer.labels)) == 16
            assert all(isinstance(text, str) for text in answer.annotations.values())
            assert b"\n" not in answer.labels_raw + answer.annotations_raw
            assert "\0" not in answer.generator_url
            assert answer.ends_ms is None or answer.starts_ms <= answer.ends_ms or answer.status == "firing"
    return found


@pytest.mark.parametrize("format", FORMATS)
@given(body=st.binary(max_size=200))
def test_arbitrary_bytes(format: str, body: bytes) -> None:
    """Noise is refused or rejected."""
    answers(format, body)


@pytest.mark.parametrize("format", FORMATS)
@given(value=JSON)
def test_arbitrary_json(format: str, value: Any) -> None:
    """Any JSON (with NaN, lone surrogates and all that Python writes) is read, rejected or refused."""
    answers(format, json.dumps(value).encode())


@pytest.mark.parametrize("format", ["alertmanager_v2", "generic_json"])
@given(items=st.lists(st.one_of(ITEMS, JSON), max_size=5).map(lambda items: json.loads(json.dumps(items, default=str))))
def test_one_answer_per_item(format: str, items: list[Any]) -> None:
    """An array that is valid JSON has as many answers as items, however wrong the items are."""
    body = _strict(items)
    found = answers(format, body)
    assert found is not None
    assert len(found) == len(items)


@given(items=st.lists(st.one_of(ITEMS, JSON), max_size=5))
def test_one_answer_per_alert_of_a_notification(items: list[Any]) -> None:
    """The same for the alerts of a webhook."""
    found = answers("alertmanager_webhook", b'{"alerts":' + _strict(items) + b"}")
    assert found is not None
    assert len(found) == len(items)


@pytest.mark.parametrize("format", FORMATS)
@settings(max_examples=200)
@given(recorded=st.sampled_from(RECORDED), at=st.integers(0, 2000), cut=st.integers(0, 3), put=st.binary(max_size=3))
def test_mutations_of_real_bodies(format: str, recorded: bytes, at: int, cut: int, put: bytes) -> None:
    """A real body with some bytes lost, changed or added anywhere is read, rejected or refused."""
    answers(format, recorded[:at] + put + recorded[at + cut :])


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("depth", [700, 900, 960, 1100])
def test_the_answer_does_not_depend_on_the_callers_stack(format: str, depth: int) -> None:
    """A deeply nested body is judged alike near the bottom of the stack and far up, so that a replay agrees."""
    item = b'{"title":"x","labels":{"a":"b"},"more":' + b"[" * depth + b"]" * depth + b"}"
    around = {
        "alertmanager_webhook": (b'{"alerts":[', b"]}"), "grafana": (b'{"alerts":[', b"]}"),
        "otlp_logs": (b'{"resourceLogs":[],"more":', b"}"), "pagerduty": (b"", b""),
    }  # fmt: skip
    before, after = around.get(format, (b"[", b"]"))
    body = before + item + after

    def from_above(frames: int) -> list[Alert | Rejected] | None:
        return from_above(frames - 1) if frames else answers(format, body)

    low, high = from_above(0), from_above(500)
    assert low == high
    assert (low is None) == (depth > 1000)


def _strict(value: Any) -> bytes:
    """JSON that every decoder takes: numbers beyond floats become null."""
    return json.dumps(_finite(value), ensure_ascii=False).encode("utf-8")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    if isinstance(value, float) and value - value != 0:
        return None
    return value
