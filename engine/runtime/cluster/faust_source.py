"""Records by Faust: an application without tables and with one agent, whose only work is to hand messages on.

What keeps it safe (docs/decisions): messages are raw bytes, are acknowledged only after their commit, never taken in
`take` (an exception there loses the batch), and reading begins where the database says, not where the group's offsets
say, which are a hint.
"""

from __future__ import annotations

import asyncio
import tempfile
from functools import partial
from typing import Any

import faust
import structlog
from faust.types import TP

from engine.runtime.cluster.crew import Crew
from engine.runtime.cluster.shift import Arrival
from engine.runtime.cluster.topic import tls_context
from schemas.clusters import Cluster

START_S = 60.0

log = structlog.get_logger(__name__)


class FaustSource:
    """Reads the topic as a member of the group, and feeds the crew. Use `start`, `ended` and `close` in one loop."""

    def __init__(self, cluster: Cluster, crew: Crew) -> None:
        self._cluster, self._crew = cluster, crew
        self._folder = tempfile.TemporaryDirectory(prefix="tocsin-faust-")
        self.app = self._application()
        self.ready = asyncio.Event()
        self._closing = False
        crew.rewind = self._rewind

    def _application(self) -> faust.App:
        cluster = self._cluster
        app = faust.App(
            cluster.group,
            broker=[f"kafka://{server}" for server in cluster.bootstrap_servers],
            broker_credentials=_credentials(cluster),
            store="memory://",
            datadir=self._folder.name,
            topic_partitions=cluster.partitions,
            topic_replication_factor=cluster.replication,
            topic_allow_declare=False,
            topic_disable_leader=True,
            broker_session_timeout=cluster.session_timeout_s,
            broker_heartbeat_interval=max(cluster.session_timeout_s / 5, 0.3),
            broker_rebalance_timeout=cluster.session_timeout_s * 2,
            broker_request_timeout=max(cluster.session_timeout_s * 3, 40.0),
            broker_commit_interval=2.8,
            broker_max_poll_interval=1000.0,
            consumer_auto_offset_reset="earliest",
            consumer_max_fetch_size=max(cluster.max_record_bytes + 65_536, 1 << 20),
            stream_wait_empty=False,
            stream_buffer_maxsize=1024,
            web_enabled=False,
            worker_redirect_stdouts=False,
        )
        topic = app.topic(
            cluster.topic, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw",
            partitions=cluster.partitions,
        )  # fmt: skip

        async def hand_on(stream: Any) -> None:
            async for event in stream.noack().events():
                message = event.message
                await self._crew.put(
                    Arrival(
                        message.partition, message.offset, int(message.timestamp * 1000), message.value,
                        partial(stream.ack, event),
                    )
                )  # fmt: skip

        app.agent(topic, name="tocsin.hand_on")(hand_on)
        signals: Any = app  # its signals are typed more narrowly than they are called
        signals.on_partitions_assigned.connect(self._assigned, weak=False)
        signals.on_partitions_revoked.connect(self._revoked, weak=False)
        return app

    async def start(self) -> None:
        """Join the group; partitions come a moment later."""
        self.app.finalize()
        async with asyncio.timeout(START_S):
            await self.app.start()

    async def ended(self) -> None:
        """Return when the application has crashed or stopped by itself."""
        await self.app.wait_until_stopped()
        if not self._closing:
            log.error("faust_ended", reason=repr(getattr(self.app, "crash_reason", None)))

    async def close(self) -> None:
        """Leave the group."""
        self._closing = True
        try:
            async with asyncio.timeout(self._cluster.session_timeout_s):
                await self.app.stop()
        except TimeoutError:
            log.warning("faust_does_not_stop")
        self._folder.cleanup()

    # --- the group --------------------------------------------------------------------------------------------------

    async def _assigned(self, app: Any, assigned: Any = None, **_: Any) -> None:
        self._patch_seek()
        ours = [place.partition for place in assigned or () if place.topic == self._cluster.topic]
        await self._crew.assigned(ours)
        self.ready.set()

    async def _revoked(self, app: Any, revoked: Any = None, **_: Any) -> None:
        self._crew.revoked()

    def _patch_seek(self) -> None:
        """Faust seeks to the group's offsets after each assignment; behind that, seek to where the database is."""
        consumer: Any = self.app.consumer
        if hasattr(consumer, "tocsin_perform_seek"):
            return
        consumer.tocsin_perform_seek = consumer.perform_seek

        async def perform_seek() -> None:
            await consumer.tocsin_perform_seek()
            ours = {place.partition for place in consumer.assignment() if place.topic == self._cluster.topic}
            for partition, offset in (await self._crew.places()).items():
                if partition in ours:
                    await self._rewind(partition, offset)

        consumer.perform_seek = perform_seek

    async def _rewind(self, partition: int, offset: int) -> None:
        place = TP(self._cluster.topic, partition)
        consumer: Any = self.app.consumer
        if place not in consumer.assignment():
            return
        await consumer.seek(place, offset)
        consumer._committed_offset[place] = offset  # else commits wait for ever for what is skipped


def _credentials(cluster: Cluster) -> Any:
    context = tls_context(cluster)
    if cluster.security.startswith("sasl"):
        return faust.SASLCredentials(
            username=cluster.username,
            password=cluster.password.get_secret_value() if cluster.password else "",
            ssl_context=context,
            mechanism=cluster.sasl_mechanism,
        )
    return faust.SSLCredentials(context) if context is not None else None
