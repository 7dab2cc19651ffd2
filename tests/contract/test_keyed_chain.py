"""The keyed chain on SQLite and PostgreSQL: which links were made with which algorithm, and what no forger can do."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from engine.chain import PLAIN, Chain, Envelope, Position
from engine.runtime.judge import Judge, replay
from engine.store import Keyring, Store, verify_log
from engine.store.rows import event_row
from schemas import records as r
from schemas.errors import ConcurrencyConflict, ConfigError
from tests.batches import entries, tamper
from tests.scenario import NOON, PARSERS

KEY = b"a key of the auditor's own"
KEYED = Chain("hmac-sm3", KEY)
SM3 = Keyring("hmac-sm3", KEY)


def grown(url: str, keys: Keyring, *counts: int) -> Position:
    """Open the store with these keys, append so many events, close it; where it ends now."""
    store = Store.open(url, keys=keys)
    try:
        made, end = entries(store.position(), *counts, chain=store.chain)
        store.append(made)
    finally:
        store.close()
    return end


@pytest.fixture
def mixed(url: str) -> str:
    """A log with events 0–2 under SHA-256, 3–4 under HMAC-SM3 and 5 under SHA-256 again."""
    grown(url, Keyring(), 3)
    grown(url, SM3, 1, 0)
    grown(url, SM3, 1)
    grown(url, Keyring("sha256", KEY), 1)
    return url


def verified(url: str, keys: Keyring) -> str | None:
    """What `verify_log` finds wrong."""
    store = Store.open(url, read_only=True, keys=keys)
    try:
        return verify_log(store).fault
    finally:
        store.close()


def test_a_change_of_algorithm_holds_from_its_event_on(mixed: str) -> None:
    """The log names which links were made with which algorithm, and every link holds."""
    store = Store.open(mixed, keys=SM3)
    spans = [(start, chain.algorithm) for start, chain in store.chains().spans]
    assert spans == [(0, "sha256"), (3, "hmac-sm3"), (5, "sha256")]
    assert store.log()[4].hash == KEYED.link(store.log()[3].hash, Envelope.of(store.log()[4]))
    store.close()
    assert verified(mixed, Keyring("sha256", KEY)) is None


def test_without_its_key_the_log_is_neither_read_as_true_nor_written(mixed: str) -> None:
    """No key and another key are told apart from tampering, and nobody can append."""
    for keys in (Keyring(), Keyring("hmac-sm3", b"another key of some length")):
        with pytest.raises(ConfigError, match=r"store\.chain_key"):
            verified(mixed, keys)
        with pytest.raises(ConfigError, match=r"store\.chain_key"):
            grown(mixed, keys, 1)
        store = Store.open(mixed, keys=keys)
        with pytest.raises(ConfigError, match=r"store\.chain_key"):
            store.lock_writer()
        store.close()
    assert verified(mixed, Keyring("sha256", KEY)) is None


def test_an_altered_event_cannot_be_chained_again_without_the_key(url: str) -> None:
    """Who has the database but not the key can compute SHA-256 anew, and is found out at the first keyed event."""
    end = grown(url, SM3, 3)
    store = Store.open(url, keys=SM3)
    forged = PLAIN.extend(Position(), 0, 0, [logged.event for logged in store.log()])
    head = forged[-1].hash.hex()
    blob = "'\\x{}'::bytea" if store.engine.dialect.name == "postgresql" else "x'{}'"
    rehash = "; ".join(
        f"UPDATE events SET hash = {blob.format(event_row(each)[-1].hex())} WHERE seq = {each.seq}" for each in forged
    )
    tamper(store, "events", "update", f"{rehash}; UPDATE checkpoints SET head = {blob.format(head)}")
    store.close()
    assert "event 0 (0-0-0) was altered" in str(verified(url, SM3))
    store = Store.open(url, keys=SM3)
    tamper(store, "chains", "delete", "DELETE FROM chains")
    store.close()
    assert "somebody has made the log again without the key" in str(verified(url, SM3))
    assert end.next_seq == 3


@pytest.mark.parametrize(
    ("change", "statement", "told"),
    [
        ("update", "UPDATE chains SET from_seq = 1 WHERE number = 0", "was not made by Tocsin"),
        ("update", "UPDATE chains SET algorithm = 'sha256', key_id = '' WHERE number = 0", "was not made by Tocsin"),
        ("delete", "DELETE FROM chains WHERE number = 0", "rows were removed"),
        ("delete", "DELETE FROM chains WHERE number = 1", "event 5 .* was altered"),
        ("delete", "DELETE FROM chains", "event 3 .* was altered"),
    ],
)
def test_the_record_of_the_algorithms_cannot_be_changed_unseen(
    mixed: str, change: str, statement: str, told: str
) -> None:
    """A row about an algorithm that was altered or removed is found."""
    store = Store.open(mixed, keys=SM3)
    tamper(store, "chains", change, statement)
    store.close()
    fault = verified(mixed, Keyring("sha256", KEY))
    assert fault is not None
    assert re.search(told, fault)


@pytest.mark.parametrize("statement", ["UPDATE chains SET from_seq = 0", "DELETE FROM chains"])
def test_the_database_refuses_change_of_the_algorithms(mixed: str, statement: str) -> None:
    """The record of the algorithms is append-only like the log."""
    store = Store.open(mixed, keys=SM3)
    with pytest.raises(DBAPIError, match="chains is append-only"), store.writing() as connection:
        connection.execute(text(statement))
    store.close()


def test_events_under_another_chain_are_refused(url: str) -> None:
    """A batch whose first link was not made with the chain in force is a conflict and leaves nothing."""
    store = Store.open(url, keys=SM3)
    with pytest.raises(ConcurrencyConflict, match="not chained"):
        store.append(entries(Position(), 1)[0])
    assert store.position() == Position()
    store.close()


def test_a_keyed_journal_decided_again_gives_the_keyed_log(url: str) -> None:
    """The judge chains with the store's own algorithm, and replay follows its changes."""
    for keys in (Keyring(), SM3):
        store = Store.open(url, keys=keys)
        judge = Judge(store, PARSERS)
        at_ms = NOON + judge.position.next_offset
        report = b'{"type":"report_incident","title":"slow"}'
        store.append([judge.judge(r.Commanded(at_ms, f"c{at_ms}", "user:li", report))[0]])
        judge.committed()
        assert replay(store, PARSERS).books() == {}
        assert verify_log(store).fault is None
        store.close()
