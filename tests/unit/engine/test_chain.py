"""The hash chain, and rows that give back what they were given."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import upcast
from engine.chain import GENESIS, Envelope, Position, extend, link, verify
from engine.store.rows import (
    column_text,
    envelope_of,
    event_of,
    event_row,
    journal_row,
    original_text,
    packed,
    record_of,
    unpacked,
)
from schemas.events import EVENT_TYPES, AlertRef, Event, EventData, NoteAdded, Notice
from schemas.groups import GroupAlert, GroupNotice
from schemas.records import Record
from schemas.silences import Silence

INT64 = st.integers(-(2**63), 2**63 - 1)
RAW = st.sampled_from([msgspec.Raw(b"{}"), msgspec.Raw(b'{ "b":"2", "a":"\\u0000\\u00e9"}'), msgspec.Raw(b'{"a":"1"}')])


def struct(cls: type[Any]) -> st.SearchStrategy[Any]:
    """Any value of a struct, by the types of its fields."""
    return st.builds(cls, **{field.name: st.from_type(field.type) for field in msgspec.structs.fields(cls)})


st.register_type_strategy(msgspec.Raw, RAW)
st.register_type_strategy(int, INT64)
for nested in (AlertRef, GroupAlert, GroupNotice, Notice, Silence):
    st.register_type_strategy(nested, struct(nested))
DATA: st.SearchStrategy[EventData] = st.one_of([struct(cls) for cls in EVENT_TYPES.values()])
EVENTS = st.builds(Event, INT64, st.text(), st.text(), st.text(), DATA)
RECORDS = st.one_of([struct(cls) for cls in Record.__args__])


def notes(*texts: str) -> list[Event]:
    """Plain events that differ in their text."""
    return [Event(1_000, "user:li", "default", "incident/INC-1", NoteAdded("INC-1", "1", text)) for text in texts]


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(EVENTS, max_size=4))
def test_any_event_survives_its_row(events: list[Event]) -> None:
    """A logged event, its hash and its stored envelope come back from a row exactly equal."""
    logged = extend(Position(5, 7, b"h" * 32), 3, 5, events)
    assert [event_of(event_row(each)) for each in logged] == logged
    assert [envelope_of(event_row(each)) for each in logged] == [Envelope.of(each) for each in logged]
    assert verify(b"h" * 32, 7, [envelope_of(event_row(each)) for each in logged]) is None


@given(RECORDS)
def test_any_record_survives_its_row(record: Record) -> None:
    """A record comes back from its packed row exactly equal."""
    assert record_of(journal_row(0, 0, record)[-1]) == record


def test_a_body_is_compressed_only_where_that_helps() -> None:
    """Repetitive bodies shrink; tiny and random ones are kept as they are, one byte longer."""
    noise = bytes(range(256))
    assert len(packed(b"alert" * 1000)) < 100
    assert len(packed(b"tick")) == 5
    assert len(packed(noise)) == len(noise) + 1
    assert all(unpacked(packed(body)) == body for body in (b"", b"tick", noise, b"alert" * 1000))


@given(st.text(st.sampled_from("a01\x00\x1a")))
def test_text_columns_take_every_character(text: str) -> None:
    """Text with NUL, which PostgreSQL refuses, is escaped so that it comes back as it was."""
    assert "\x00" not in column_text(text)
    assert original_text(column_text(text)) == text


def test_events_are_numbered_and_chained() -> None:
    """Events of a record get consecutive numbers and indexes, and each hash builds on the one before."""
    first, second = extend(Position(), 0, 0, notes("a", "b"))
    assert (first.seq, first.index, second.seq, second.index) == (0, 0, 1, 1)
    assert first.hash == link(GENESIS, Envelope.of(first))
    assert second.hash == link(first.hash, Envelope.of(second))
    assert Position().after([first, second]) == Position(1, 2, second.hash)
    assert Position(4, 2, first.hash).after([]) == Position(5, 2, first.hash)


@pytest.mark.parametrize("field", [field for field in Envelope.__struct_fields__ if field != "hash"])
def test_every_field_is_hashed(field: str) -> None:
    """Changing any one field of an event is found at that event."""
    events = [Envelope.of(each) for each in extend(Position(), 0, 0, notes("a", "b", "c"))]
    value = getattr(events[1], field)
    forged = value + 1 if isinstance(value, int) else value + value[:1]
    events[1] = msgspec.structs.replace(events[1], **{field: forged})
    fault = verify(GENESIS, 0, events)
    assert fault is not None
    assert fault.seq == 1


def test_text_cannot_move_between_fields() -> None:
    """The same characters split differently over two fields give another hash."""
    one = Envelope(0, 0, 0, 0, 1, 0, "ab", "c", "", b"")
    other = Envelope(0, 0, 0, 0, 1, 0, "a", "bc", "", b"")
    assert link(GENESIS, one) != link(GENESIS, other)


def test_missing_and_reordered_events_are_named() -> None:
    """A gap is named by the number that is missing, a swap by the first number out of its place."""
    a, b, c = extend(Position(), 0, 0, notes("a", "b", "c"))
    missing, swapped, cut = verify(GENESIS, 0, [a, c]), verify(GENESIS, 0, [b, a, c]), verify(GENESIS, 0, [b, c])
    assert missing is not None
    assert (missing.seq, "event 1 is missing" in missing.problem) == (1, True)
    assert swapped is not None
    assert swapped.seq == 0
    assert cut is not None
    assert "event 0 is missing" in cut.problem
    assert verify(a.hash, 1, [b, c]) is None


def test_an_old_event_is_lifted_when_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """With an upcaster registered, old rows read as the new version while what was hashed stays as it was."""
    (old,) = extend(Position(), 0, 0, notes("a"))
    row = event_row(old)
    monkeypatch.setitem(upcast.UPCASTERS, ("note_added", 1), lambda data: data.replace(b'"a"', b'"A"'))
    read = event_of(row)
    assert (read.version, read.event.data) == (2, NoteAdded("INC-1", "1", "A"))
    assert verify(GENESIS, 0, [envelope_of(row)]) is None
    assert extend(Position(), 0, 0, notes("b"))[0].version == 2
