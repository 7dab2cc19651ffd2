"""The rules of our own small format."""

from __future__ import annotations

import json

import pytest

from schemas.alerts import Alert, Rejected
from schemas.errors import InvalidPayload
from sources.generic_json import parse

NOW = 1_767_323_045_000
"""2026-01-02T03:04:05Z"""


def one(**fields: object) -> Alert | Rejected:
    """The answer for a body of one object with these fields."""
    (answer,) = parse(json.dumps(fields).encode(), NOW)
    return answer


def test_a_title_is_enough() -> None:
    """It becomes the alertname, and the alert fires since now."""
    assert one(title="磁盘满") == Alert('{"alertname":"磁盘满"}'.encode(), "firing", NOW)


def test_every_field_finds_its_place() -> None:
    """Severity and service become labels, description and the title beside an alertname become annotations."""
    answer = one(
        alertname="DiskFull", title="Disk of db1 is full", status="resolved", severity="critical", service="orders",
        labels={"host": "db1"}, annotations={"owner": "li"}, description="93 %", url="http://x/1",
        startsAt="2026-01-02T03:00:00Z", endsAt="2026-01-02T03:01:00Z",
    )  # fmt: skip
    assert isinstance(answer, Alert)
    assert answer.labels == {"alertname": "DiskFull", "host": "db1", "service": "orders", "severity": "critical"}
    assert answer.annotations == {"description": "93 %", "owner": "li", "summary": "Disk of db1 is full"}
    assert (answer.status, answer.starts_ms, answer.ends_ms) == ("resolved", NOW - 245_000, NOW - 185_000)
    assert answer.generator_url == "http://x/1"


def test_numbers_and_truth_values_become_the_text_they_were_written_as() -> None:
    """A label value keeps its digits, however many and however written."""
    (answer,) = parse(b'{"title":"x","severity":3,"labels":{"port":5432,"ratio":1.50,"up":false}}', NOW)
    assert isinstance(answer, Alert)
    assert answer.labels == {"alertname": "x", "severity": "3", "port": "5432", "ratio": "1.50", "up": "false"}


@pytest.mark.parametrize(
    ("item", "place"),
    [
        ({}, "$[1].title"),
        ({"title": ""}, "$[1].title"),
        ({"title": 5}, "$[1].title"),
        ({"title": "x", "status": "broken"}, "$[1].status"),
        ({"title": "x", "severity": ["critical"]}, "$[1].severity"),
        ({"title": "x", "labels": {"host": None}}, "$[1].labels.host"),
        ({"title": "x", "labels": {"host": {"name": "db1"}}}, "$[1].labels.host"),
        ({"title": "x", "labels": "host"}, "$[1].labels"),
        ({"title": "x", "labels": {"": "y"}}, "$[1].labels"),
        ({"title": "x", "annotations": {"n": 1}}, "$[1].annotations"),
        ({"title": "x", "startsAt": 1767323045}, "$[1].startsAt"),
        ("x", "$[1]"),
    ],
)
def test_what_is_wrong_is_named_and_the_others_count(item: object, place: str) -> None:
    """In an array the bad item is rejected at its place, and those beside it are kept."""
    first, bad, last = parse(json.dumps([{"title": "a"}, item, {"title": "b"}]).encode(), NOW)
    assert isinstance(first, Alert)
    assert isinstance(last, Alert)
    assert isinstance(bad, Rejected)
    assert bad.place == place


def test_huge_numbers_are_rejected_not_stored() -> None:
    """A number beyond any float is no label value."""
    (bad,) = parse(b'[{"title":"x","labels":{"n":1e999}}]', NOW)
    assert bad == Rejected("$[0].labels.n", "expected a string, a number, true or false")


@pytest.mark.parametrize("body", [b"", b"1", b'"x"', b"null", b"{", b"\xff", b"[" * 200_000, b'{"a":' * 200_000])
def test_what_is_neither_object_nor_array_is_refused(body: bytes) -> None:
    """The body as a whole raises InvalidPayload."""
    with pytest.raises(InvalidPayload):
        parse(body, NOW)
