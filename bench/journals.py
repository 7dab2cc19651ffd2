"""A store filled in process: what the runtime does with a body, without HTTP and without waiting."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from engine.runtime.judge import Judge
from engine.store import Entry, Store
from projections import ALL, Projector, create_tables
from schemas.config import Receiver, Route, Rules
from schemas.events import DeliveryDue
from schemas.records import Attempting, Configured, Delivered, Received, Record, Tick
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


class Past:
    """A past in the making: judges records in order, has every page delivered at once, commits in batches."""

    def __init__(self, store: Store, at_ms: int, *, commit: int = COMMIT, delivers: bool = True) -> None:
        """`delivers` is whether channels answer; without, every page stays due."""
        self._store, self._commit, self._delivers = store, commit, delivers
        self.judge = Judge(store, PARSERS)
        self._entries: list[Entry] = []
        self.take(Configured(at_ms, "system", RULES.canonical()))

    def take(self, record: Record) -> None:
        """The next record, behind a tick when a timer is due before it."""
        due_ms = self.judge.core.next_due_ms()
        if due_ms is not None and due_ms <= record.at_ms:
            self._judge(Tick(record.at_ms))
        self._judge(record)
        if len(self._entries) >= self._commit:
            self.commit()

    def _judge(self, record: Record) -> None:
        entry, decision = self.judge.judge(record)
        self._entries.append(entry)
        for event in decision.events if self._delivers else ():
            if isinstance(due := event.data, DeliveryDue):
                self._judge(Attempting(record.at_ms, due.delivery, due.attempt))
                self._judge(Delivered(record.at_ms, due.delivery, due.attempt, "ok"))

    def commit(self) -> Judge:
        """Append what was judged; the judge."""
        self._store.append(self._entries)
        self.judge.committed()
        self._entries = []
        return self.judge


def fill(store: Store, bodies: Iterable[bytes], at_ms: int, *, commit: int = COMMIT, delivers: bool = False) -> Judge:
    """Judge the bodies, one millisecond after another, and append them; the judge at the end."""
    past = Past(store, at_ms, commit=commit, delivers=delivers)
    for at, body in enumerate(bodies, at_ms):
        past.take(received(body, at))
    return past.commit()


def project(store: Store) -> Projector:
    """Every read model, brought up to the log; the projector, to do it again."""
    models = ALL()
    create_tables(store.engine, models)
    projector = Projector(
        store.writing, lambda part, after, limit: store.log(partition=part, after=after, limit=limit), models
    )  # fmt: skip
    projector.catch_up()
    return projector


def received(body: bytes, at_ms: int) -> Received:
    """A body as the runtime journals it."""
    return Received(at_ms, "prometheus", "alertmanager_v2", body)
