"""The judge over a real store: poison, restarts, replay."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from sqlalchemy import text

from engine.runtime.judge import Judge, ReplayDiffers, replay
from engine.store import Store
from schemas import events as e
from schemas import records as r
from tests.scenario import NOON, PARSERS, alert


def body(*names: str) -> bytes:
    """A body of alerts in the tests' own format."""
    return msgspec.msgpack.encode([alert(name) for name in names])


def received(*names: str, at_ms: int = NOON) -> r.Received:
    """A record of such a body."""
    return r.Received(at_ms, "test", "test", body(*names))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty SQLite store."""
    return Store.open(f"sqlite:///{tmp_path}/tocsin.db")


def commit(store: Store, judge: Judge, *records: r.Record) -> list[e.LoggedEvent]:
    """Judge and commit records."""
    entries = [judge.judge(record)[0] for record in records]
    store.append(entries)
    judge.committed()
    return [logged for entry in entries for logged in entry.events]


def test_a_poisoned_record_is_marked_skipped_and_reported(store: Store) -> None:
    """Poison never blocks: the record is kept, the state before it stands, an incident about Tocsin opens."""
    judge = Judge(store, PARSERS)
    commit(store, judge, received("A"))
    poison = r.Received(NOON, "test", "test", b"boom")
    events = commit(store, judge, received("B"), poison, received("C"))
    kinds = [logged.type for logged in events if not logged.type.startswith("sla")]
    assert kinds == ["alerts_attached", "record_poisoned", "incident_opened", "alerts_attached"]
    opened = next(logged.event.data for logged in events if isinstance(logged.event.data, e.IncidentOpened))
    assert (opened.service, opened.origin) == ("tocsin", "internal")
    assert "ZeroDivisionError" in opened.title
    assert [record for _, record in store.journal()][2] == poison


def test_a_restart_goes_on_where_the_journal_ends(store: Store) -> None:
    """A new judge over the same store has the same state, with poison and without a snapshot or with one."""
    judge = Judge(store, PARSERS)
    commit(store, judge, received("A"), r.Received(NOON, "test", "test", b"boom"), received("B"))
    assert Judge(store, PARSERS).core.snapshot() == judge.core.snapshot()
    store.save_snapshot(judge.snapshot())
    commit(store, judge, received("C"))
    restarted = Judge(store, PARSERS)
    assert restarted.core.snapshot() == judge.core.snapshot()
    assert restarted.position == judge.position == store.position()


def test_what_was_not_committed_is_forgotten(store: Store) -> None:
    """After a refused commit the judge is back at what the store has, and judges on from there."""
    judge = Judge(store, PARSERS)
    commit(store, judge, received("A"))
    before = judge.core.snapshot()
    judge.judge(received("B"))
    assert not judge.is_committed
    judge.roll_back()
    assert judge.is_committed
    assert judge.core.snapshot() == before
    assert commit(store, judge, received("B"))[0].type == "alerts_attached"


def test_replay_equals_the_log(store: Store) -> None:
    """The journal, decided again, gives every event hash by hash, and the same books."""
    judge = Judge(store, PARSERS)
    commit(store, judge, received("A"), r.Received(NOON, "test", "test", b"boom"), received("A", "B"))
    commit(store, judge, r.Tick(NOON + 700_000))
    assert replay(store, PARSERS).books() == judge.core.books()


def test_replay_names_the_record_that_is_decided_otherwise(store: Store) -> None:
    """A journal that was tampered with is found by deciding it again."""
    judge = Judge(store, PARSERS)
    commit(store, judge, received("A"), received("B"))
    forged = r.Received(NOON, "test", "test", body("C"))
    with store.engine.begin() as connection:
        connection.execute(text("DROP TRIGGER IF EXISTS journal_no_update"))
        for (name,) in connection.execute(
            text("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'journal'")
        ).all():
            connection.execute(text(f'DROP TRIGGER "{name}"'))
        packed = b"\x00" + r.encode_record(forged)
        connection.execute(text('UPDATE journal SET body = :body WHERE "offset" = 1'), {"body": packed})
    with pytest.raises(ReplayDiffers) as found:
        replay(store, PARSERS)
    assert found.value.offset == 1
