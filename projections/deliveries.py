"""Deliveries: who was to be told, through which channel, and whether the channel took it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import BigInteger, Column, Connection, Index, Integer, MetaData, String, Table

from projections.projection import PlainText, Projection, Row
from projections.rows import Rows, read_as, select_as
from schemas import events as e
from schemas.channel_care import DEADLINE, LATEST

DeliveryState = Literal["requested", "started", "retrying", "succeeded", "failed", "unconfirmed", "cancelled"]

_metadata = MetaData()

deliveries_table = Table(
    "deliveries",
    _metadata,
    Column("delivery", String(160), primary_key=True),
    Column("incident", String(120), nullable=False),
    Column("receiver", PlainText, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("channel", String(63), nullable=False, comment="of the present or next attempt"),
    Column("attempt", Integer, nullable=False, comment="over all channels, from 1; 0 before the first"),
    Column("state", String(16), nullable=False),
    Column("requested_ms", BigInteger, nullable=False),
    Column("finished_ms", BigInteger),
    Column("reason", PlainText, nullable=False, comment="of the last failure"),
    Column("vendor_code", PlainText, nullable=False, comment="the last answer's"),
    Column("position", BigInteger, nullable=False, comment="seq of the last event applied to this row"),
    Index("deliveries_by_time", "requested_ms"),
    Index("deliveries_by_incident", "incident", "requested_ms"),
)

channels_table = Table(
    "channel_health",
    _metadata,
    Column("channel", String(63), primary_key=True),
    Column("succeeded", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False, comment="attempts, retried ones included"),
    Column("unconfirmed", BigInteger, nullable=False),
    Column("last_success_ms", BigInteger),
    Column("last_failure_ms", BigInteger),
    Column("last_failure_reason", PlainText, nullable=False),
    Column("latest", String(20), nullable=False, comment="one letter for each of the latest attempts: + or -"),
    Column("last_probe_ms", BigInteger, comment="the latest test message that was taken"),
    Column("failing_since_ms", BigInteger, comment="routing avoids it; NULL while it is within its budget"),
)

_HEALTHY = {
    "succeeded": 0, "failed": 0, "unconfirmed": 0, "last_success_ms": None, "last_failure_ms": None,
    "last_failure_reason": "", "latest": "", "last_probe_ms": None, "failing_since_ms": None,
}  # fmt: skip


class DeliveryProjection(Projection):
    """One row for each delivery, one for each channel."""

    name = "deliveries"
    version = 2
    handles = frozenset(
        {
            e.DeliveryRequested, e.DeliveryDue, e.DeliveryStarted, e.DeliverySucceeded, e.DeliveryRetryScheduled,
            e.DeliveryFailed, e.DeliveryUnconfirmed, e.DeliveryCancelled, e.ChannelFailing, e.ChannelRecovered,
        }
    )  # fmt: skip
    tables = (deliveries_table, channels_table)

    def apply_all(self, events: Sequence[e.LoggedEvent], tx: Connection) -> None:
        """Follow the deliveries. Raises LookupError on a step of a delivery that nobody requested."""
        about = [logged for logged in events if not isinstance(logged.event.data, _CARE)]
        deliveries = Rows(tx, deliveries_table, (logged.event.data.delivery for logged in about))  # type: ignore[union-attr]
        answers: list[tuple[str, Any, Row, int]] = []
        for logged in events:
            data: Any = logged.event.data
            if isinstance(data, _CARE):
                answers.append((data.channel, data, {}, logged.event.at_ms))
                continue
            row = deliveries.get(data.delivery)
            if row is not None and logged.seq <= row["position"]:
                continue
            after = _after(row, data, logged.event.at_ms)
            deliveries.put(after | {"position": logged.seq})
            if isinstance(data, _ANSWERS):
                channel = after["channel"] if isinstance(data, e.DeliveryFailed) else data.channel
                answers.append((channel, data, after, logged.event.at_ms))
        deliveries.save(tx)
        channels = Rows(tx, channels_table, (channel for channel, _, _, _ in answers))
        for channel, data, delivery, at_ms in answers:
            before = channels.get(channel) or {"channel": channel} | _HEALTHY
            channels.put(_health(before, data, delivery, at_ms))
        channels.save(tx)


_CARE = (e.ChannelFailing, e.ChannelRecovered)
_ANSWERS = (e.DeliverySucceeded, e.DeliveryRetryScheduled, e.DeliveryFailed, e.DeliveryUnconfirmed)


def _after(row: Row | None, data: Any, at_ms: int) -> Row:
    if isinstance(data, e.DeliveryRequested):
        return _requested(data, at_ms)
    if row is None:
        raise LookupError(f"delivery {data.delivery} has no beginning")
    match data:
        case e.DeliveryDue():
            return row | {"channel": data.channel, "attempt": data.attempt}
        case e.DeliveryStarted():
            return row | {"state": "started", "channel": data.channel, "attempt": data.attempt}
        case e.DeliverySucceeded():
            return row | {"state": "succeeded", "finished_ms": at_ms, "vendor_code": data.vendor_code}
        case e.DeliveryRetryScheduled():
            channel = data.next_channel or data.channel
            said = {"reason": data.reason, "vendor_code": data.vendor_code}
            return row | said | {"state": "retrying", "channel": channel}
        case e.DeliveryFailed():
            said = {"reason": data.reason, "vendor_code": data.vendor_code}
            return row | said | {"state": "failed", "finished_ms": at_ms}
        case e.DeliveryUnconfirmed():
            return row | {"state": "unconfirmed", "finished_ms": at_ms, "reason": data.reason}
        case e.DeliveryCancelled():
            return row | {"state": "cancelled", "finished_ms": at_ms, "reason": data.reason}
    raise AssertionError(data)


def _requested(data: e.DeliveryRequested, at_ms: int) -> Row:
    return {
        "delivery": data.delivery,
        "incident": data.notice.incident,
        "receiver": data.receiver,
        "kind": data.notice.kind,
        "channel": data.channels[0] if data.channels else "",
        "attempt": 0,
        "state": "requested",
        "requested_ms": at_ms,
        "finished_ms": None,
        "reason": "",
        "vendor_code": "",
    }


def _health(channel: Row, data: Any, delivery: Row, at_ms: int) -> Row:
    if isinstance(data, e.ChannelFailing):
        return channel | {"failing_since_ms": at_ms}
    if isinstance(data, e.ChannelRecovered):
        return channel | {"failing_since_ms": None}
    took = isinstance(data, e.DeliverySucceeded)
    if isinstance(data, e.DeliveryRetryScheduled) and data.reason == DEADLINE:
        return channel  # it gave way to the next channel unasked
    channel = channel | {"latest": (channel["latest"] + ("+" if took else "-"))[-LATEST:]}
    if took:
        probed = {"last_probe_ms": at_ms} if delivery["kind"] == "test" else {}
        return channel | {"succeeded": channel["succeeded"] + 1, "last_success_ms": at_ms} | probed
    if isinstance(data, e.DeliveryUnconfirmed):
        return channel | {"unconfirmed": channel["unconfirmed"] + 1}
    said = {"last_failure_ms": at_ms, "last_failure_reason": data.reason}
    return channel | said | {"failed": channel["failed"] + 1}


class DeliveryRow(msgspec.Struct, frozen=True):
    """One delivery as it stands. `attempt` is 0 before the first; `finished_ms` is None while it is under way."""

    delivery: str
    incident: str
    receiver: str
    kind: e.NoticeKind
    channel: str
    attempt: int
    state: DeliveryState
    requested_ms: int
    finished_ms: int | None
    reason: str
    vendor_code: str


class ChannelHealth(msgspec.Struct, frozen=True):
    """How a channel has answered: attempts by outcome, and when it last took and last refused one."""

    channel: str
    succeeded: int
    failed: int
    unconfirmed: int
    last_success_ms: int | None
    last_failure_ms: int | None
    last_failure_reason: str
    latest: str
    """One letter for each of the latest 20 attempts, the newest last: + or -."""
    last_probe_ms: int | None
    failing_since_ms: int | None


def recent(conn: Connection, limit: int = 50) -> list[DeliveryRow]:
    """The latest deliveries, the newest first."""
    order = (deliveries_table.c.requested_ms.desc(), deliveries_table.c.delivery.desc())
    return read_as(conn, select_as(deliveries_table, DeliveryRow).order_by(*order).limit(limit), DeliveryRow)


def of_incident(conn: Connection, incident: str) -> list[DeliveryRow]:
    """The deliveries about one incident, the oldest first."""
    column = deliveries_table.c
    statement = select_as(deliveries_table, DeliveryRow).where(column.incident == incident)
    return read_as(conn, statement.order_by(column.requested_ms, column.delivery), DeliveryRow)


def channel_health(conn: Connection) -> list[ChannelHealth]:
    """Every channel that has answered at least once, by name."""
    return read_as(conn, select_as(channels_table, ChannelHealth).order_by(channels_table.c.channel), ChannelHealth)
