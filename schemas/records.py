"""Journal records: everything that ever enters the core, in arrival order within its partition.

`at_ms` is when Tocsin accepted the record (UTC milliseconds since the epoch); it is the core's only clock.
"""

from __future__ import annotations

import msgspec


class Received(msgspec.Struct, frozen=True, tag="received"):
    """The body of one authentic request, verbatim.

    `source` is the configured name of the sender, `format` the name of the parser to read it with.
    """

    at_ms: int
    source: str
    format: str
    body: bytes


class Commanded(msgspec.Struct, frozen=True, tag="command"):
    """A person or a program wants something. `body` is a `schemas.commands.Command` as JSON.

    `command_id` is the caller's idempotency key: the same id twice is decided once.
    """

    at_ms: int
    command_id: str
    actor: str
    body: bytes


class Tick(msgspec.Struct, frozen=True, tag="tick"):
    """Time has passed; written only when some timer of the core is due."""

    at_ms: int


class Attempting(msgspec.Struct, frozen=True, tag="attempting"):
    """The outbox is about to hand delivery `delivery_id` to its channel for the `attempt`-th time (from 1)."""

    at_ms: int
    delivery_id: str
    attempt: int


class Delivered(msgspec.Struct, frozen=True, tag="delivered"):
    """A channel's answer to one attempt.

    `outcome` is ``ok``, ``retry`` (may work later), ``failed`` (never will) or ``unknown`` (it may have arrived).
    `vendor_code`, `vendor_message_id` and `reason` are the vendor's words; `retry_after_s` is the vendor's wish.
    """

    at_ms: int
    delivery_id: str
    attempt: int
    outcome: str
    vendor_code: str = ""
    vendor_message_id: str = ""
    reason: str = ""
    retry_after_s: int | None = None


class Configured(msgspec.Struct, frozen=True, tag="configured"):
    """A version of the rules that the core decides by. `body` is a `schemas.config.Rules` as JSON."""

    at_ms: int
    actor: str
    body: bytes


class Changed(msgspec.Struct, frozen=True, tag="changed"):
    """A release or another change to the watched systems. `body` is JSON, verbatim."""

    at_ms: int
    source: str
    body: bytes


Record = Received | Commanded | Tick | Attempting | Delivered | Configured | Changed

encode_record = msgspec.msgpack.Encoder().encode
decode_record = msgspec.msgpack.Decoder(Record).decode
