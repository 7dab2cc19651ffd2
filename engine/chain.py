"""The hash chain of the log: every event carries a hash of its predecessor's hash and of itself.

Whoever alters, removes or reorders a logged event must recompute every later hash, and then the head no longer
agrees with the checkpoint, nor with a head that was written down elsewhere. With a keyed algorithm nobody can
recompute them who has the database alone.
"""

from __future__ import annotations

import hmac
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Literal, Self

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


Algorithm = Literal["sha256", "hmac-sm3"]


class Chain:
    """How links are made: by SHA-256, or by HMAC (RFC 2104) over SM3 (GB/T 32905-2016) with a key.

    A link is over the predecessor's hash (32 bytes) and a msgpack array of all the event's fields. msgpack states every
    length, so no two different events give the same bytes. `key_id` tells keys apart without showing them.
    """

    def __init__(self, algorithm: Algorithm = "sha256", key: bytes = b"") -> None:
        """Raises ValueError where a keyed algorithm has no key."""
        self.algorithm: Algorithm = algorithm
        self._keyed = hmac.new(key, digestmod="sm3") if algorithm == "hmac-sm3" and key else None
        if algorithm != "sha256" and not key:
            raise ValueError(f"{algorithm} needs a key")
        self.key_id = self.digest(b"tocsin key id").hex()[:16] if self._keyed else ""

    @property
    def digest(self) -> Callable[[bytes], bytes]:
        """The 32 bytes that stand for some bytes: their hash, or their authentication code."""
        return _sha256 if self._keyed is None else self._authenticated

    def link(self, previous: bytes, event: Envelope) -> bytes:
        """The hash of `event` behind `previous` (32 bytes). The event's own `hash` is not read."""
        return self.digest(
            previous + _encode((
                event.partition, event.seq, event.offset, event.index, event.version,
                event.at_ms, event.actor, event.scope, event.subject, event.data,
            ))
        )  # fmt: skip

    def extend(self, position: Position, partition: int, offset: int, events: Sequence[Event]) -> list[LoggedEvent]:
        """The events of the record at `offset`, placed in the log behind `position` and chained to its head."""
        logged: list[LoggedEvent] = []
        head, seq, digest = position.head, position.next_seq, self.digest
        for index, event in enumerate(events):
            version = current_version(event_type(event.data)) if UPCASTERS else 1
            fields = (
                partition, seq, offset, index, version,
                event.at_ms, event.actor, event.scope, event.subject, encode_data(event.data),
            )  # fmt: skip
            head = digest(head + _encode(fields))
            logged.append(LoggedEvent(partition, seq, offset, index, event, head, version))
            seq += 1
        return logged

    def _authenticated(self, content: bytes) -> bytes:
        assert self._keyed is not None
        code = self._keyed.copy()  # the key is absorbed once, not for every link
        code.update(content)
        return code.digest()


def _sha256(content: bytes) -> bytes:
    return sha256(content).digest()


PLAIN = Chain()
"""The chain without a key: SHA-256."""

link, extend = PLAIN.link, PLAIN.extend


class Chains:
    """Which chain made which links of a partition: each from the seq on that stands beside it, in ascending order."""

    def __init__(self, spans: Sequence[tuple[int, Chain]] = ((0, PLAIN),)) -> None:
        self.spans = tuple(spans)
        self._starts = [start for start, _ in self.spans]

    def at(self, seq: int) -> Chain:
        """The chain that makes, or has made, the link of event `seq`."""
        return self.spans[max(bisect_right(self._starts, seq) - 1, 0)][1]


def verify(
    previous: bytes, first_seq: int, events: Iterable[Envelope | LoggedEvent], chains: Chains | None = None
) -> Fault | None:
    """The first altered, missing or reordered event of a stretch of the log, None when every link holds.

    `previous` is the hash of the event before the stretch, `first_seq` the number its first event must have.
    """
    chains = chains or Chains()
    place = (-1, -1)
    for seq, each in enumerate(events, first_seq):
        event = Envelope.of(each) if isinstance(each, LoggedEvent) else each
        if event.seq != seq:
            found = f"event {seq} is missing" if event.seq > seq else f"event {event.seq} is out of order"
            return Fault(seq, f"{found}: {event.seq} ({event.id}) stands where {seq} belongs")
        if chains.at(seq).link(previous, event) != event.hash:
            return Fault(seq, f"event {seq} ({event.id}) was altered, or its predecessor was replaced")
        if (event.offset, event.index) <= place:
            return Fault(seq, f"event {seq} ({event.id}) is chained behind a later record")
        previous, place = event.hash, (event.offset, event.index)
    return None
