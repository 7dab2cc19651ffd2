"""Hundreds of histories in which everything fails that can, and what holds in all of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from engine.core.intake import Intake
from engine.core.settling import Settling
from engine.core.step import Step
from engine.machines import delivery
from engine.runtime.judge import Judge
from engine.runtime.worker import Worker
from notifiers.outbox import Outbox
from schemas import events as e
from tests.simulation.history import Report, play
from tests.simulation.rare import RARE_PATHS

SEEDS = int(os.environ.get("TOCSIN_SIM_SEEDS", "240"))
FULL_RUN = 200
"""Histories that reach every rare path several times over."""
GROUPS = 8


@cache
def _seen() -> Counter[str]:
    return Counter()


@pytest.mark.parametrize("group", range(GROUPS))
def test_every_invariant_holds_in_every_history(group: int) -> None:
    """Nothing answered is lost, nobody is paged twice, the books balance, replay equals the log; see docs."""
    for seed in range(1 + group, 1 + SEEDS, GROUPS):
        report = play(seed)
        _seen().update(report.seen)
        assert not report.violations, report.failure()


def test_every_rare_path_was_taken() -> None:
    """The histories above went through every fault and every rare decision at least once."""
    if SEEDS < FULL_RUN or sum(_seen().values()) == 0:
        pytest.skip(f"coverage is judged over at least {FULL_RUN} histories of the same run")
    assert [path for path in RARE_PATHS if not _seen()[path]] == []


def test_the_same_seed_gives_the_same_history() -> None:
    """Twice in this process, and once in another one with other hashes: the same trace, line by line."""
    seed = 25
    first, second = play(seed), play(seed)
    assert first.trace == second.trace
    program = f"from tests.simulation.history import play; print(play({seed}).digest)"
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    other = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert other.stdout.strip() == first.digest


def test_a_failure_says_how_to_see_it_again() -> None:
    """The report of a broken history names its seed, its last steps and the command that plays it again."""
    trace = [f"line {number}" for number in range(100)]
    report = Report(7, ["the moon is green"], Counter(), trace, "", 0.0, 1, 0, 0)
    told = report.failure()
    assert told.startswith("seed 7: the moon is green")
    assert "line 70\n" in told
    assert "line 69\n" not in told
    assert told.endswith("python -m tests.simulation --seed 7 --trace")


# --- planted bugs: a simulator that finds none of them guards nothing ------------------------------------------------


def _forgets_to_arm(patch: pytest.MonkeyPatch) -> None:
    real = Intake.is_silent

    def is_silent(self: Intake, fingerprint: str, due_ms: int, step: Step) -> Any:
        alert = self._state.alerts.get(fingerprint)
        return None if alert is None or not alert.firing else real(self, fingerprint, due_ms, step)

    patch.setattr(Intake, "is_silent", is_silent)


def _forgets_what_was_ordered(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Judge, "logged_from", lambda self, seq: [])


def _answers_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    real = Worker._answer

    def answer(self: Worker, judged: Any) -> None:
        real(self, judged)

    async def gather(self: Worker, *, real_gather: Any = Worker._gather) -> Any:
        batch = await real_gather(self)
        judged = [(waiting, *self._judge.judge(waiting.record)) for waiting in batch if waiting.answer is not None]
        answer(self, judged)
        self._judge.roll_back()
        return batch

    patch.setattr(Worker, "_gather", gather)


def _sends_again_on_its_own(patch: pytest.MonkeyPatch) -> None:
    real = Outbox._attempt

    async def attempt(self: Outbox, pending: Any, notifier: Any) -> Any:
        report = await real(self, pending, notifier)
        return report if report.outcome == "ok" else await real(self, pending, notifier)

    patch.setattr(Outbox, "_attempt", attempt)


def _sends_the_unknown_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("notifiers.outbox.is_idempotent", lambda notifier: True)


def _cancels_what_is_under_way(patch: pytest.MonkeyPatch) -> None:
    def cancel(pending: delivery.Delivery, reason: str) -> tuple[delivery.DeliveryEvent, ...]:
        return (e.DeliveryCancelled(pending.id, reason),)

    patch.setattr(delivery, "cancel", cancel)


def _forgets_what_was_held(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Settling, "judge_again", lambda self, alerts: None)


PLANTED: tuple[tuple[Callable[[pytest.MonkeyPatch], None], str], ...] = (
    (_forgets_to_arm, "fires and would never expire"),
    (_forgets_what_was_ordered, "is still due: nobody knows of it"),
    (_answers_before_the_commit, "was answered and is not durable"),
    (_sends_again_on_its_own, "a second time"),
    (_sends_the_unknown_again, "a second time"),
    (_cancels_what_is_under_way, "is cancelled under way"),
    (_forgets_what_was_held, "held"),
)


@pytest.mark.parametrize(("plant", "told"), PLANTED, ids=[plant.__name__.strip("_") for plant, _ in PLANTED])
def test_a_planted_bug_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of the first eighty histories ends with the right broken invariant when the product has this bug."""
    plant(monkeypatch)
    first = next((report for seed in range(1, 81) if (report := play(seed)).violations), None)
    assert first is not None
    assert told in first.violations[0]
