"""Adds a stored sample for every event, journal record and command that has none yet, or has fields without one.

    .venv/bin/python -m scripts.add_samples

Run it when a type, a version or a field was added. What is there is never changed: databases hold such bytes, and
`tests/unit/test_samples.py` reads them for ever.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, TypeVar, get_args

import msgspec

from engine.upcast import current_version
from schemas.commands import Command
from schemas.events import EVENT_TYPES, encode_data
from schemas.records import Record, encode_record

FOLDER: Final = Path(__file__).resolve().parents[1] / "tests" / "samples"
EVENTS, RECORDS, COMMANDS = (FOLDER / f"{name}.jsonl" for name in ("events", "records", "commands"))


Sample = TypeVar("Sample")


class EventSample(msgspec.Struct, frozen=True):
    """The data of an event as a log holds it, of the version that it was written in."""

    type: str
    version: int
    data: msgspec.Raw


class RecordSample(msgspec.Struct, frozen=True):
    """A journal record as a database holds it (base64 of its msgpack), and what it says."""

    kind: str
    stored: str
    reads: dict[str, Any]


class CommandSample(msgspec.Struct, frozen=True):
    """A command as the journal holds it in the body of a `Commanded` record."""

    type: str
    body: msgspec.Raw


def main() -> None:
    """Add what is missing, and say how much that was."""
    for file, lines in ((EVENTS, _new_events()), (RECORDS, _new_records()), (COMMANDS, _new_commands())):
        added = [msgspec.json.encode(line) + b"\n" for line in lines]
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("ab") as samples:
            samples.writelines(added)
        print(f"{file.name}: {len(added)} added")


def read(file: Path, kind: type[Sample]) -> list[Sample]:
    """The samples of one file."""
    lines = file.read_bytes().splitlines() if file.exists() else []
    return [msgspec.json.decode(line, type=kind) for line in lines]


def _new_events() -> Iterable[EventSample]:
    kept = read(EVENTS, EventSample)
    for name, struct in EVENT_TYPES.items():
        version = current_version(name)
        shown = [msgspec.json.decode(one.data) for one in kept if (one.type, one.version) == (name, version)]
        if _lacks(struct.__struct_fields__, shown):
            filled: Any = _filled(msgspec.inspect.type_info(struct))
            yield EventSample(name, version, msgspec.Raw(encode_data(filled)))


def _new_records() -> Iterable[RecordSample]:
    kept = read(RECORDS, RecordSample)
    for struct in get_args(Record):
        kind = str(struct.__struct_config__.tag)
        if _lacks(struct.__struct_fields__, [one.reads for one in kept if one.kind == kind]):
            filled = _filled(msgspec.inspect.type_info(struct))
            stored = base64.b64encode(encode_record(filled)).decode()
            yield RecordSample(kind, stored, msgspec.to_builtins(filled))


def _new_commands() -> Iterable[CommandSample]:
    kept = read(COMMANDS, CommandSample)
    for model in get_args(get_args(Command)[0]):
        name = model.model_fields["type"].default
        shown = [msgspec.json.decode(one.body) for one in kept if one.type == name]
        if _lacks(tuple(model.model_fields), shown):
            schema = model.model_json_schema()
            named = schema.get("$defs", {})
            body = {field: _fitting(field, wanted, named) for field, wanted in schema["properties"].items()}
            yield CommandSample(name, msgspec.Raw(model.model_validate(body).model_dump_json().encode()))


def _lacks(fields: tuple[str, ...], shown: list[dict[str, Any]]) -> bool:
    return not shown or not set(fields) <= set().union(*shown)


def _filled(wanted: msgspec.inspect.Type, name: str = "") -> Any:  # noqa: C901 - one case per type
    """A value of a type in which no field has its default."""
    inspect = msgspec.inspect
    match wanted:
        case inspect.StructType():
            return wanted.cls(**{field.name: _filled(field.type, field.name) for field in wanted.fields})
        case inspect.LiteralType():
            return wanted.values[-1]
        case inspect.ListType() | inspect.VarTupleType():
            return [_filled(wanted.item_type, name)]
        case inspect.FloatType():
            return 0.75
        case inspect.DictType():
            return {_filled(wanted.key_type, "key"): _filled(wanted.value_type, name)}
        case inspect.UnionType():
            return _filled(next(one for one in wanted.types if not isinstance(one, inspect.NoneType)), name)
        case inspect.RawType():
            return msgspec.Raw(b'{"name":"\xe5\x80\xbc"}')
        case inspect.IntType():
            return 1_795_348_800_000 if name.endswith("_ms") else 3
        case inspect.BoolType():
            return True
        case inspect.BytesType():
            return b'{"any":"bytes \x00\xff"}'
        case _:
            return f"{name} 值"


def _fitting(name: str, wanted: dict[str, Any], named: dict[str, Any]) -> Any:
    """A value that a JSON schema of a command's field takes; `named` are the schemas that others refer to."""
    if "$ref" in wanted:
        wanted = named[wanted["$ref"].rsplit("/", 1)[1]]
    if "anyOf" in wanted:
        return _fitting(name, wanted["anyOf"][0], named)
    if "const" in wanted or "enum" in wanted:
        return wanted.get("const", wanted.get("enum", [""])[-1])
    match wanted["type"]:
        case "integer":
            return wanted["minimum"] + 1
        case "boolean":
            return True
        case "array":
            return [_fitting(name, wanted["items"], named)]
        case "object":
            fields = wanted.get("properties", {name: {"type": "string"}})
            return {field: _fitting(field, inner, named) for field, inner in fields.items()}
        case _:
            return f"{name} 值"


if __name__ == "__main__":
    main()
