"""Senders that do not give up, over several scopes and web processes; and the books that must balance afterwards."""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

import httpx2
import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from sqlalchemy import select

from engine.runtime.cluster.sender import from_message
from engine.runtime.judge import replay
from engine.store import Store, partitions, verify_log
from engine.store.tables import JOURNAL
from projections.ledger import balance
from schemas import events as e
from schemas.records import Received, encode_record
from sources import PARSERS
from tests.servers.cluster import TocsinCluster
from tests.servers.tocsin import SOURCES

SENDERS = 4
PAUSE_S = 0.02
SCOPES = tuple(f"site-{number}" for number in range(7))
ENDS = (e.DeliverySucceeded, e.DeliveryFailed, e.DeliveryUnconfirmed, e.DeliveryCancelled)
_REQUEST = re.compile(rb'"request":"(request-\d+)"')
_DELIVERY = re.compile(r"<tocsin\.(.+)\.INC-.+@example\.com>")


@dataclass
class Books:
    """The figures of a run."""

    requests: int = 0
    alerts: int = 0
    commands: int = 0
    undecided_in_time: int = 0
    attempts_without_answer: int = 0
    ended_by_themselves: int = 0
    """Workers that gave up, as they are to where they cannot go on, and were started again."""
    lost: int = 0
    decided_twice: int = 0
    incidents: int = 0
    opened_twice: int = 0
    mails: int = 0
    mails_twice: int = 0
    deliveries: dict[str, int] = field(default_factory=dict)
    records: int = 0
    events: int = 0


@dataclass
class ClusterLoad:
    """A burst against every web process of a cluster. Each alert is one of a kind; one in eight pages."""

    cluster: TocsinCluster
    dice: random.Random
    token: str
    answered: dict[str, list[str]] = field(default_factory=dict)
    """Request → the names of its alerts."""
    sent: dict[str, int] = field(default_factory=dict)
    """Request → how often it was sent."""
    commands: dict[str, str] = field(default_factory=dict)
    """Idempotency key → the type of a command that was answered with 200 or 202."""
    books: Books = field(default_factory=Books)
    surprises: list[str] = field(default_factory=list)
    _numbers: int = 0
    _stopping: bool = False
    _senders: list[asyncio.Task[None]] = field(default_factory=list)
    _reported: list[str] = field(default_factory=list)

    def start(self) -> None:
        """Let the senders begin."""
        self._stopping = False
        self._senders = [asyncio.create_task(self._send_all(number)) for number in range(SENDERS)]

    async def stop(self) -> None:
        """Begin nothing new, and wait until everything that was begun is answered."""
        self._stopping = True
        await asyncio.wait_for(asyncio.gather(*self._senders), 240)

    async def _send_all(self, number: int) -> None:
        web = self.cluster.webs[number % len(self.cluster.webs)]
        async with httpx2.AsyncClient(base_url=web.url, timeout=40) as client:
            while not self._stopping:
                if self.dice.random() < 0.15:
                    await self._ask(client)
                else:
                    await self._send(client)
                await asyncio.sleep(self.dice.uniform(0, PAUSE_S))

    def _next(self) -> int:
        self._numbers += 1
        return self._numbers

    async def _send(self, client: httpx2.AsyncClient) -> None:
        request = f"request-{self._next()}"
        items, names = [], []
        for _ in range(self.dice.randint(1, 4)):
            number = self._next()
            name = f"Fault{number}"
            labels = {"alertname": name, "service": f"svc-{number}", "cluster": self.dice.choice(SCOPES)}
            labels["severity"] = "critical" if number % 8 == 0 else "info"
            items.append({"labels": labels, "annotations": {"request": request}, "status": "firing"})
            names.append(name)
        body = msgspec.json.encode({"version": "4", "alerts": items})
        headers = {"Authorization": f"Bearer {SOURCES['alertmanager']['token']}"}
        while True:
            self.sent[request] = self.sent.get(request, 0) + 1
            answer = await self._attempt(client, "/hooks/alertmanager", headers, content=body)
            if answer is not None:
                break
        if answer.status_code != 202:
            self.surprises.append(f"{request}: {answer.status_code} {answer.text}")
        self.answered[request] = names

    async def _ask(self, client: httpx2.AsyncClient) -> None:
        key = f"command-{self._next()}"
        if not self._reported or self.dice.random() < 0.4:
            command = {"type": "report_incident", "title": key, "severity": "warning",
                       "scope": self.dice.choice(SCOPES)}  # fmt: skip
        else:
            command = {"type": "add_note", "incident": self.dice.choice(self._reported), "text": key}
        headers = {"Authorization": f"Bearer {self.token}", "Idempotency-Key": key}
        while True:
            answer = await self._attempt(client, "/api/v1/commands", headers, json=command)
            if answer is not None and answer.status_code == 202:
                self.books.undecided_in_time += 1
                self.commands[key] = command["type"]
                continue
            if answer is not None:
                break
        if answer.status_code != 200:
            self.surprises.append(f"{key}: {answer.status_code} {answer.text}")
            return
        self.commands[key] = command["type"]
        for event in answer.json()["events"]:
            if event["type"] == "incident_opened":
                self._reported.append(event["data"]["incident"])

    async def _attempt(
        self, client: httpx2.AsyncClient, path: str, headers: Mapping[str, str], **content: Any
    ) -> httpx2.Response | None:
        """The answer, or None where there was none or it was 503: then nobody knows whether it was kept."""
        try:
            answer = await client.post(path, headers=headers, **content)
        except httpx2.TransportError:
            answer = None
        if answer is not None and answer.status_code != 503:
            return answer
        self.books.attempts_without_answer += 1
        await asyncio.sleep(0.1)
        return None


def log_of(store: Store, partition: int) -> list[e.LoggedEvent]:
    """The whole log of one partition."""
    events: list[e.LoggedEvent] = []
    while more := store.log(partition=partition, after=events[-1].seq if events else -1, limit=5000):
        events += more
    return events


def check_books(load: ClusterLoad, mails: Sequence[EmailMessage]) -> Books:
    """Every acknowledged alert decided exactly once, no incident opened twice, no page twice, replay equals the log."""
    books = load.books
    assert load.surprises == []
    with closing(Store.open(load.cluster.database, read_only=True)) as store:
        log: list[e.LoggedEvent] = []
        kept: Counter[str] = Counter()
        for partition in partitions(store):
            report = verify_log(store, partition)
            assert report.fault is None, report.fault
            replay(store, PARSERS, partition=partition)
            log += log_of(store, partition)
            for _, record in store.journal(partition=partition):
                books.records += 1
                if isinstance(record, Received):
                    kept.update({name.decode() for name in _REQUEST.findall(record.body)})
        with store.engine.connect() as connection:
            ledger = balance(connection)
    assert ledger.difference == 0
    _check_alerts(load, log, kept, books)
    _check_commands(load, log)
    _check_pages(log, mails, books)
    books.events = len(log)
    return books


def _check_alerts(load: ClusterLoad, log: Sequence[e.LoggedEvent], kept: Counter[str], books: Books) -> None:
    decided: Counter[str] = Counter()
    opened: Counter[str] = Counter()
    ids: Counter[str] = Counter()
    for logged in log:
        data = logged.event.data
        if isinstance(data, e.IncidentOpened | e.AlertsAttached | e.IncidentReopened):
            for ref in data.alerts:
                decided[msgspec.json.decode(bytes(ref.labels))["alertname"]] += 1
        if isinstance(data, e.IncidentOpened):
            ids[data.incident] += 1
            if data.group_key:
                opened[data.group_key] += 1
    for request, names in load.answered.items():
        books.requests += 1
        books.alerts += len(names)
        books.lost += kept[request] == 0
        books.lost += sum(decided[name] == 0 for name in names)
    books.decided_twice = sum(count > 1 for count in decided.values())
    books.incidents = ids.total()
    books.opened_twice = sum(count > 1 for count in (*opened.values(), *ids.values()))
    assert (books.lost, books.decided_twice, books.opened_twice) == (0, 0, 0), books


def _check_commands(load: ClusterLoad, log: Sequence[e.LoggedEvent]) -> None:
    titles = Counter(one.event.data.title for one in log if isinstance(one.event.data, e.IncidentOpened))
    notes = Counter(one.event.data.text for one in log if isinstance(one.event.data, e.NoteAdded))
    for key, kind in load.commands.items():
        load.books.commands += 1
        count = {"report_incident": titles, "add_note": notes}[kind][key]
        assert count == 1, f"{key} ({kind}) was decided {count} times"


def _check_pages(log: Sequence[e.LoggedEvent], mails: Sequence[EmailMessage], books: Books) -> None:
    ends: dict[str, str] = {}
    for logged in log:
        data = logged.event.data
        if isinstance(data, ENDS):
            assert data.delivery not in ends, f"{data.delivery} has two ends"
            ends[data.delivery] = logged.type.removeprefix("delivery_")
    requested = {one.event.data.delivery for one in log if isinstance(one.event.data, e.DeliveryRequested)}
    assert requested == set(ends), f"without an end: {sorted(requested - set(ends))[:10]}"
    arrived: Counter[str] = Counter()
    for mail in mails:
        found = _DELIVERY.fullmatch(mail["Message-ID"].strip())  # a long one is folded
        assert found, mail["Message-ID"]
        arrived[found[1]] += 1
    books.mails, books.mails_twice = arrived.total(), sum(count > 1 for count in arrived.values())
    assert books.mails_twice == 0, [one for one, count in arrived.items() if count > 1]
    succeeded = {delivery for delivery, end in ends.items() if end == "succeeded"}
    assert succeeded <= set(arrived), "a delivery counts as done and nothing arrived"
    odd = set(arrived) - succeeded - {delivery for delivery, end in ends.items() if end == "unconfirmed"}
    assert not odd, f"something arrived that is neither done nor unconfirmed: {sorted(odd)[:5]}"
    books.deliveries = dict(sorted(Counter(ends.values()).items()))


async def check_topic(cluster: TocsinCluster) -> int:
    """The journal in the database is the topic, record by record; the number of records."""
    places = [TopicPartition(cluster.topic, number) for number in range(cluster.partitions)]
    consumer = AIOKafkaConsumer(bootstrap_servers=cluster.kafka.bootstrap, max_partition_fetch_bytes=8 << 20)
    await consumer.start()
    count = 0
    try:
        consumer.assign(places)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(places)
        topic: dict[int, list[bytes]] = {number: [] for number in range(cluster.partitions)}
        for place, end in ends.items():
            while end and await consumer.position(place) < end:
                for message in (await consumer.getmany(place, timeout_ms=1000)).get(place, []):
                    topic[place.partition].append(encode_record(from_message(message.value, message.timestamp)))
    finally:
        await consumer.stop()
    with closing(Store.open(cluster.database, read_only=True)) as store, store.engine.connect() as connection:
        for number, records in topic.items():
            journal = [encode_record(record) for _, record in store.journal(partition=number)]
            assert journal == records, f"partition {number}: {len(journal)} in the journal, {len(records)} in the topic"
            count += len(records)
        assert connection.execute(select(JOURNAL.c.partition).distinct()).all() is not None
    return count
