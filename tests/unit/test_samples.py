"""Every event, record and command that was ever written is read for ever: one stored sample of each."""

from __future__ import annotations

import base64
from typing import get_args

import msgspec
import pytest

from engine.upcast import UPCASTERS, current_version, upcast
from schemas.commands import COMMAND, Command
from schemas.events import EVENT_TYPES, decode_data, encode_data, event_type
from schemas.records import Record, decode_record, encode_record
from scripts.add_samples import COMMANDS, EVENTS, RECORDS, CommandSample, EventSample, RecordSample, read

EVENT_SAMPLES = read(EVENTS, EventSample)
RECORD_SAMPLES = read(RECORDS, RecordSample)
COMMAND_SAMPLES = read(COMMANDS, CommandSample)
ADD = "run `.venv/bin/python -m scripts.add_samples`"


@pytest.mark.parametrize("sample", EVENT_SAMPLES, ids=lambda sample: f"{sample.type}-{sample.version}")
def test_a_stored_event_is_read(sample: EventSample) -> None:
    """An event of any version is lifted to the present type; one of the present version keeps its very bytes."""
    version, data = upcast(sample.type, sample.version, bytes(sample.data))
    event = decode_data(data)
    assert version == current_version(sample.type)
    assert event_type(event) in EVENT_TYPES
    if sample.version == version:
        assert encode_data(event) == bytes(sample.data), "a replay would give other hashes than the log has"


@pytest.mark.parametrize("sample", RECORD_SAMPLES, ids=lambda sample: sample.kind)
def test_a_stored_record_is_read(sample: RecordSample) -> None:
    """A record of any age says today what it said when it was stored."""
    record = decode_record(base64.b64decode(sample.stored))
    assert record.__struct_config__.tag == sample.kind
    assert msgspec.to_builtins(record).items() >= sample.reads.items()
    assert decode_record(encode_record(record)) == record


@pytest.mark.parametrize("sample", COMMAND_SAMPLES, ids=lambda sample: sample.type)
def test_a_stored_command_is_read(sample: CommandSample) -> None:
    """A command of any age is understood today, with every field that it had."""
    command = COMMAND.validate_json(bytes(sample.body))
    stored = msgspec.json.decode(sample.body)
    assert command.model_dump(mode="json").items() >= stored.items()


def test_every_event_has_a_sample_with_every_field() -> None:
    """Each event type has one of each version up to the present one, and each of its fields is in one."""
    wanted = {(name, version) for name in EVENT_TYPES for version in range(1, current_version(name) + 1)}
    assert wanted <= {(sample.type, sample.version) for sample in EVENT_SAMPLES}, ADD
    for name, struct in EVENT_TYPES.items():
        now = [s for s in EVENT_SAMPLES if (s.type, s.version) == (name, current_version(name))]
        shown = set().union(*(msgspec.json.decode(sample.data) for sample in now))
        assert set(struct.__struct_fields__) <= shown, ADD


def test_every_record_and_command_has_a_sample_with_every_field() -> None:
    """Each kind of record and each command has one, and each of its fields is in one."""
    for struct in get_args(Record):
        shown = set().union(*(s.reads for s in RECORD_SAMPLES if s.kind == struct.__struct_config__.tag))
        assert set(struct.__struct_fields__) <= shown, ADD
    for model in get_args(get_args(Command)[0]):
        bodies = [s.body for s in COMMAND_SAMPLES if s.type == model.model_fields["type"].default]
        assert set(model.model_fields) <= set().union(*(msgspec.json.decode(body) for body in bodies)), ADD


def test_an_upcaster_has_a_sample_to_lift() -> None:
    """No upcaster is kept, or added, without an event of the version that it reads."""
    assert set(UPCASTERS) <= {(sample.type, sample.version) for sample in EVENT_SAMPLES}


def test_the_script_adds_nothing_twice() -> None:
    """Every sample differs from every other."""
    for file in (EVENTS, RECORDS, COMMANDS):
        lines = file.read_bytes().splitlines()
        assert len(set(lines)) == len(lines) > 0
