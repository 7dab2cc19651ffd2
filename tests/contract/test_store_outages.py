"""What the store says when its database is wrong, away or full, and that it goes on afterwards."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from engine.store import Position, Store, answering, database, verify_log
from schemas.errors import ConcurrencyConflict, ConfigError, StoreUnavailable
from tests.batches import entries
from tests.servers.cutting_proxy import CuttingProxy
from tests.servers.postgres import Postgres
from tests.servers.process import PATIENCE_S, eventually


def test_a_wrong_address_is_named() -> None:
    """A URL that the store cannot serve is a configuration error that names the setting."""
    for wrong in ("sqlite://", "mysql://root@127.0.0.1/x", "no url", "sqlite:///:memory:"):
        with pytest.raises(ConfigError, match=r"store\.url"):
            Store.open(wrong)


def test_an_unreachable_database_is_an_outage(tmp_path: Path) -> None:
    """Opening what does not answer, cannot be made, is no database or was never written is StoreUnavailable."""
    (tmp_path / "file").write_bytes(b"this is no database" * 100)
    for unreachable in (
        f"sqlite:///{tmp_path}/file/x.db",
        f"sqlite:///{tmp_path}/file",
        "postgresql://x@127.0.0.1:1/x",
    ):
        with pytest.raises(StoreUnavailable):
            Store.open(unreachable)
    with pytest.raises(StoreUnavailable):
        Store.open(f"sqlite:///{tmp_path}/missing.db", read_only=True)
    assert not (tmp_path / "missing.db").exists()


def test_a_full_disk_takes_nothing_and_recovers(tmp_path: Path) -> None:
    """When the file cannot grow, an append is StoreUnavailable and leaves nothing; with room again it succeeds."""
    store = Store.open(f"sqlite:///{tmp_path}/t.db")
    made, middle = entries(Position(), 1)
    store.append(made)
    big, end = entries(middle, *[5] * 2000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    largest = max(path.stat().st_size for path in tmp_path.iterdir())
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 4096, hard))
    try:
        with pytest.raises(StoreUnavailable) as outage:
            store.append(big)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert isinstance(outage.value.__cause__, sqlite3.OperationalError)
    assert store.position() == middle
    store.append(big)
    assert store.position() == end
    assert verify_log(store).fault is None
    store.close()


async def test_a_silent_way_to_the_database_is_an_outage_in_time(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections stand and nothing comes: appends, reads and writes give up in a stated time, and go on afterwards."""

    def limit(seconds: float) -> None:
        for name in ("ANSWER_LIMIT_S", "LONG_LIMIT_S"):
            monkeypatch.setattr(answering, name, seconds)

    limit(PATIENCE_S)
    async with CuttingProxy(postgres.port) as proxy:
        url = proxy.before(postgres.new_database())
        monkeypatch.setattr(database, "CONNECT_TIMEOUT_S", 4)
        store = await asyncio.to_thread(Store.open, url)
        await asyncio.to_thread(store.lock_writer)
        made, middle = entries(Position(), 1)
        await asyncio.to_thread(store.append, made)
        more, end = entries(middle, 2)
        limit(0.5)
        proxy.stall()
        for attempt in (lambda: store.append(more), store.position, lambda: store.writing().__enter__()):
            with pytest.raises(StoreUnavailable):
                await asyncio.to_thread(attempt)
        proxy.heal()
        limit(PATIENCE_S)

        async def taken() -> bool:
            with suppress(StoreUnavailable):  # the server has not noticed yet that the old connection is gone
                await asyncio.to_thread(store.append, more)
                return True
            return False

        await eventually(taken, "the append to be taken")
        assert await asyncio.to_thread(store.position) == end
        await asyncio.to_thread(store.close)


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A PostgreSQL that a test may stop without harm to others."""
    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.remove()


def test_a_commit_that_took_effect_late_is_an_outage_and_no_conflict(postgres: Postgres) -> None:
    """The connection broke, the server committed after the position was read again: read once more and go on."""
    url = postgres.new_database()
    store, server = Store.open(url), Store.open(url)
    store.lock_writer()
    made, middle = entries(Position(), 1)
    store.append(made)
    late, end = entries(middle, 2)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
    with pytest.raises(StoreUnavailable):
        store.append(late)
    assert store.position() == middle
    server.append(late)  # as the server does that finds the COMMIT in its socket
    with pytest.raises(StoreUnavailable, match="after all"):
        store.append(entries(middle, 1, 1)[0])
    store.append(entries(end, 1)[0])
    assert verify_log(store).fault is None
    with pytest.raises(ConcurrencyConflict):
        store.append(entries(end, 1)[0])
    store.close()
    server.close()


def test_a_stopped_server_is_an_outage_and_then_serves_again(own_postgres: Postgres) -> None:
    """While PostgreSQL is down nothing is taken; after its restart the same store goes on, with its lock."""
    postgres, url = own_postgres, own_postgres.new_database()
    store, other = Store.open(url), Store.open(url)
    store.lock_writer()
    made, middle = entries(Position(), 1)
    store.append(made)
    more, end = entries(middle, *[1] * 50)
    postgres.stop()
    try:
        for attempt in (
            lambda: store.append(more),
            lambda: store.append(more),
            lambda: store.position(),
            lambda: store.writing().__enter__(),
        ):
            with pytest.raises(StoreUnavailable):
                attempt()
    finally:
        postgres.start()
    store.append(more)
    assert other.position() == end
    with pytest.raises(ConcurrencyConflict, match="already writes"):
        other.lock_writer()
    store.close()
    other.close()
