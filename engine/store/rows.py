"""Rows: how records and logged events are laid into columns, and read back exactly equal."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import zstandard

from engine.chain import Envelope
from engine.upcast import upcast
from schemas.errors import StoreUnavailable
from schemas.events import Event, LoggedEvent, decode_data
from schemas.records import Changed, Commanded, Configured, Received, Record, decode_record, encode_record

_PLAIN, _ZSTD = b"\x00", b"\x01"
_WORTH_TRYING = 128
"""Bytes below which zstd's frame costs more than it saves."""
_ZSTD_LEVEL = 1

ESCAPE, NUL = "\x1a", "\x00"


_own = threading.local()


def _compressor() -> zstandard.ZstdCompressor:
    # A compressor serves one call at a time and is dear to make: each thread has its own.
    if not hasattr(_own, "compressor"):
        _own.compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True)
    compressor: zstandard.ZstdCompressor = _own.compressor
    return compressor


def packed(content: bytes) -> bytes:
    """The content behind one marker byte, compressed where that makes it shorter."""
    if len(content) >= _WORTH_TRYING:
        squeezed = _compressor().compress(content)
        if len(squeezed) < len(content):
            return _ZSTD + squeezed
    return _PLAIN + content


def unpacked(body: bytes) -> bytes:
    """What `packed` was given; raises ZstdError where what was compressed is damaged (4 bytes of each frame tell)."""
    if body[:1] == _ZSTD:
        return zstandard.ZstdDecompressor().decompress(body[1:])
    return bytes(body[1:])


@contextmanager
def damage_named(what: str) -> Iterator[None]:
    """What was stored and does not read back inside is an outage of the disk: SQLite has no checksums of its own."""
    try:
        yield
    except (zstandard.ZstdError, msgspec.MsgspecError, ValueError, TypeError, AttributeError) as noise:
        raise StoreUnavailable(f"{what} is damaged: it does not read back as it was written ({noise})") from noise


def column_text(text: str) -> str:
    """Text as a column takes it: PostgreSQL has no NUL in text, so NUL is written as SUB 0 and SUB as SUB 1.

    >>> column_text("a"), column_text("a\\x00b")
    ('a', 'a\\x1a0b')
    """
    if NUL in text or ESCAPE in text:
        return text.replace(ESCAPE, ESCAPE + "1").replace(NUL, ESCAPE + "0")
    return text


def original_text(column: str) -> str:
    """What `column_text` was given."""
    if ESCAPE in column:
        return column.replace(ESCAPE + "0", NUL).replace(ESCAPE + "1", ESCAPE)
    return column


def journal_row(partition: int, offset: int, record: Record) -> tuple[Any, ...]:
    """A record as a row of `journal`, in the order of its columns."""
    kind = type(record).__struct_config__.tag
    body = packed(encode_record(record))
    return (partition, offset, kind, column_text(_sender(record)), record.at_ms, body)


def _sender(record: Record) -> str:
    if isinstance(record, Received | Changed):
        return record.source
    if isinstance(record, Commanded | Configured):
        return record.actor
    return ""


def record_of(body: bytes) -> Record:
    """The record behind the `body` of a row of `journal`."""
    record: Record = decode_record(unpacked(body))
    return record


def event_row(logged: LoggedEvent) -> tuple[Any, ...]:
    """A logged event as a row of `events`, in the order of its columns."""
    stored = Envelope.of(logged)
    return (
        stored.partition, stored.seq, stored.offset, stored.index, stored.version, stored.at_ms, logged.type,
        column_text(stored.actor), column_text(stored.scope), column_text(stored.subject), stored.data, stored.hash,
    )  # fmt: skip


def event_of(row: Sequence[Any]) -> LoggedEvent:
    """The logged event behind a row of `events`, lifted to the present schema version."""
    partition, seq, offset, index, version, at_ms, kind, actor, scope, subject, stored, digest = row
    version, data = upcast(kind, version, bytes(stored))
    event = Event(at_ms, original_text(actor), original_text(scope), original_text(subject), decode_data(data))
    return LoggedEvent(partition, seq, offset, index, event, bytes(digest), version)


def envelope_of(row: Sequence[Any]) -> Envelope:
    """The event behind a row of `events` exactly as it was hashed, whatever its version."""
    partition, seq, offset, index, version, at_ms, _, actor, scope, subject, data, digest = row
    return Envelope(
        partition, seq, offset, index, version, at_ms,
        original_text(actor), original_text(scope), original_text(subject), bytes(data), bytes(digest),
    )  # fmt: skip
