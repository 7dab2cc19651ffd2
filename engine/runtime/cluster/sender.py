"""The way into the journal: an idempotent producer that answers when all in-sync brokers have a record."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import msgspec
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from engine.runtime.cluster.routing import partition_of
from engine.runtime.cluster.topic import client_settings
from engine.store.rows import packed, unpacked
from schemas.clusters import Cluster
from schemas.errors import InvalidPayload, Overloaded, StoreUnavailable
from schemas.records import Received, Record, decode_record, encode_record

REQUEST_TIMEOUT_MS = 10_000
"""How long a record may wait for the brokers before its sender is told that it was not taken."""

log = structlog.get_logger(__name__)


class Place(msgspec.Struct, frozen=True):
    """Where a record is kept in the topic."""

    partition: int
    offset: int


def to_message(record: Record) -> bytes:
    """A record as the topic keeps it: as it stands in the table `journal`, compressed if that is shorter."""
    return packed(encode_record(record))


def from_message(value: bytes | None, at_ms: int) -> Record:
    """The record behind a message. What somebody else wrote there is kept too, as a body that no parser reads."""
    try:
        record: Record = decode_record(unpacked(value or b""))
        return record
    except Exception:  # noqa: BLE001 - whatever is in the topic must neither stop the partition nor be lost
        return Received(at_ms, "journal", "unreadable", value or b"")


class Sender:
    """Puts records into the topic. Use `start` and `close` in the loop that uses it."""

    def __init__(self, cluster: Cluster, *, max_pending: int = 10_000) -> None:
        self._cluster, self._max_pending = cluster, max_pending
        self._pending = 0
        self._producer: AIOKafkaProducer | None = None
        self._renewing = asyncio.Lock()
        self.refusal = ""
        """Why the brokers do not take records at present; empty while they do."""

    async def start(self) -> None:
        """Connect. Raises StoreUnavailable where no broker answers."""
        producer = AIOKafkaProducer(
            acks="all",
            enable_idempotence=True,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            max_request_size=self._cluster.max_record_bytes,
            metadata_max_age_ms=30_000,
            **client_settings(self._cluster),
        )
        try:
            await producer.start()
        except (KafkaError, OSError) as unreachable:
            with suppress(KafkaError, OSError):
                await producer.stop()
            raise StoreUnavailable(f"no Kafka broker answers: {unreachable}") from unreachable
        self._producer = producer

    async def close(self) -> None:
        """Send what waits, and disconnect."""
        if self._producer is not None:
            with suppress(KafkaError, OSError, TimeoutError):
                async with asyncio.timeout(REQUEST_TIMEOUT_MS / 1000):
                    await self._producer.stop()

    async def send(self, scope: str, record: Record, *, partition: int | None = None) -> Place:
        """Keep a record; it is durable when this returns. `partition` overrides that of the scope.

        Raises Overloaded (too much waits), InvalidPayload (too large), and StoreUnavailable: then nobody knows whether
        it was kept.
        """
        if self._pending >= self._max_pending:
            raise Overloaded
        to = partition_of(scope, self._cluster.partitions) if partition is None else partition
        self._pending += 1
        try:
            producer = self._producer
            if producer is None:
                raise StoreUnavailable("not connected to Kafka")
            kept = await producer.send_and_wait(
                self._cluster.topic, to_message(record), key=scope.encode("utf-8", "surrogatepass"), partition=to
            )
        except MessageSizeTooLargeError as large:
            raise InvalidPayload(f"larger than a record may be: {large}") from large
        except (KafkaError, OSError, AssertionError) as refused:
            self.refusal = f"{type(refused).__name__} {refused}".strip()
            await self._renew(producer)
            raise StoreUnavailable(f"the journal did not take a record: {self.refusal}") from refused
        finally:
            self._pending -= 1
        self.refusal = ""
        return Place(to, int(kept.offset))

    async def _renew(self, failed: AIOKafkaProducer | None) -> None:
        """A producer that has lost a record in the middle of a sequence takes no more: begin another sequence."""
        async with self._renewing:
            if self._producer is not failed or failed is None:
                return
            self._producer = None
            asyncio.create_task(_stop(failed), name="old producer")  # noqa: RUF006 - ends by itself, nobody waits
            while self._producer is None:
                try:
                    await self.start()
                except StoreUnavailable as still:
                    log.warning("journal_unreachable", problem=str(still))
                    await asyncio.sleep(0.5)


async def _stop(producer: AIOKafkaProducer) -> None:
    with suppress(Exception):
        async with asyncio.timeout(REQUEST_TIMEOUT_MS / 1000):
            await producer.stop()
