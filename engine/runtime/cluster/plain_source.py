"""Records by aiokafka alone: the same crew behind a plain consumer, to measure what Faust adds and costs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from engine.runtime.cluster.crew import Crew
from engine.runtime.cluster.shift import Arrival
from engine.runtime.cluster.topic import client_settings
from schemas.clusters import Cluster
from schemas.errors import StoreUnavailable

COMMIT_S = 2.8
POLL_MS = 200

log = structlog.get_logger(__name__)


class PlainSource(ConsumerRebalanceListener):  # type: ignore[misc]
    """Reads the topic as a member of the group, and feeds the crew. Use `start`, `ended` and `close` in one loop."""

    def __init__(self, cluster: Cluster, crew: Crew) -> None:
        self._cluster, self._crew = cluster, crew
        self.ready = asyncio.Event()
        self._done: dict[int, int] = {}
        self._tasks: list[asyncio.Task[None]] = []
        crew.rewind = self._rewind

    async def start(self) -> None:
        """Join the group; raises StoreUnavailable where no broker answers."""
        cluster = self._cluster
        self._consumer = AIOKafkaConsumer(
            group_id=cluster.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=int(cluster.session_timeout_s * 1000),
            heartbeat_interval_ms=int(max(cluster.session_timeout_s / 5, 0.3) * 1000),
            rebalance_timeout_ms=int(cluster.session_timeout_s * 2000),
            max_poll_interval_ms=1_000_000,
            max_partition_fetch_bytes=max(cluster.max_record_bytes + 65_536, 1 << 20),
            **client_settings(cluster),
        )
        self._consumer.subscribe([cluster.topic], listener=self)
        try:
            await self._consumer.start()
        except (KafkaError, OSError) as unreachable:
            raise StoreUnavailable(f"no Kafka broker answers: {unreachable}") from unreachable
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._hint())]

    async def ended(self) -> None:
        """Return, or raise, when reading has ended by itself."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def close(self) -> None:
        """Leave the group."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._consumer.stop()

    async def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        """The group is being arranged anew."""
        self._crew.revoked()

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """Called before the first message of the new arrangement."""
        await self._crew.assigned([place.partition for place in assigned])
        for partition, offset in (await self._crew.places()).items():
            await self._rewind(partition, offset)
        self.ready.set()

    async def _read(self) -> None:
        while True:
            for place, messages in (await self._consumer.getmany(timeout_ms=POLL_MS)).items():
                for message in messages:
                    arrival = Arrival(
                        place.partition, message.offset, message.timestamp, message.value, self._note(message)
                    )
                    await self._crew.put(arrival)

    def _note(self, message: Any) -> Any:
        def done() -> None:
            self._done[message.partition] = max(self._done.get(message.partition, 0), message.offset + 1)

        return done

    async def _hint(self) -> None:
        """Tell the group how far we are, for whoever looks at its lag."""
        while True:
            await asyncio.sleep(COMMIT_S)
            done, self._done = self._done, {}
            ours = self._consumer.assignment()
            offsets = {TopicPartition(self._cluster.topic, number): upto for number, upto in done.items()}
            offsets = {place: upto for place, upto in offsets.items() if place in ours}
            if offsets:
                try:
                    await self._consumer.commit(offsets)
                except KafkaError as refused:
                    log.info("hint_not_taken", problem=str(refused))

    async def _rewind(self, partition: int, offset: int) -> None:
        place = TopicPartition(self._cluster.topic, partition)
        if place in self._consumer.assignment():
            self._consumer.seek(place, offset)
