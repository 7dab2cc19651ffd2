"""What must hold after any number of crashes, counted here from the journal's bodies and not by Tocsin."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from email.message import EmailMessage
from typing import Any

import msgspec
from sqlalchemy import select

from engine.bootstrap import decide_again, projector
from engine.cli.log import events_after
from engine.config import load
from engine.store import Store
from projections import ALL
from projections.ledger import balance
from schemas import events as e
from schemas.records import Received
from tests.integration.crash_load import Load
from tests.servers.tocsin import Tocsin

_REQUEST = re.compile(rb'"request":"(request-\d+)"')
_DELIVERY = re.compile(r"<tocsin\.(INC-\d+\.\d+)\.INC-\d+\.\d+@example\.com>")

ENDS = (e.DeliverySucceeded, e.DeliveryFailed, e.DeliveryUnconfirmed, e.DeliveryCancelled)


class Found(msgspec.Struct):
    """The figures of one run. `copies` are bodies that are there twice because nobody answered the first."""

    answered_requests: int = 0
    answered_alerts: int = 0
    answered_commands: int = 0
    unanswered_attempts: int = 0
    copies: int = 0
    lost: int = 0
    deliveries: dict[str, int] = {}
    mails: int = 0
    mails_twice: int = 0
    events: int = 0


def bodies_of(store: Store) -> dict[int, Received]:
    """Every body in the journal, by its offset."""
    return {offset: record for offset, record in store.journal() if isinstance(record, Received)}


def events_of(store: Store) -> list[e.LoggedEvent]:
    """The whole log."""
    return list(events_after(store, -1))


def check_requests(load_: Load, bodies: dict[int, Received], found: Found) -> None:
    """Every answered body is in the journal, where the answer said; none is there oftener than it was sent."""
    kept: Counter[str] = Counter()
    for record in bodies.values():
        name = _REQUEST.search(record.body)
        assert name, f"a body that nobody sent: {record.body[:200]!r}"
        kept[name[1].decode()] += 1
    assert set(kept) <= {sent.name for sent in load_.sent}
    for sent in load_.sent:
        found.answered_requests += sent.answered
        found.answered_alerts += sent.alerts * sent.answered
        found.unanswered_attempts += sent.attempts - sent.answered
        found.lost += sent.answered and not kept[sent.name]
        found.copies += max(0, kept[sent.name] - 1)
        assert kept[sent.name] <= sent.attempts, f"{sent.name}: sent {sent.attempts} times, kept {kept[sent.name]}"
        if sent.offset is not None:
            assert bodies[sent.offset].body == sent.body, f"{sent.name} is not at offset {sent.offset}"
            assert bodies[sent.offset].source == sent.source
    assert found.lost == 0, f"{found.lost} answered requests are not in the journal"


def check_commands(load_: Load, log: Sequence[e.LoggedEvent], found: Found) -> None:
    """Every answered command's events are in the log as they were told, and each command was decided once."""
    by_id = {logged.id: logged for logged in log}
    titles = Counter(one.event.data.title for one in log if isinstance(one.event.data, e.IncidentOpened))
    notes = Counter(one.event.data.text for one in log if isinstance(one.event.data, e.NoteAdded))
    for asked in load_.asked:
        found.unanswered_attempts += asked.attempts - (asked.events is not None)
        found.answered_commands += asked.events is not None
        for told in asked.events or ():
            logged = by_id.get(told["id"])
            assert logged is not None, f"{asked.key}: event {told['id']} was answered and is not in the log"
            assert (logged.type, logged.event.subject) == (told["type"], told["subject"])
            assert msgspec.json.decode(e.encode_data(logged.event.data)).items() <= told["data"].items()
        decided = {"report_incident": titles, "add_note": notes}.get(asked.command["type"])
        if decided is not None and asked.status == 200:
            assert decided[asked.key] == 1, f"{asked.key} ({asked.attempts} attempts) was decided {decided[asked.key]}×"


def recount(bodies: dict[int, Received]) -> dict[str, Counter[str]]:
    """The books, by source, judged by hand: a label set is new once, resolved once, and repeated otherwise."""
    status: dict[str, str] = {}
    books: dict[str, Counter[str]] = {}
    for _, record in sorted(bodies.items()):
        content = msgspec.json.decode(record.body)
        for alert in content if isinstance(content, list) else content["alerts"]:
            name = alert["labels"]["alertname"]
            now = "firing" if alert["endsAt"].startswith("0001") else "resolved"
            before = status.get(name)
            fate = "new" if before is None else "repeated" if before in (now, "resolved") else "resolved"
            books.setdefault(record.source, Counter())[fate] += 1
            status[name] = now if fate != "repeated" else str(before)
    return books


def check_books(store: Store, bodies: dict[int, Received], log: Sequence[e.LoggedEvent]) -> None:
    """The ledger, the journal decided again and the count by hand agree, source by source."""
    by_hand = recount(bodies)
    with store.engine.connect() as connection:
        ledger = balance(connection)
    for books in (ledger.by_source, decide_again(store)):
        told = {source: Counter(page) for source, page in books.items()}
        for page in told.values():
            page["new"] = page.pop("opened", 0) + page.pop("attached", 0)
        assert told == by_hand
    assert (ledger.received, ledger.difference) == (sum(map(Counter.total, by_hand.values())), 0)
    opened = [one.event.data for one in log if isinstance(one.event.data, e.IncidentOpened)]
    by_alerts = sum(data.origin == "alert" for data in opened)
    assert by_alerts == sum(page.get("opened", 0) for page in ledger.by_source.values())


def check_pages(log: Sequence[e.LoggedEvent], mails: Sequence[EmailMessage], found: Found) -> None:
    """Nobody was told the same thing twice, and what may have arrived unrecorded is called unconfirmed."""
    ends: dict[str, str] = {}
    for logged in log:
        if isinstance(logged.event.data, ENDS):
            assert logged.event.data.delivery not in ends
            ends[logged.event.data.delivery] = logged.type.removeprefix("delivery_")
    requested = {one.event.data.delivery for one in log if isinstance(one.event.data, e.DeliveryRequested)}
    assert requested == set(ends), "a delivery has no end"
    arrived: Counter[str] = Counter()
    for mail in mails:
        delivery = _DELIVERY.fullmatch(mail["Message-ID"])
        assert delivery, mail["Message-ID"]
        arrived[delivery[1]] += 1
    found.mails, found.mails_twice = arrived.total(), sum(count > 1 for count in arrived.values())
    assert found.mails_twice == 0, [one for one, count in arrived.items() if count > 1]
    succeeded = {delivery for delivery, end in ends.items() if end == "succeeded"}
    unconfirmed = {delivery for delivery, end in ends.items() if end == "unconfirmed"}
    assert succeeded <= set(arrived), "a delivery counts as done and nothing arrived"
    assert set(arrived) - succeeded <= unconfirmed, "something arrived that is neither done nor unconfirmed"
    found.deliveries = dict(sorted(Counter(ends.values()).items()))


def check_read_models(tocsin: Tocsin) -> None:
    """Every read model has the rows that a rebuild from an empty table gives."""
    settings = load(tocsin.config)
    store = Store.open(tocsin.database)
    try:
        grown = _rows(store)
        again = projector(settings, store)
        for model in ALL(settings.rules.timezone):
            again.rebuild(model.name)
        assert [one.halted for one in again.status() if one.halted] == []
        rebuilt = _rows(store)
    finally:
        store.close()
    assert grown.keys() == rebuilt.keys()
    for table in grown:
        assert grown[table] == rebuilt[table], f"{table} differs from its rebuild"


def _rows(store: Store) -> dict[str, list[Any]]:
    with store.engine.connect() as connection:
        return {
            table.name: sorted(map(repr, connection.execute(select(table)).all()))
            for model in ALL()
            for table in model.tables
        }
