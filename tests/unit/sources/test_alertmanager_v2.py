"""The rules of `POST /api/v2/alerts`."""

from __future__ import annotations

import json

import pytest

from schemas.alerts import Alert, Rejected
from schemas.errors import InvalidPayload
from sources.alertmanager_v2 import parse

NOW = 1_767_323_045_000
"""2026-01-02T03:04:05Z"""
LABELS = {"alertname": "DiskFull"}


def one(**fields: object) -> Alert | Rejected:
    """The answer for a body of one alert with these fields."""
    (answer,) = parse(json.dumps([{"labels": LABELS, **fields}]).encode(), NOW)
    return answer


def test_no_times_mean_firing_from_now() -> None:
    """Without start and end it fires since it came, and the end is left to the core."""
    assert one() == Alert(b'{"alertname":"DiskFull"}', "firing", NOW)


def test_no_start_but_an_earlier_end_starts_at_its_end() -> None:
    """A missing start is never after the end."""
    answer = one(endsAt="2026-01-02T03:00:00Z")
    assert isinstance(answer, Alert)
    assert (answer.status, answer.starts_ms, answer.ends_ms) == ("resolved", NOW - 245_000, NOW - 245_000)


def test_an_end_of_now_is_resolved_and_a_later_one_an_expiry() -> None:
    """The border between resolved and firing is the arrival."""
    now, later = one(endsAt="2026-01-02T03:04:05Z"), one(endsAt="2026-01-02T11:04:05.001+08:00")
    assert isinstance(now, Alert)
    assert isinstance(later, Alert)
    assert (now.status, now.ends_ms) == ("resolved", NOW)
    assert (later.status, later.starts_ms, later.ends_ms) == ("firing", NOW, NOW + 1)


def test_gos_zero_time_and_null_and_empty_are_absent() -> None:
    """Whatever says "not set" counts as missing."""
    for absent in ("0001-01-01T00:00:00Z", None, ""):
        answer = one(startsAt=absent, endsAt=absent, generatorURL=None, annotations=None)
        assert answer == Alert(b'{"alertname":"DiskFull"}', "firing", NOW)


@pytest.mark.parametrize(
    ("fields", "place", "reason"),
    [
        ({"endsAt": "2026-01-02T03:00:00Z", "startsAt": "2026-01-02T03:00:01Z"}, "endsAt", "not before the start"),
        ({"startsAt": "yesterday"}, "startsAt", "RFC 3339"),
        ({"startsAt": "2026-01-02T03:00:01"}, "startsAt", "offset"),
        ({"startsAt": "2026-01-02T03:00:01." + "1" * 80 + "Z"}, "startsAt", "longer"),
        ({"startsAt": 5}, "startsAt", "got `int`"),
        ({"labels": {}}, "labels", "at least one label"),
        ({"labels": {"a": ""}}, "labels", "at least one label"),
        ({"labels": {"": "x"}}, "labels", "names"),
        ({"labels": {"a": 1}}, "labels", "object of strings"),
        ({"labels": [1]}, "labels", "object of strings"),
        ({"labels": None}, "labels", "object of strings"),
        ({"annotations": {"a": None}}, "annotations", "object of strings"),
        ({"generatorURL": {}}, "generatorURL", "got `object`"),
    ],
)
def test_a_bad_item_is_answered_by_its_place_and_reason(fields: object, place: str, reason: str) -> None:
    """The bad item between two good ones is rejected at its place, and the good ones count."""
    good = {"labels": LABELS}
    assert isinstance(fields, dict)
    first, bad, last = parse(json.dumps([good, good | fields, good]).encode(), NOW)
    assert isinstance(first, Alert)
    assert isinstance(last, Alert)
    assert isinstance(bad, Rejected)
    assert bad.place == f"$[1].{place}"
    assert reason in bad.reason


def test_missing_labels_are_named() -> None:
    """An item without labels says so."""
    assert parse(b'[{"startsAt":"2026-01-02T03:00:01Z"}]', NOW) == [Rejected("$[0].labels", "labels are required")]


def test_items_that_are_no_objects_are_rejected_one_by_one() -> None:
    """Numbers, texts and null in the array cost nothing but themselves."""
    answers = parse(b'[1, "x", null, {"labels":{"a":"b"}}]', NOW)
    assert [a.place for a in answers if isinstance(a, Rejected)] == ["$[0]", "$[1]", "$[2]"]
    assert isinstance(answers[3], Alert)


def test_equal_label_sets_have_equal_bytes() -> None:
    """White space, order, escapes, empty values and doubled names do not make another alert."""
    written = [
        b'{"a":"1","b":"<"}',
        b'{ "b" : "\\u003c",\n "a" : "1" }',
        b'{"b":"<","c":"","a":"1"}',
        b'{"a":"0","a":"1","b":"<"}',
    ]
    answers = parse(b'[{"labels":' + b'},{"labels":'.join(written) + b"}]", NOW)
    assert {a.labels_raw for a in answers if isinstance(a, Alert)} == {b'{"a":"1","b":"<"}'}
    assert len(answers) == 4


def test_a_nul_is_replaced_and_the_alert_counts() -> None:
    """No store takes a NUL, and no alert is lost for one."""
    answer = one(labels={"a\0": "x\0y"}, annotations={"n": "\0"}, generatorURL="http://x/\0")
    assert isinstance(answer, Alert)
    assert answer.labels == {"a\ufffd": "x\ufffdy"}
    assert answer.annotations == {"n": "\ufffd"}
    assert answer.generator_url == "http://x/\ufffd"


@pytest.mark.parametrize(
    "labels", [b'{"a":"\xff"}', b'{"a":"\\ud800"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\n"}', b'{"a":1e999}']
)
def test_broken_text_rejects_only_its_alert_or_the_whole_body(labels: bytes) -> None:
    """Invalid UTF-8, lone surrogates, bare control characters and huge numbers never pass as labels."""
    try:
        bad, good = parse(b'[{"labels":' + labels + b'},{"labels":{"a":"b"}}]', NOW)
    except InvalidPayload:
        return
    assert isinstance(bad, Rejected)
    assert isinstance(good, Alert)


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"null", b"[", b"[{}", b"\xff", b"[{}]x", b"[" * 200_000, b'[{"labels":' + b"[" * 99_999, b"nul"],
)
def test_a_body_that_is_no_array_is_refused_as_a_whole(body: bytes) -> None:
    """What is not a JSON array at all raises InvalidPayload at the root."""
    with pytest.raises(InvalidPayload) as refused:
        parse(body, NOW)
    assert refused.value.place.startswith("$")


def test_an_empty_array_holds_no_alerts() -> None:
    """Nothing in, nothing out."""
    assert parse(b"[]", NOW) == []


def test_a_byte_order_mark_is_tolerated() -> None:
    """Some senders put one in front."""
    assert parse(b'\xef\xbb\xbf[{"labels":{"a":"b"}}]', NOW) == [Alert(b'{"a":"b"}', "firing", NOW)]


def test_a_status_object_of_the_other_direction_is_ignored() -> None:
    """What `GET /api/v2/alerts` gave can be posted again, with its own fields ignored."""
    assert isinstance(one(status={"state": "active"}, fingerprint="x", receivers=[{"name": "y"}]), Alert)
