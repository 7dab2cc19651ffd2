"""Which partition a record belongs to, and a body of several scopes cut into one piece for each.

Everything about one scope is decided in one partition: only there are its groups, its incidents and their numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache

import msgspec
from aiokafka.partitioner import murmur2

from engine.core.scopes import scope_of
from schemas.alerts import Alert, Rejected, labels_of
from schemas.commands import Command, RecordDrill, ReportIncident, TestChannel
from schemas.config import Grouping
from schemas.errors import InvalidPayload
from schemas.ports import Parser

HOME = "default"
"""The scope of what has none. It lives in partition 0, whatever the number of partitions: that is where the core of a
single process keeps it, and where what concerns the whole installation is decided."""
LISTS = ("alerts", "items", "events")
"""Where the items stand in a body that is an object."""

_items = msgspec.json.Decoder(list[msgspec.Raw])
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Piece(msgspec.Struct, frozen=True):
    """The part of a body that belongs to one scope, to be read by the parser named `format`."""

    scope: str
    format: str
    body: bytes


class Cut(msgspec.Struct, frozen=True):
    """A body by scopes. `received` counts its items; `problems` are those that no parser can read, as it is told."""

    pieces: Sequence[Piece]
    received: int
    problems: Sequence[str]


def partition_of(scope: str, partitions: int) -> int:
    """The partition of a scope: Kafka's own hash of its UTF-8 bytes, as every client computes it, but for HOME.

    >>> partition_of("default", 12), partition_of("prod", 12)
    (0, 3)
    """
    if scope == HOME or partitions == 1:
        return 0
    return int((murmur2(scope.encode("utf-8", "surrogatepass")) & 0x7FFFFFFF) % partitions)


def is_for_all(command: Command) -> bool:
    """Whether every partition decides a command, each for its own scopes: silences, changes of the rota.

    The ids that such commands give come from the id of the command, so that they are the same everywhere.
    """
    return not hasattr(command, "incident") and not isinstance(command, ReportIncident | TestChannel | RecordDrill)


class Cutter:
    """Cuts bodies as the rules' scope labels say. Must say the same in every process of a cluster."""

    def __init__(self, parsers: Mapping[str, Parser], grouping: Grouping) -> None:
        self._parsers = parsers
        self._scope = lru_cache(65_536)(lambda labels: scope_of(labels_of(labels), grouping))

    def cut(self, format: str, body: bytes, at_ms: int) -> Cut:
        """The pieces of a body, each with its items verbatim. What cannot be read at all stays whole, in HOME."""
        try:
            parse = self._parsers.get(format)
            if parse is None:
                raise InvalidPayload(f"no parser named {format!r}")
            answers = parse(body, at_ms)
        except InvalidPayload as unreadable:
            return Cut((Piece(HOME, format, body),), 1, (str(unreadable),))
        problems = [f"{one.place}: {one.reason}" for one in answers if isinstance(one, Rejected)]
        scopes = [self._scope(one.labels_raw) if isinstance(one, Alert) else None for one in answers]
        distinct = list(dict.fromkeys(scope for scope in scopes if scope is not None))
        if len(distinct) <= 1:
            pieces: Sequence[Piece] = (Piece(distinct[0] if distinct else HOME, format, body),)
        else:
            pieces = _pieces(format, body, scopes) or _rewritten(answers, scopes)
        return Cut(pieces, len(answers), problems)


def _pieces(format: str, body: bytes, scopes: Sequence[str | None]) -> Sequence[Piece]:
    """The items by scope, byte for byte; none where the body is no list of items, nor an object around one."""
    before, raws, after = _opened(body)
    if len(raws) > len(scopes) or any(scope is not None for scope in scopes[len(raws) :]):
        return ()
    by_scope: dict[str, list[bytes]] = {}
    first = next(scope for scope in scopes if scope is not None)
    for raw, scope in zip(raws, scopes, strict=False):
        by_scope.setdefault(scope if scope is not None else first, []).append(bytes(raw))
    return [
        Piece(
            scope, format, before + b"[" + b",".join(items) + b"]" + (after if scope == first else b"") + _end(before)
        )
        for scope, items in by_scope.items()
    ]


def _end(before: bytes) -> bytes:
    return b"}" if before else b""


def _opened(body: bytes) -> tuple[bytes, Sequence[msgspec.Raw], bytes]:
    """What comes before the items, the items, and what comes behind them and need be said only once."""
    body = body.removeprefix(b"\xef\xbb\xbf")
    try:
        return b"", _items.decode(body), b""
    except msgspec.DecodeError:
        pass
    try:
        fields = _object.decode(body)
        name = next(name for name in LISTS if name in fields)
        raws = _items.decode(fields.pop(name))
    except (msgspec.DecodeError, StopIteration):
        return b"", (), b""
    once = {name: fields.pop(name) for name in ("truncatedAlerts",) if name in fields}
    envelope = msgspec.json.encode(fields)[:-1] + (b"," if fields else b"")
    rest = msgspec.json.encode(once)[1:-1]
    return envelope + msgspec.json.encode(name) + b":", raws, b"," + rest if rest else b""


def _rewritten(answers: Sequence[Alert | Rejected], scopes: Sequence[str | None]) -> Sequence[Piece]:
    """The last resort for formats of another shape: what was understood, in our own format."""
    by_scope: dict[str, list[dict[str, object]]] = {}
    for one, scope in zip(answers, scopes, strict=True):
        if isinstance(one, Alert) and scope is not None:
            by_scope.setdefault(scope, []).append(_generic(one))
    return [Piece(scope, "generic_json", msgspec.json.encode(items)) for scope, items in by_scope.items()]


def _generic(alert: Alert) -> dict[str, object]:
    item: dict[str, object] = {
        "alertname": alert.labels.get("alertname", "alert"),
        "labels": msgspec.Raw(alert.labels_raw),
        "annotations": dict(alert.annotations),
        "status": alert.status,
        "startsAt": _rfc3339(alert.starts_ms),
        "url": alert.generator_url,
    }
    return item if alert.ends_ms is None else item | {"endsAt": _rfc3339(alert.ends_ms)}


def _rfc3339(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
