"""Given what the log says of holding and releasing, the list of who is held now."""

from __future__ import annotations

from projections.held import HeldProjection, held_counts, held_now
from schemas import events as e
from tests.events import EventLog, alert
from tests.unit.projections.conftest import Given

A, B = alert("A"), alert("B")


def test_who_is_held_stands_there_until_released(given: Given) -> None:
    """An alert is listed with what holds it and the event that says so."""
    by = ["s1", "s2"]
    log = EventLog(e.AlertsHeld("silenced", by, [A, B]), e.AlertsReleased("silenced", by, [B.fingerprint], "ended"))
    (held,) = held_now(given(HeldProjection(), log))
    assert (held.name, held.disposition, held.held_by, held.source) == ("A", "silenced", "s1, s2", "alertmanager")
    assert held.event_id == log.events[0].id


def test_the_last_word_counts(given: Given) -> None:
    """Held otherwise, released and held again: what came last is shown, within one batch too."""
    log = EventLog(
        e.AlertsHeld("silenced", ["s1"], [A, B]),
        e.AlertsReleased("silenced", ["s1"], [A.fingerprint], "healed"),
        e.AlertsHeld("noise", ["noise/n"], [A]),
        e.AlertsHeld("inhibited", ["inhibit/i"], [B], again=True),
    )
    conn = given(HeldProjection(), log)
    assert held_counts(conn) == {"inhibited": 1, "noise": 1}
    assert {one.name: one.held_by for one in held_now(conn)} == {"A": "noise/n", "B": "inhibit/i"}
