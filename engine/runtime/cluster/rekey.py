"""The past decided again over other partitions: from one process to a cluster, or to another number of partitions.

Every record of the old journal goes, in order of time, to the partition where its scope belongs now, and the cores
there decide it. Nothing is sent to anybody. Within a scope the order is that of before; the events must be, too.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter
from collections.abc import Iterator, Mapping

import msgspec
from pydantic import ValidationError
from sqlalchemy import select

from engine.runtime.cluster.claims import begin_cursor
from engine.runtime.cluster.routing import HOME, Cutter, is_for_all, partition_of
from engine.runtime.judge import Judge
from engine.store import Entry, Store, partitions, sibling
from engine.store.rows import event_of
from engine.store.tables import EVENTS
from schemas import events as e
from schemas import records as r
from schemas.commands import COMMAND
from schemas.errors import ConfigError
from schemas.ports import Parser

BATCH = 256
_MOMENT = re.compile(rb'"[a-z_]*_ms":-?\d+')
"""Ticks of another partition may wake a timer some milliseconds earlier: moments are not compared."""


class Rekeyed(msgspec.Struct, frozen=True):
    """What came of it. `differing` names the scopes whose events are not those of before."""

    records: int
    events: int
    scopes: int
    differing: tuple[str, ...]


class Rekeying:
    """From one store, which nobody writes, to another, which is empty."""

    def __init__(self, source: Store, target: Store, parsers: Mapping[str, Parser], cutter: Cutter, into: int) -> None:
        """`into` is the number of partitions from now on. Raises ConfigError where the target is not empty."""
        if partitions(target):
            raise ConfigError("the new database has records already: give an empty one", key="store.url")
        self._source, self._target, self._cutter, self._into = source, target, cutter, into
        self._stores = [sibling(target) for _ in range(into)]
        self._judges = [Judge(store, parsers, partition=number) for number, store in enumerate(self._stores)]
        self._waiting: list[list[Entry]] = [[] for _ in range(into)]
        self._incidents: dict[str, int] = {}
        self._deliveries: dict[str, int] = {}

    def run(self, topic_id: str) -> Rekeyed:
        """Decide everything again; the workers then read on from the beginning of the topic with this id."""
        records = 0
        for record in _in_order(self._source):
            records += 1
            for number, piece in self._homes(record):
                self._decide(number, piece)
        for number, store in enumerate(self._stores):
            self._flush(number)
            store.close()
            begin_cursor(self._target.engine, number, topic_id)
        before, after = _told(self._source), _told(self._target)
        differing = tuple(sorted(scope for scope in before.keys() | after.keys() if before[scope] != after[scope]))
        return Rekeyed(records, sum(sum(one.values()) for one in after.values()), len(after), differing)

    def _homes(self, record: r.Record) -> Iterator[tuple[int, r.Record]]:
        """The partitions that a record is for, each with its part of it."""
        everywhere = range(self._into)
        match record:
            case r.Received():
                for one in self._cutter.cut(record.format, record.body, record.at_ms).pieces:
                    part = r.Received(record.at_ms, record.source, one.format, one.body)
                    yield partition_of(one.scope, self._into), part
            case r.Tick():
                for number in everywhere:
                    due_ms = self._judges[number].core.next_due_ms()
                    if due_ms is not None and due_ms <= record.at_ms:
                        yield number, record
            case r.Configured():
                yield from ((number, record) for number in everywhere)
            case r.Attempting() | r.Delivered():
                yield self._deliveries.get(record.delivery_id, 0), record
            case r.Commanded():
                yield from ((number, record) for number in self._of_command(record))
            case r.Changed():
                yield partition_of(HOME, self._into), record

    def _of_command(self, record: r.Commanded) -> range | tuple[int]:
        try:
            command = COMMAND.validate_json(record.body)
        except ValidationError:
            return (0,)
        if is_for_all(command):
            return range(self._into)
        incident = getattr(command, "incident", None)
        if isinstance(incident, str):
            return (self._incidents.get(incident, 0),)
        return (partition_of(getattr(command, "scope", None) or HOME, self._into),)

    def _decide(self, number: int, record: r.Record) -> None:
        entry, _ = self._judges[number].judge(record)
        for logged in entry.events:
            if isinstance(logged.event.data, e.IncidentOpened):
                self._incidents[logged.event.data.incident] = number
            elif isinstance(logged.event.data, e.DeliveryRequested):
                self._deliveries[logged.event.data.delivery] = number
        self._waiting[number].append(entry)
        if len(self._waiting[number]) >= BATCH:
            self._flush(number)

    def _flush(self, number: int) -> None:
        waiting, self._waiting[number] = self._waiting[number], []
        if waiting:
            self._stores[number].append(waiting, partition=number)
            self._judges[number].committed()


def _in_order(store: Store) -> Iterator[r.Record]:
    """The records of all partitions by time; within a partition, and so within a scope, as they stand."""

    def timed(partition: int) -> Iterator[tuple[int, int, int, r.Record]]:
        latest_ms = 0
        for offset, record in store.journal(partition=partition):
            latest_ms = max(latest_ms, record.at_ms)
            yield latest_ms, partition, offset, record

    for _, _, _, record in heapq.merge(*(timed(number) for number in partitions(store)), key=lambda one: one[:3]):
        yield record


def _told(store: Store) -> Mapping[str, Counter[tuple[str, bytes]]]:
    """By scope, what was decided about incidents and deliveries, without the moments."""
    told: dict[str, Counter[tuple[str, bytes]]] = {}
    with store.engine.connect() as connection:
        for row in connection.execution_options(stream_results=True).execute(select(EVENTS)):
            event = event_of(row).event
            if event.subject.startswith(("incident/", "delivery/")):
                content = _MOMENT.sub(b"", e.encode_data(event.data))
                told.setdefault(event.scope, Counter())[event.subject, content] += 1
    return _Scopes(told)


class _Scopes(dict[str, Counter[tuple[str, bytes]]]):
    def __missing__(self, scope: str) -> Counter[tuple[str, bytes]]:
        return Counter()
