"""Label sets are understood once, in bounded memory."""

from __future__ import annotations

from schemas.errors import InvalidPayload
from sources.label_sets import Remembered


def test_each_distinct_set_is_read_once() -> None:
    """The second look-up of the same bytes does not read them again."""
    read: list[bytes] = []
    remembered = Remembered(lambda raw: read.append(raw) or raw.upper())  # type: ignore[func-returns-value]
    assert [remembered[b"a"], remembered[b"b"], remembered[b"a"]] == [b"A", b"B", b"A"]
    assert read == [b"a", b"b"]


def test_what_is_used_outlives_a_generation_and_the_rest_is_forgotten() -> None:
    """Two generations are kept: what was used in the last one is still known, older things are read again."""
    read: list[bytes] = []
    remembered = Remembered(lambda raw: read.append(raw) or raw, generation_bytes=1_000)  # type: ignore[func-returns-value]
    for number in range(200):
        assert remembered[b"hot"] == b"hot"
        assert remembered[b"%d" % number] == b"%d" % number
    assert read.count(b"hot") == 1
    assert len(remembered) < 10
    remembered[b"0"]
    assert read.count(b"0") == 2


def test_an_oversized_set_is_not_kept() -> None:
    """One huge label set does not push out the others."""
    remembered = Remembered(lambda raw: raw)
    assert remembered[b"x" * 100_000] == b"x" * 100_000
    assert len(remembered) == 0


def test_a_failure_is_not_kept() -> None:
    """What cannot be read is an error each time."""

    def refuse(raw: bytes) -> bytes:
        raise InvalidPayload("no")

    remembered = Remembered(refuse)
    for _ in range(2):
        try:
            remembered[b"a"]
        except InvalidPayload:
            continue
        raise AssertionError("it was read")
