"""The shares and the usual numbers by which flapping and storms are known: tables made by hand."""

from __future__ import annotations

import pytest

from detectors.flapping import SLOTS, looks_again_ms, ratio, within
from detectors.storms import Arrivals, line

WINDOW_MS = 1_200_000
SLOT_MS = WINDOW_MS // SLOTS


@pytest.mark.parametrize(
    ("slots", "share"),
    [([], 0.0), (range(20), 1.0), ([19], 0.06), ([0], 0.04), (range(10, 20), 0.553), (range(10), 0.447)],
)
def test_recent_changes_weigh_more(slots: range | list[int], share: float) -> None:
    """As Nagios weighs its 20 places: from 0.8 for the oldest to 1.2 for the newest."""
    at_ms = 100 * WINDOW_MS - 1
    changes = [at_ms - (SLOTS - 1 - slot) * SLOT_MS for slot in slots]
    assert ratio(changes, at_ms, WINDOW_MS) == pytest.approx(share, abs=0.002)


def test_many_changes_in_one_slot_count_once_and_old_ones_not_at_all() -> None:
    """What is remembered is bounded, and the share falls with time alone."""
    changes = within(range(0, 200), 200, WINDOW_MS)
    assert len(changes) == 2 * SLOTS
    assert ratio(changes, 200, WINDOW_MS) == ratio(changes[:1], 200, WINDOW_MS) > 0
    assert within(changes, WINDOW_MS + 1, WINDOW_MS) == ()
    assert ratio(changes, WINDOW_MS + 1, WINDOW_MS) == 0
    assert looks_again_ms(61_000, WINDOW_MS) == 120_000


def test_the_usual_number_is_learned_slowly_and_decays() -> None:
    """A sixteenth of the way with each slot; empty slots count as none, however many at once."""
    arrivals = Arrivals(0)
    for minute in range(200):
        arrivals.learn_many(100, minute * 60_000, 60_000)
    assert 99 <= arrivals.usual <= 100
    arrivals.learn_many(1, 201 * 60_000, 60_000)
    assert 86 <= arrivals.usual <= 94
    arrivals.turn(10**10, 60_000)
    assert arrivals.usual == 0
    assert arrivals.count == 0


def test_a_storm_teaches_nothing_and_its_calm_slots_are_counted() -> None:
    """One loud slot begins the count of calm ones anew."""
    arrivals = Arrivals(0, count=50, usual_milli=7000)
    for slot, (came, calm) in enumerate([(3, 0), (2, 1), (90, 2), (0, 0), (0, 1)], 1):
        arrivals.turn(slot * 1000, 1000, stormy=True, calm_below=10)
        assert (arrivals.calm, arrivals.usual_milli) == (calm, 7000)
        arrivals.count += came
    assert line(arrivals.usual_milli, 5, 10) == 70
