"""A whole cluster as processes of this machine: workers and web processes on a real Kafka and a real PostgreSQL."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path
from typing import Any, Self

import yaml
from sqlalchemy import func, select

from engine.store import Store, partitions
from projections.projection import checkpoints
from tests.servers.kafka import Kafka
from tests.servers.process import PATIENCE_S, Process, eventually
from tests.servers.tocsin import COMMAND, Tocsin

SESSION_S = 3


class TocsinCluster:
    """`webs` web processes and `workers` workers. `async with TocsinCluster(folder, …) as cluster:` starts them."""

    def __init__(
        self, folder: Path, kafka: Kafka, database: str, *, workers: int = 2, webs: int = 1, **sections: Any
    ) -> None:
        """With `gated`, the first worker reaches the broker through the gate at this port."""
        self.folder, self.kafka, self.database = folder, kafka, database
        self._gated = sections.pop("gated", None)
        self._kept_back: set[int] = set()
        settings = {
            "bootstrap_servers": [kafka.bootstrap],
            "topic": f"tocsin.journal.{folder.name}", "group": f"workers.{folder.name}", "partitions": 4,
            "replication": 1, "min_insync": 1, "session_timeout_s": SESSION_S,
        } | sections.pop("cluster", {})  # fmt: skip
        self.topic: str = settings["topic"]
        self.partitions: int = settings["partitions"]
        self.webs = [
            Tocsin(folder / f"web-{number}", database, cluster=settings | {"worker": f"web-{number}"}, **sections)
            for number in range(webs)
        ]
        self.workers: list[Process] = []
        for _ in range(workers):
            self.add_worker()

    def add_worker(self) -> Process:
        """One more worker, not started yet."""
        folder = self.folder / f"worker-{len(self.workers)}"
        folder.mkdir(parents=True)
        settings = yaml.safe_load(self.webs[0].config.read_text("utf-8"))
        settings["cluster"]["worker"] = folder.name
        if self._gated and not self.workers:
            settings["cluster"]["bootstrap_servers"] = [f"127.0.0.1:{self._gated}"]
        config = folder / "tocsin.yaml"
        config.write_text(yaml.safe_dump(settings), "utf-8")
        worker = Process(folder.name, (*COMMAND, "worker", "--config", str(config)), folder / "worker.log")
        self.workers.append(worker)
        return worker

    def keep_back(self, *numbers: int) -> None:
        """Do not start these workers with the rest."""
        self._kept_back |= set(numbers)

    async def __aenter__(self) -> Self:
        try:
            made = await self.webs[0].cli("cluster", "init")
            assert made.code == 0, made
            for number, worker in enumerate(self.workers):
                if number not in self._kept_back:
                    worker.start()
            await asyncio.gather(*(web.start() for web in self.webs))
        except BaseException:
            self.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End every process of it."""
        for process in (*self.workers, *(web.process for web in self.webs)):
            process.stop()

    @property
    def web(self) -> Tocsin:
        """The first web process."""
        return self.webs[0]

    async def decided(self, timeout_s: float = 2 * PATIENCE_S) -> None:
        """Wait until every record of the topic is decided."""

        async def nothing_left() -> bool:
            ran = await self.web.cli("cluster", "lag", "--json")
            return ran.code == 0 and '"lag": 0,' in ran.out

        await eventually(nothing_left, "every record to be decided", timeout_s=timeout_s, every_s=0.5)

    async def shown(self, timeout_s: float = PATIENCE_S) -> None:
        """Wait until the read models show the whole log."""

        def look() -> bool:
            with closing(Store.open(self.database, read_only=True)) as store, store.engine.connect() as connection:
                column = checkpoints.c
                query = select(column.partition, func.min(column.position)).group_by(column.partition)
                at = {row[0]: row[1] for row in connection.execute(query)}
                return all(at.get(number, -1) == store.position(number).next_seq - 1 for number in partitions(store))

        await eventually(lambda: asyncio.to_thread(look), "the read models to show the log", timeout_s=timeout_s)
