"""A store filled in process: what the runtime does with a body, without HTTP and without waiting."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from engine.runtime.judge import Judge
from engine.store import Store
from schemas.config import Receiver, Route, Rules
from schemas.records import Configured, Received, Record
from sources import PARSERS

COMMIT = 64
"""Records in one transaction: what four busy connections never reach, but a replay does not care."""
RULES = Rules(receivers={"oncall": Receiver(channels=("hook",))}, routes=(Route(receiver="oncall"),))


@contextmanager
def empty_store() -> Iterator[tuple[Store, Path]]:
    """A new SQLite store and its file, gone after the block."""
    with TemporaryDirectory(prefix="tocsin-bench-") as folder:
        path = Path(folder) / "tocsin.db"
        store = Store.open(f"sqlite:///{path}")
        try:
            yield store, path
        finally:
            store.close()


def fill(store: Store, bodies: Iterable[bytes], at_ms: int, *, commit: int = COMMIT) -> Judge:
    """Judge the bodies, one millisecond after another, and append them; the judge at the end."""
    judge = Judge(store, PARSERS)
    records: list[Record] = [Configured(at_ms, "system", RULES.canonical())]
    for at, body in enumerate(bodies, at_ms):
        records.append(received(body, at))
        if len(records) >= commit:
            _commit(store, judge, records)
    _commit(store, judge, records)
    return judge


def received(body: bytes, at_ms: int) -> Received:
    """A body as the runtime journals it."""
    return Received(at_ms, "prometheus", "alertmanager_v2", body)


def _commit(store: Store, judge: Judge, records: list[Record]) -> None:
    store.append([judge.judge(record)[0] for record in records])
    judge.committed()
    records.clear()
