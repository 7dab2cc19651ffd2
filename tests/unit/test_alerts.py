"""The alert's identity and its cached labels."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import fingerprints
from schemas.alerts import Alert, fingerprint, labels_of


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({}, "cbf29ce484222325"),  # the offset basis itself
        (
            {
                "alertname": "DiskAlmostFull", "cluster": "demo", "host": "db1", "instance": "127.0.0.1:46193",
                "job": "demo", "service": "订单库", "severity": "critical",
            },
            "9a77d230b0ddf2c3",  # as Alertmanager 0.25 wrote it, see tests/payloads
        ),
    ],
)  # fmt: skip
def test_fingerprints_that_others_computed(labels: dict[str, str], expected: str) -> None:
    """Vectors from outside: the constant of the algorithm, and a recorded notification of a real Alertmanager."""
    assert fingerprint(labels) == expected


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=4))
def test_the_fingerprint_is_fnv_1a_over_sorted_pairs(labels: dict[str, str]) -> None:
    """It equals the published algorithm, written the other way round: one text, then one hash."""
    text = b"".join(part.encode() + b"\xff" for pair in sorted(labels.items()) for part in pair)
    digest = 14695981039346656037
    for byte in text:
        digest = (digest ^ byte) * 1099511628211 % 2**64
    assert fingerprint(dict(reversed(labels.items()))) == format(digest, "016x")


def test_empty_labels_are_absent() -> None:
    """An empty value identifies nothing."""
    assert labels_of(b'{"a":"1","b":""}') == {"a": "1"}


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b'{"a":1}', b'{"a":"\xff"}', b'{"a":"\\ud800"}', b"[" * 200_000, b'{"a":' * 200_000]
)
def test_bytes_that_are_no_labels_are_one_kind_of_error(raw: bytes) -> None:
    """Whatever is wrong, labels_of raises msgspec.DecodeError."""
    with pytest.raises(msgspec.DecodeError):
        labels_of(raw)


def test_labels_are_decoded_once_per_distinct_set() -> None:
    """Equal bytes share one decoded mapping; oversized sets are not kept."""
    small, large = b'{"kept":"yes"}', b'{"large":"' + b"x" * 20_000 + b'"}'
    assert labels_of(small) is labels_of(bytes(bytearray(small)))
    assert labels_of(large) == labels_of(large)
    assert labels_of(large) is not labels_of(large)


def test_an_alert_of_plain_dictionaries_has_canonical_bytes() -> None:
    """The order in which labels are given does not show."""
    one = Alert.of({"b": "2", "a": "1"}, "firing", 5, annotations={"n": "x"})
    assert one == Alert.of({"a": "1", "b": "2"}, "firing", 5, annotations={"n": "x"})
    assert (one.labels, one.annotations) == ({"a": "1", "b": "2"}, {"n": "x"})


@given(st.lists(st.dictionaries(st.sampled_from("abcé"), st.sampled_from(["", "1", "服务", "x" * 40])), max_size=4))
def test_often_seen_pairs_change_no_fingerprint(sets: list[dict[str, str]]) -> None:
    """A pair that has its table gives what a walk over its bytes gives."""
    before = [fingerprint(labels) for labels in sets]
    for _ in range(fingerprints._WORTH_A_TABLE):
        again = [fingerprint(labels) for labels in sets]
    assert again == before
    assert all(pair in fingerprints._tables for labels in sets for pair in labels.items())
