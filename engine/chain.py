"""The hash chain of the log: every event carries the SHA-256 of its predecessor's hash and of itself.

Whoever alters, removes or reorders a logged event must recompute every later hash, and then the head no longer
agrees with the checkpoint, nor with a head that was written down elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Self

import msgspec

from engine.upcast import UPCASTERS, current_version
from schemas.events import Event, LoggedEvent, encode_data, event_type

GENESIS = bytes(32)
"""What the first event of a partition is chained to."""

_encode = msgspec.msgpack.Encoder().encode


class Position(msgspec.Struct, frozen=True):
    """Where the next record and the next event of a partition go; `head` is the hash of the last event."""

    next_offset: int = 0
    next_seq: int = 0
    head: bytes = GENESIS

    def after(self, events: Sequence[LoggedEvent]) -> Position:
        """The position behind one record and the events it caused."""
        head = events[-1].hash if events else self.head
        return Position(self.next_offset + 1, self.next_seq + len(events), head)


class Envelope(msgspec.Struct, frozen=True):
    """A logged event as it is stored and hashed: `data` is its canonical JSON, of the version it was written in."""

    partition: int
    seq: int
    offset: int
    index: int
    version: int
    at_ms: int
    actor: str
    scope: str
    subject: str
    data: bytes
    hash: bytes = b""

    @classmethod
    def of(cls, logged: LoggedEvent) -> Self:
        """The envelope of an event that is in memory."""
        event = logged.event
        return cls(
            logged.partition, logged.seq, logged.offset, logged.index, logged.version,
            event.at_ms, event.actor, event.scope, event.subject, encode_data(event.data), logged.hash,
        )  # fmt: skip

    @property
    def id(self) -> str:
        """The event's identity: ``partition-offset-index``."""
        return f"{self.partition}-{self.offset}-{self.index}"


class Fault(msgspec.Struct, frozen=True):
    """The first place where a log is not what was once written: the expected `seq`, and what is wrong there."""

    seq: int
    problem: str


def link(previous: bytes, event: Envelope) -> bytes:
    """The hash of `event` behind `previous` (32 bytes): SHA-256 over `previous` and a msgpack array of all fields.

    msgpack states every length, so no two different events give the same bytes. The event's own `hash` is not read.
    """
    return _link(
        previous, event.partition, event.seq, event.offset, event.index, event.version,
        event.at_ms, event.actor, event.scope, event.subject, event.data,
    )  # fmt: skip


def _link(previous: bytes, *fields: int | str | bytes) -> bytes:
    return sha256(previous + _encode(fields)).digest()


def extend(position: Position, partition: int, offset: int, events: Sequence[Event]) -> list[LoggedEvent]:
    """The events of the record at `offset`, placed in the log behind `position` and chained to its head."""
    logged: list[LoggedEvent] = []
    head, seq = position.head, position.next_seq
    for index, event in enumerate(events):
        version = current_version(event_type(event.data)) if UPCASTERS else 1
        data = encode_data(event.data)
        head = _link(
            head, partition, seq, offset, index, version, event.at_ms, event.actor, event.scope, event.subject, data
        )
        logged.append(LoggedEvent(partition, seq, offset, index, event, head, version))
        seq += 1
    return logged


def verify(previous: bytes, first_seq: int, events: Iterable[Envelope | LoggedEvent]) -> Fault | None:
    """The first altered, missing or reordered event of a stretch of the log, None when every link holds.

    `previous` is the hash of the event before the stretch, `first_seq` the number its first event must have.
    """
    place = (-1, -1)
    for seq, each in enumerate(events, first_seq):
        event = Envelope.of(each) if isinstance(each, LoggedEvent) else each
        if event.seq != seq:
            found = f"event {seq} is missing" if event.seq > seq else f"event {event.seq} is out of order"
            return Fault(seq, f"{found}: {event.seq} ({event.id}) stands where {seq} belongs")
        if link(previous, event) != event.hash:
            return Fault(seq, f"event {seq} ({event.id}) was altered, or its predecessor was replaced")
        if (event.offset, event.index) <= place:
            return Fault(seq, f"event {seq} ({event.id}) is chained behind a later record")
        previous, place = event.hash, (event.offset, event.index)
    return None
