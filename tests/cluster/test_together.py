"""A cluster does what one process does."""

from __future__ import annotations

from pathlib import Path

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
