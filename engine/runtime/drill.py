"""The restore drill (R10.2): the newest backup is restored, proven and put to work in a place of its own, and timed."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from time import monotonic

from sqlalchemy import URL, make_url

from engine.runtime.embedded import EmbeddedRuntime
from engine.runtime.judge import replay
from engine.store import Store
from engine.store.backup import Backup, find_backup, prove, restore
from engine.store.database import database_url, open_engine, outages_named
from schemas.commands import RecordDrill
from schemas.errors import TocsinError
from schemas.ports import Parser

ALERT = b'{"title": "TocsinDrill", "severity": "info", "service": "tocsin"}'
ALERT_FORMAT = "generic_json"
NAME = "tocsin_drill"


def run_drill(
    place: Path, live: Store, parsers: Mapping[str, Parser], *, now_ms: int, decide_again: bool = False
) -> RecordDrill:
    """What the drill with the backup at `place` (the newest of a folder) has measured; a failure is its `problem`.

    The RTO runs from the beginning of the restore to the first accepted alert, so with the proof of the whole log and
    without the time that people need; `decide_again` comes after it. The RPO is the age of the oldest record that
    `live` has and the backup has not. The copy is removed again, and nobody is notified. PostgreSQL's is made on the
    server of `live`, whose user must be allowed to create databases. Raises ConfigError where there is no backup.
    """
    _, backup = find_backup(place)
    rpo_ms, began, rto_ms, problem = _rpo_ms(live, backup, now_ms), monotonic(), 0, ""
    try:
        with _scratch(live.engine.url) as url:
            restore(place, url)
            with closing(_opened(url, live)) as store:
                prove(store, backup)
                asyncio.run(_take_an_alert(store, parsers))
                rto_ms = _since(began)
                if decide_again:
                    replay(store, parsers)
    except TocsinError as failed:
        rto_ms, problem = rto_ms or _since(began), str(failed)[:20_000]
    return RecordDrill(
        backup=backup.file, backup_at_ms=backup.at_ms, records=backup.next_offset, events=backup.next_seq,
        head=backup.head, decided_again=decide_again and not problem, rto_ms=rto_ms, rpo_ms=rpo_ms, problem=problem,
    )  # fmt: skip


def _rpo_ms(live: Store, backup: Backup, now_ms: int) -> int:
    lost = next(live.journal(start=backup.next_offset), None)
    return 0 if lost is None else max(now_ms - lost[1].at_ms, 0)


def _opened(url: URL, live: Store) -> Store:
    return Store.open(url.render_as_string(hide_password=False), keys=live.keys, archive=live.archive)


async def _take_an_alert(store: Store, parsers: Mapping[str, Parser]) -> None:
    store.lock_writer()
    runtime = EmbeddedRuntime(store, parsers)
    await runtime.start()
    try:
        await runtime.receive("drill", ALERT_FORMAT, ALERT)
    finally:
        await runtime.stop()


@contextmanager
def _scratch(live: URL) -> Iterator[URL]:
    """A place where nothing is yet, of the kind of `live`; removed afterwards with all that is in it."""
    if live.get_backend_name() == "sqlite":
        with tempfile.TemporaryDirectory(prefix=NAME) as folder:
            yield make_url(f"sqlite:///{folder}/restored.db")
        return
    name = f"{NAME}_{os.getpid()}"
    _on_server(live, f"CREATE DATABASE {name}")
    try:
        yield live.set(database=name)
    finally:
        _on_server(live, f"DROP DATABASE {name}")


def _on_server(live: URL, statement: str) -> None:
    engine = open_engine(database_url(live.render_as_string(hide_password=False)), read_only=False)
    try:
        with outages_named(statement), engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(statement)
    finally:
        engine.dispose()


def _since(began: float) -> int:
    return int((monotonic() - began) * 1000)
