"""The syntax tree of a CEL expression, read from the bytes that the compiler leaves.

Source: `cel/expr/syntax.proto` and `checked.proto` (cel-spec); wire format: protobuf encoding. Only what the checks and
the index of the rules look at is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

Kind = Literal["constant", "name", "select", "call", "list", "map", "comprehension", "other"]

_CHECKED_EXPR: Final = 4
_SOURCE: Final = 5
_POSITIONS: Final = 4
_KINDS: Final[dict[int, Kind]] = {
    3: "constant", 4: "name", 5: "select", 6: "call", 7: "list", 8: "map", 9: "comprehension",
}  # fmt: skip
_STRING: Final = 6
_PARTS: Final[dict[Kind, tuple[int, ...]]] = {
    "select": (1,), "call": (1, 3), "list": (1,), "comprehension": (2, 4, 5, 6, 7),
}  # fmt: skip
"""Fields that hold expressions; of a call the target comes before its arguments."""
_TEXTS: Final[dict[Kind, int]] = {"constant": _STRING, "name": 1, "select": 2, "call": 2}


@dataclass(frozen=True)
class Node:
    """One node. `text` is a string constant, a name, a field or a function; `id` is what `places` knows it by."""

    kind: Kind
    text: str | None = None
    parts: tuple[Node, ...] = ()
    id: int = 0
    is_test: bool = field(default=False)
    """Of a select: it only asks whether the field is there (`has`)."""

    def walk(self) -> Iterator[Node]:
        """This node and all below it."""
        yield self
        for part in self.parts:
            yield from part.walk()


def read_tree(serialized: bytes) -> Node:
    """The tree behind `Expression.serialize()`: an Any that holds a CheckedExpr."""
    return _node(_one(_one(serialized, 2), _CHECKED_EXPR))


def places(serialized: bytes) -> dict[int, int]:
    """Where each node begins in the text, from 0, by its id."""
    found: dict[int, int] = {}
    for name, entry in _fields(_one(_one(serialized, 2), _SOURCE)):
        if name == _POSITIONS and isinstance(entry, bytes):
            pair = dict(_fields(entry))
            key, at = pair.get(1, 0), pair.get(2, 0)
            if isinstance(key, int) and isinstance(at, int):
                found[key] = at
    return found


def _node(body: bytes) -> Node:
    id_, inside = 0, b""
    kind: Kind = "other"
    for name, value in _fields(body):
        if name == 2 and isinstance(value, int):
            id_ = value
        elif name in _KINDS and isinstance(value, bytes):
            kind, inside = _KINDS[name], value
    tested = kind == "select" and bool(dict(_fields(inside)).get(3, 0))
    text = _text(inside, _TEXTS[kind]) if kind in _TEXTS else None
    parts = tuple(_entries(inside)) if kind == "map" else _parts(kind, inside)
    return Node(kind, text, parts, id_, tested)


def _parts(kind: Kind, body: bytes) -> tuple[Node, ...]:
    return tuple(_node(part) for name, part in _fields(body) if name in _PARTS.get(kind, ()) and type(part) is bytes)


def _entries(body: bytes) -> Iterator[Node]:
    for name, entry in _fields(body):
        if name == 2 and isinstance(entry, bytes):
            for inner, part in _fields(entry):
                if inner in (3, 4) and isinstance(part, bytes):
                    yield _node(part)


def _one(body: bytes, wanted: int) -> bytes:
    return next((value for name, value in _fields(body) if name == wanted and isinstance(value, bytes)), b"")


def _text(body: bytes, wanted: int) -> str | None:
    found = [value for name, value in _fields(body) if name == wanted and isinstance(value, bytes)]
    return found[0].decode() if found else None


def _fields(body: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(number, value) of each field: a whole number, or the bytes of what is longer."""
    at, end = 0, len(body)
    while at < end:
        key = body[at]
        at += 1
        if key >= 0x80:
            key, at = _varint(body, at - 1)
        wire = key & 7
        if wire == 0 or wire == 2:
            length = body[at]
            at += 1
            if length >= 0x80:
                length, at = _varint(body, at - 1)
            if wire == 0:
                yield key >> 3, length
                continue
        else:
            length = 8 if wire == 1 else 4
        yield key >> 3, body[at : at + length]
        at += length


def _varint(body: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = body[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
