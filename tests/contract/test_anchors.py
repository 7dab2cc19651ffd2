"""Anchors on SQLite and PostgreSQL: a cut tail and a replaced past show, even where the log holds in itself."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from engine.chain import PLAIN, Position
from engine.store import Keyring, Store, verify_log
from engine.store.anchors import anchor_of, contradiction, place_anchor, read_anchors, write_anchor
from schemas.errors import ConfigError, StoreUnavailable
from schemas.events import Event, NoteAdded
from tests.batches import entries, tamper

NOON = 1_795_348_800_000
"""2026-11-22T12:00:00Z."""


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """A store with events 0–57 in it."""
    opened = Store.open(url)
    opened.append(entries(Position(), *[1] * 58)[0])
    yield opened
    opened.close()


def test_an_anchor_is_one_line_that_names_the_head(store: Store, tmp_path: Path) -> None:
    """Each anchor is added as one JSON line with partition, seq, head, time and algorithm."""
    file = tmp_path / "made" / "anchors.jsonl"
    for at_ms in (NOON, NOON + 1000):
        place_anchor(store, at_ms, file=file)
    first, second = (json.loads(line) for line in file.read_text().splitlines())
    assert first == {
        "partition": 0, "seq": 57, "head": store.position().head.hex(), "at": "2026-11-22T12:00:00+00:00",
        "at_ms": NOON, "algorithm": "sha256",
    }  # fmt: skip
    assert second["at"] == "2026-11-22T12:00:01+00:00"
    assert contradiction(store, read_anchors(file)) is None


def test_a_growing_log_agrees_with_every_older_anchor(store: Store, tmp_path: Path) -> None:
    """Appending contradicts no anchor."""
    file = tmp_path / "anchors.jsonl"
    for _ in range(3):
        place_anchor(store, NOON, file=file)
        store.append(entries(store.position(), 2)[0])
    assert [anchor.seq for anchor in read_anchors(file)] == [57, 59, 61]
    assert contradiction(store, read_anchors(file)) is None


def test_a_cut_tail_is_named(store: Store) -> None:
    """A log that was cut together with its checkpoint holds in itself; the anchor says how far it went."""
    anchor = anchor_of(store, NOON)
    assert anchor is not None
    head = store.log(after=40, limit=1)[0].hash.hex()
    blob = f"'\\x{head}'::bytea" if store.engine.dialect.name == "postgresql" else f"x'{head}'"
    cut = f"DELETE FROM events WHERE seq > 41; UPDATE checkpoints SET next_seq = 42, head = {blob}"
    tamper(store, "events", "delete", cut)
    assert verify_log(store).fault is None
    assert contradiction(store, [anchor]) == (
        "the log ends at seq 41, the anchor of 2026-11-22T12:00:00+00:00 says 57: its tail was cut off"
    )


def test_a_replaced_past_is_named(url: str) -> None:
    """A log that was made again from some event on holds in itself; the anchors say between which events it differs."""
    first = Store.open(url)
    made, end = entries(Position(), *[1] * 3)
    first.append(made)
    anchors = [anchor_of(first, NOON)]
    first.append(entries(end, 1, 1)[0])
    anchors.append(anchor_of(first, NOON + 1))
    other = [Event(0, "user:li", "default", "incident/INC-9", NoteAdded("INC-9", "1", "it never happened"))] * 2
    columns = 'partition, seq, "offset", idx, version, at_ms, type, actor, scope, subject, data, hash'
    forged = PLAIN.extend(Position(3, 3, end.head), 0, 3, other)
    sqlite = first.engine.dialect.name == "sqlite"
    statements = ["DELETE FROM events WHERE seq > 2"]
    for each in forged:
        data, digest = msgspec.json.encode(each.event.data).hex(), each.hash.hex()
        blobs = f"x'{data}', x'{digest}'" if sqlite else f"'\\x{data}'::bytea, '\\x{digest}'::bytea"
        row = f"0, {each.seq}, 3, {each.index}, 1, 0, 'note_added', 'user:li', 'default', 'incident/INC-9', {blobs}"
        statements.append(f"INSERT INTO events ({columns}) VALUES ({row})")
    head = forged[-1].hash.hex()
    blob = f"x'{head}'" if sqlite else f"'\\x{head}'::bytea"
    tamper(first, "events", "delete", "; ".join([*statements, f"UPDATE checkpoints SET head = {blob}"]))
    assert verify_log(first).fault is None
    told = contradiction(first, [anchor for anchor in anchors if anchor])
    assert re.search("the past was replaced, after event 2 .* and not behind event 4", str(told))
    first.close()


def test_an_anchor_names_the_key(url: str) -> None:
    """Under HMAC-SM3 an anchor says so, with the key's id and not the key."""
    store = Store.open(url, keys=Keyring("hmac-sm3", b"a key of the auditor"))
    assert anchor_of(store, NOON) is None
    store.append(entries(Position(), 1, chain=store.chain)[0])
    anchor = anchor_of(store, NOON)
    assert anchor is not None
    assert (anchor.algorithm, anchor.key_id) == ("hmac-sm3", store.chain.key_id)
    store.close()


def test_syslog_gets_the_same_line(store: Store) -> None:
    """The anchor reaches a syslog server as one message; one that is not there is an error."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(60)
        place_anchor(store, NOON, file=None, syslog=f"127.0.0.1:{server.getsockname()[1]}")
        message = server.recv(2000)
    assert b"tocsin: anchor {" in message
    assert store.position().head.hex().encode() in message
    with pytest.raises(StoreUnavailable, match="/nowhere/log"):
        place_anchor(store, NOON, file=None, syslog="/nowhere/log")


def test_a_line_cut_by_a_power_failure_does_no_harm(store: Store, tmp_path: Path) -> None:
    """A line that was cut short is left out and not run into; a finished line that is no anchor is named."""
    file = tmp_path / "anchors.jsonl"
    anchor = anchor_of(store, NOON)
    assert anchor is not None
    write_anchor(file, anchor)
    with file.open("ab") as cut:
        cut.write(b'{"partition":0,"se')
    assert read_anchors(file) == [anchor]
    write_anchor(file, anchor)
    assert read_anchors(file) == [anchor, anchor]
    with file.open("ab") as garbled:
        garbled.write(b'{"partition":0}\n')
    with pytest.raises(ConfigError, match=r"anchors\.jsonl:4"):
        read_anchors(file)


def test_an_anchor_file_that_is_not_text_is_named_by_its_line(tmp_path: Path) -> None:
    """Bytes that are no text are a mistake in the file, not a crash."""
    file = tmp_path / "anchors"
    file.write_bytes(b'{"seq":\xff}\n')
    with pytest.raises(ConfigError, match=r"anchors:1"):
        read_anchors(file)
