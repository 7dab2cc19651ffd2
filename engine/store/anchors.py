"""Anchors: the head of the log, written down outside of the database, so that a cut or replaced log shows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from logging import INFO, LogRecord
from logging.handlers import SysLogHandler
from pathlib import Path

import msgspec
from sqlalchemy import func, select

from engine.store.database import outages_named
from engine.store.store import Store
from engine.store.tables import EVENTS
from schemas.errors import ConfigError, StoreUnavailable


class Anchor(msgspec.Struct, frozen=True, omit_defaults=True):
    """The last event of a partition at a moment: its number, its hash in hex, and what its link was made with.

    `at` is UTC in ISO 8601, for people; `at_ms` the same in milliseconds since the epoch.
    """

    partition: int
    seq: int
    head: str
    at: str
    at_ms: int
    algorithm: str
    key_id: str = ""


def anchor_of(store: Store, at_ms: int, partition: int = 0) -> Anchor | None:
    """The anchor for the log as it is now; None while it is empty. Raises StoreUnavailable."""
    end = store.position(partition)
    if end.next_seq == 0:
        return None
    chain = store.chains(partition).at(end.next_seq - 1)
    at = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")
    return Anchor(partition, end.next_seq - 1, end.head.hex(), at, at_ms, chain.algorithm, chain.key_id)


def line_of(anchor: Anchor) -> str:
    """The anchor as the one line of JSON that every place gets, without its line end."""
    return msgspec.json.encode(anchor).decode()


def anchor_from(line: str) -> Anchor:
    """The anchor that `line_of` wrote down."""
    return msgspec.json.decode(line, type=Anchor)


def write_anchor(file: Path, anchor: Anchor) -> None:
    """Add one line to the file; on disk when it returns. Raises OSError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    line = line_of(anchor).encode() + b"\n"
    descriptor = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            line = b"\n" + line  # the line before was cut by a power failure
        os.write(descriptor, line)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def send_anchor(address: str, anchor: Anchor) -> None:
    """Hand the anchor to syslog at a socket's path or at ``HOST:PORT`` (UDP). Raises OSError."""
    host, _, port = address.rpartition(":")
    handler = _Syslog((host.strip("[]"), int(port)) if host else address, SysLogHandler.LOG_AUTH)
    try:
        text = f"tocsin: anchor {line_of(anchor)}"
        handler.emit(LogRecord("tocsin", INFO, "", 0, text, None, None))
    finally:
        handler.close()


class _Syslog(SysLogHandler):
    """Tells of failures instead of printing them."""

    def handleError(self, record: LogRecord) -> None:
        """Let the error that is being handled reach the caller."""
        raise  # it is called inside the handler's own `except`


def read_anchors(file: Path) -> list[Anchor]:
    """The anchors of a file, in its order; raises ConfigError naming the line that is none.

    A line that a power failure cut short is left out: nobody was told that it was written.
    """
    try:
        content = file.read_bytes()
    except OSError as unreadable:
        raise ConfigError(f"cannot be read: {unreadable.strerror}", file=str(file)) from None
    anchors = []
    for number, line in enumerate(content.splitlines(), 1):
        try:
            if line.rstrip().endswith(b"}"):  # a line copied out of a mail may have blanks behind it
                anchors.append(msgspec.json.decode(line, type=Anchor))
        except ValueError as not_one:
            raise ConfigError(f"not an anchor: {not_one}", file=str(file), line=number) from None
    return anchors


def contradiction(store: Store, anchors: Sequence[Anchor]) -> str | None:
    """What the first anchor that does not agree with the log says, None where all agree. Raises StoreUnavailable.

    It compares stored hashes: whether they are right is for `verify_log` to say.
    """
    held: Anchor | None = None
    for anchor in sorted(anchors, key=lambda one: (one.partition, one.seq, one.at_ms)):
        last, found = _event(store, anchor)
        if found is None:
            return f"the log ends at seq {last}, the anchor of {anchor.at} says {anchor.seq}: its tail was cut off"
        if found.hex() != anchor.head:
            since = f"after event {held.seq} (anchor of {held.at})" if held else "from the beginning on"
            return (
                f"event {anchor.seq} is not the one that the anchor of {anchor.at} names:"
                f" the past was replaced, {since} and not behind event {anchor.seq}"
            )
        held = anchor
    return None


def _event(store: Store, anchor: Anchor) -> tuple[int, bytes | None]:
    """The last seq of the anchor's partition, and the hash of the anchored event."""
    own = EVENTS.c.partition == anchor.partition
    with outages_named("compare an anchor with the log"), store.engine.connect() as connection:
        last: int = connection.execute(select(func.coalesce(func.max(EVENTS.c.seq), -1)).where(own)).scalar_one()
        found = connection.execute(select(EVENTS.c.hash).where(own, EVENTS.c.seq == anchor.seq)).scalar()
    return last, None if found is None else bytes(found)


def place_anchor(store: Store, at_ms: int, *, file: Path | None, syslog: str = "", partition: int = 0) -> Anchor | None:
    """Write the present anchor to the file and to syslog, where they are given; None while the log is empty.

    Raises StoreUnavailable, also where the file or syslog does not take it.
    """
    anchor = anchor_of(store, at_ms, partition)
    if anchor is None:
        return None
    try:
        if file is not None:
            write_anchor(file, anchor)
        if syslog:
            send_anchor(syslog, anchor)
    except OSError as refused:
        raise StoreUnavailable(f"the anchor was not taken by {file or syslog}: {refused}") from refused
    return anchor
