"""The archive: stretches of the journal as compressed files, each with its checksum, that are read like the journal.

A segment is one zstd stream of frames: the length of the record (4 bytes), its offset (8 bytes), both big-endian, and
the record as msgpack. `manifest.jsonl` beside it has one line for each segment (the last one counts, should a file be
named twice), so that an archive can be checked and read without its database.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import zstandard
from sqlalchemy import Connection, Row, select

from engine.store.tables import SEGMENTS
from schemas.errors import ConfigError, StoreUnavailable
from schemas.records import Record, decode_record, encode_record

MANIFEST = "manifest.jsonl"
LEVEL = 10
"""zstd's level: written once and kept for years."""
_FRAME = struct.Struct(">IQ")
_BLOCK = 1 << 20


class Segment(msgspec.Struct, frozen=True):
    """One stretch of the journal: offsets from `first_offset` to before `next_offset`, in `file`.

    `sha256` (hex) and `size` (bytes) are the file's; `head` is the hash of the last event that the stretch and what
    came before it had caused. Times are UTC milliseconds.
    """

    partition: int
    first_offset: int
    next_offset: int
    records: int
    first_ms: int
    last_ms: int
    file: str
    size: int
    sha256: str
    head: bytes


def write_segment(
    folder: Path, partition: int, records: Iterable[tuple[int, Record]], head_before: Callable[[int], bytes]
) -> Segment:
    """Write a file with these records, at least one; on disk, read back and found equal when it returns.

    `head_before(offset)` is the hash of the last event that the records before `offset` have caused.

    Raises OSError, and StoreUnavailable where what is read back is not what was written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f"journal-{partition}.unfinished"
    written = hashlib.sha256()
    offsets: list[int] = []
    times: list[int] = []
    with unfinished.open("wb") as file:
        with zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).stream_writer(file, closefd=False) as packed:
            for offset, record in records:
                content = encode_record(record)
                frame = _FRAME.pack(len(content), offset) + content
                packed.write(frame)
                written.update(frame)
                offsets.append(offset)
                times.append(record.at_ms)
        file.flush()
        os.fsync(file.fileno())
    first, stop = offsets[0], offsets[-1] + 1
    name = f"journal-{partition}-{first:012d}-{stop:012d}.zst"
    size, digest = unfinished.stat().st_size, _sha256(unfinished)
    segment = Segment(
        partition, first, stop, len(offsets), min(times), max(times), name, size, digest, head_before(stop)
    )
    _read_back(unfinished, segment, written.digest())
    unfinished.rename(folder / name)
    _add_to_manifest(folder, segment)
    return segment


def records_of(folder: Path | None, segment: Segment, start: int, stop: int | None) -> Iterator[tuple[int, Record]]:
    """The records of a segment from offset `start` to before `stop`, after its checksum was found right.

    Raises ConfigError where no folder is given, StoreUnavailable for a file that is missing or was altered.
    """
    if folder is None:
        raise ConfigError(
            f"records {segment.first_offset} to {segment.next_offset - 1} were archived: say in which folder",
            key="store.archive",
        )
    check_segment(folder, segment)
    for offset, content in _frames(folder / segment.file):
        if offset >= start and (stop is None or offset < stop):
            yield offset, decode_record(content)


def check_segment(folder: Path, segment: Segment) -> None:
    """Raises StoreUnavailable where the file of a segment is missing, or is not the one that was written."""
    file = folder / segment.file
    try:
        if _sha256(file) != segment.sha256:
            raise StoreUnavailable(f"{file} is not the segment that was archived: its checksum differs")
    except OSError as missing:
        raise StoreUnavailable(f"the archive lacks {file}: {missing.strerror}") from missing


def segment_at(connection: Connection, partition: int, offset: int) -> Segment | None:
    """The segment that has the record at `offset`, None where it was not archived."""
    query = select(SEGMENTS).where(SEGMENTS.c.partition == partition, SEGMENTS.c.first_offset <= offset)
    row = connection.execute(query.order_by(SEGMENTS.c.first_offset.desc()).limit(1)).one_or_none()
    return None if row is None or row.next_offset <= offset else _segment(row)


def all_segments(connection: Connection) -> list[Segment]:
    """Every segment of every partition, in order."""
    query = select(SEGMENTS).order_by(SEGMENTS.c.partition, SEGMENTS.c.first_offset)
    return [_segment(row) for row in connection.execute(query)]


def _segment(row: Row[Any]) -> Segment:
    return msgspec.convert(row, Segment, from_attributes=True)


def _read_back(file: Path, segment: Segment, written: bytes) -> None:
    found, count = hashlib.sha256(), 0
    for offset, content in _frames(file):
        decode_record(content)
        found.update(_FRAME.pack(len(content), offset) + content)
        count += 1
    if (count, found.digest()) != (segment.records, written):
        raise StoreUnavailable(f"{file} does not read back as it was written: nothing was pruned")


def _frames(file: Path) -> Iterator[tuple[int, bytes]]:
    with file.open("rb") as packed, zstandard.ZstdDecompressor().stream_reader(packed) as stream:
        while header := _exactly(stream, _FRAME.size):
            length, offset = _FRAME.unpack(header)
            yield offset, _exactly(stream, length)


def _exactly(stream: zstandard.ZstdDecompressionReader, size: int) -> bytes:
    """The next `size` bytes; none at the end of the stream."""
    parts: list[bytes] = []
    while size and (part := stream.read(size)):
        parts.append(part)
        size -= len(part)
    if size and parts:
        raise StoreUnavailable("an archived segment ends in the middle of a record")
    return b"".join(parts)


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while block := content.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _add_to_manifest(folder: Path, segment: Segment) -> None:
    line = msgspec.to_builtins(segment) | {"head": segment.head.hex()}
    with (folder / MANIFEST).open("ab") as manifest:
        manifest.write(msgspec.json.encode(line) + b"\n")
        manifest.flush()
        os.fsync(manifest.fileno())
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
