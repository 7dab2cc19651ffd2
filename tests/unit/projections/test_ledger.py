"""Given roll-ups of the intake, the books show every alert once."""

from __future__ import annotations

from hypothesis import given as property_over
from hypothesis import settings
from hypothesis import strategies as st
from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

from projections import create_tables
from projections.ledger import LedgerProjection, balance
from schemas import events as e
from tests.events import EventLog, rolled_up
from tests.unit.projections.conftest import Given


def test_roll_ups_add_up_by_source_and_disposition(given: Given) -> None:
    """What was received is the sum of what became of it."""
    log = EventLog(
        rolled_up({"am": {"opened": 1, "repeated": 5}, "zabbix": {"invalid": 2}}), rolled_up({"am": {"repeated": 4}})
    )
    books = balance(given(LedgerProjection(), log))
    assert books.received == 12
    assert books.by_source == {"am": {"opened": 1, "repeated": 9}, "zabbix": {"invalid": 2}}
    assert books.difference == 0


def test_a_lost_alert_shows(given: Given) -> None:
    """An alert received without a disposition is a difference, which must never be."""
    books = balance(given(LedgerProjection(), EventLog(e.IntakeRolledUp(0, 3, {"am": {"opened": 2}}))))
    assert (books.received, books.difference) == (3, 1)


def test_empty_books_balance(given: Given) -> None:
    """Before the first roll-up everything is zero."""
    books = balance(given(LedgerProjection(), EventLog()))
    assert (books.received, books.by_source, books.difference) == (0, {}, 0)


_counts = st.dictionaries(st.sampled_from(e.DISPOSITIONS), st.integers(0, 10**9), max_size=4)
_roll_ups = st.lists(st.dictionaries(st.sampled_from(["am", "zabbix", "hand"]), _counts, max_size=3), max_size=8)


@settings(max_examples=40, deadline=None)
@property_over(_roll_ups)
def test_books_of_balanced_roll_ups_balance(roll_ups: list[dict[str, dict[e.Disposition, int]]]) -> None:
    """Whatever comes in, the difference is 0 and the total is the sum, also when each roll-up is applied twice."""
    log, projection = EventLog(*map(rolled_up, roll_ups)), LedgerProjection()
    engine = create_engine("sqlite://", poolclass=StaticPool)
    create_tables(engine, [projection])
    with engine.begin() as tx:
        for logged in log.events:
            projection.apply(logged, tx)
            projection.apply(logged, tx)
        books = balance(tx)
    engine.dispose()
    assert books.difference == 0
    assert books.received == sum(sum(counts.values()) for roll_up in roll_ups for counts in roll_up.values())
