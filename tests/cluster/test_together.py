"""A cluster does what one process does."""

from __future__ import annotations

from pathlib import Path

import msgspec
import psycopg
from aiokafka import AIOKafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType

from engine.runtime.cluster.sender import to_message
from schemas.records import Received
from tests.servers.cluster import TocsinCluster
from tests.servers.kafka import Kafka
from tests.servers.postgres import Postgres
from tests.servers.tocsin import webhook


async def test_an_alert_becomes_an_incident_and_a_command_is_answered(
    tmp_path: Path, kafka: Kafka, postgres: Postgres
) -> None:
    """An alert that one process took is decided by a worker, shown by every web process, and can be acknowledged."""
    async with TocsinCluster(tmp_path, kafka, postgres.new_database(), workers=1) as cluster:
        answer = await cluster.web.send("alertmanager", webhook({"alertname": "Down", "service": "shop"}))
        assert (answer.status_code, answer.json()["decided"]) == (202, False)
        found = await cluster.web.incident(service="shop")
        command = {"type": "acknowledge", "incident": found["incident"]}
        done = await cluster.web.api("/commands", command, key="1")
        assert done["events"][0]["type"] == "incident_acknowledged"
        assert (await cluster.web.api("/commands", command, key="1"))["events"] == []
        await cluster.web.incident(state="acknowledged")
        await _put_a_hole_into_the_topic(cluster)
        noted = await cluster.web.api("/commands", {"type": "add_note", "incident": "INC-1", "text": "behind the hole"})
        assert noted["events"][0]["data"]["text"] == "behind the hole"
        verified = await cluster.web.cli("log", "verify", "--decide-again")
        assert verified.code == 0, verified
        assert "partition 1: " in verified.out
        missing = await cluster.web.cli("incidents", "ack", "INC-99")
        assert missing.code != 0
        await _doctor(cluster)


async def _put_a_hole_into_the_topic(cluster: TocsinCluster) -> None:
    """A transaction's marker takes an offset that no reader ever sees; its record is decided as any other."""
    producer = AIOKafkaProducer(bootstrap_servers=cluster.kafka.bootstrap, transactional_id=cluster.folder.name)
    await producer.start()
    record = Received(1, "script", "generic_json", b'{"title": "sent in a transaction", "service": "hole"}')
    async with producer.transaction():
        await producer.send_and_wait(cluster.topic, to_message(record), partition=0)
    async with producer.transaction():
        await producer.send_and_wait(cluster.topic, b"not a record", partition=0)
    await producer.stop()


async def _doctor(cluster: TocsinCluster) -> None:
    """`tocsin doctor` finds the cluster in order, then a wrong setting, a missing partition and another version."""

    async def found() -> dict[tuple[str, str], str]:
        ran = await cluster.web.cli("doctor", "--json")
        return {(one["check"], one["level"]): one["what"] for one in msgspec.json.decode(ran.out)}

    healthy = await found()
    assert {("topic", "ok"), ("partitions", "ok"), ("versions", "ok"), ("clocks", "ok")} <= set(healthy), healthy
    admin = cluster.kafka.admin()
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, cluster.topic, {"cleanup.policy": "compact"})])
    admin.create_partitions({cluster.topic: cluster.partitions + 1})
    admin.close()
    with psycopg.connect(cluster.database) as connection:
        far = 2**52  # seen all the time, however slow this machine is
        values = ("old", "worker", "0.0.9", 1, "x", 9000, far, far)
        connection.execute("INSERT INTO cluster_members VALUES (%s, %s, %s, %s, %s, %s, %s, %s)", values)
    ill = await found()
    assert "cleanup.policy" in ill["topic", "fail"] or "partitions" in ill["topic", "fail"]
    assert "0.0.9" in ill["versions", "warn"]
    assert "old is +9000 ms" in ill["clocks", "fail"]
    assert "old" in ill["rules", "warn"]
    corrected = await cluster.web.cli("cluster", "init", "--correct")
    assert corrected.code == 1
    assert "partitions" in corrected.out
    assert "cleanup.policy" not in corrected.out
