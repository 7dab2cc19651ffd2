"""The score of a service period, against tables written by hand from the tender's annexes (R12)."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.annexes import ASPECTS, CRITERIA, LEVELS
from schemas.assessment import (
    AssessmentDocumentsReceived,
    Deduction,
    Item,
    Outcome,
    Period,
    Rating,
    ServiceItemJudged,
    Standing,
    Terms,
)
from schemas.assessment_score import counted, digest, if_decided, mean, paid_share, score
from schemas.contracts import Contract

TENDER = (Path(__file__).parents[1] / "payloads/procurement/annexes.txt").read_text().splitlines()
TERMS = Terms(
    "运维合同", "甲公司", "财政厅", "2026-01-01", "2026-06-30", "2026-07-21", ["a", "b", "c"],
    [Item("patrol", "巡检", "每日巡检"), Item("training", "培训", "每季培训")], "1000000.01",
)  # fmt: skip
HOUR = 3_600_000


def deduction(
    name: str, criterion: str, standing: Standing = "confirmed", *, hours: tuple[int, int] = (0, 0)
) -> Deduction:
    """One deduction; an outage lasts over these hours."""
    points = CRITERIA[criterion].points
    return Deduction(name, criterion, points, standing, from_ms=hours[0] * HOUR, to_ms=hours[1] * HOUR)


def period(
    totals: list[int], deductions: list[Deduction] | None = None, outcomes: dict[str, Outcome] | None = None
) -> Period:
    """A period in which these raters gave these sums, at most 65 each."""
    ratings = {f"r{place}": Rating({"support": total}, 1) for place, total in enumerate(totals)}
    items = {
        name: ServiceItemJudged("demo", "2026H1", name, outcome, "报告") for name, outcome in (outcomes or {}).items()
    }
    return Period("demo", "2026H1", TERMS, ratings, items, {one.id: one for one in deductions or []})


@pytest.mark.parametrize(
    ("totals", "expected"),
    [([90, 85, 85], "86.67"), ([100], "100.00"), ([80, 81], "80.50"), ([1, 1, 2, 2, 2, 2, 2, 2], "1.75"), ([], "0")],
)
def test_the_mean_of_the_raters_counts(totals: list[int], expected: str) -> None:
    """R12, annex 1: each rater scores alone and the mean counts, rounded half up to a hundredth."""
    assert mean(totals) == Decimal(expected)


@pytest.mark.parametrize(
    ("total", "share"),
    [("100", "0.5"), ("80", "0.5"), ("79.99", "0.39995"), ("50", "0.25"), ("0", "0")],
)
def test_what_a_score_pays(total: str, share: str) -> None:
    """R12, payment: 80 and more pays the half of the contract, less pays half × score %."""
    assert paid_share(Decimal(total)) == Decimal(share)


@pytest.mark.parametrize(
    ("totals", "outcomes", "accidents", "total", "payment"),
    [
        ([90, 90], {}, [], "90", "500000.01"),
        ([90, 90], {"patrol": "not_done"}, [], "80", "500000.01"),
        ([90, 90], {"patrol": "not_done", "training": "deferred"}, ["一般.4"], "65", "325000.00"),
        ([90, 90], {}, ["重大.3", "重大.4"], "30", "150000.00"),
        ([90, 90], {"patrol": "done"}, ["特大.5"], "0", "0.00"),
    ],
)
def test_whole_periods(
    totals: list[int], outcomes: dict[str, Outcome], accidents: list[str], total: str, payment: str
) -> None:
    """R12: quality, −10 for each item not done, −15, −30 or −100 for accidents; money half up to the cent."""
    found = score(period(totals, [deduction(f"D{n}", one) for n, one in enumerate(accidents)], outcomes))
    assert (found.total, found.payment) == (Decimal(total), Decimal(payment))


def test_extraordinary_accidents_take_100_once() -> None:
    """Annex 3: 特大 takes off 100 for the period, however many; the others each count."""
    found = counted([deduction("A", "特大.3"), deduction("B", "特大.4"), deduction("C", "重大.3")])
    assert [(one.id, one.points) for one in found] == [("A", 100), ("B", 0), ("C", 30)]


def test_outages_at_the_same_time_are_one_accident() -> None:
    """An outage that overlaps a worse one counts with it; one that begins when the other is over counts itself."""
    found = counted([
        deduction("A", "一般.1", hours=(1, 10)), deduction("B", "重大.2", hours=(5, 30)),
        deduction("C", "一般.1", hours=(30, 39)), deduction("D", "一般.1", hours=(40, 0)),
        deduction("E", "一般.2", hours=(99, 108)),
    ])  # fmt: skip
    assert {one.id: (one.points, one.instead) for one in found} == {
        "B": (30, ""), "A": (0, "B"), "C": (15, ""), "D": (15, ""), "E": (0, "D"),
    }  # fmt: skip


def test_only_what_is_confirmed_counts() -> None:
    """Proposed, rejected and appealed deductions take nothing off; what is undecided is counted."""
    found = score(period([65], [deduction("A", "重大.5", "proposed"), deduction("B", "重大.5", "appealed"),
                                deduction("C", "重大.5", "rejected")]))  # fmt: skip
    assert (found.total, found.open_deductions) == (Decimal(65), 2)


def test_late_documents_score_nothing() -> None:
    """Procurement document 9.2: without the documents in time the assessment is 0."""
    late = AssessmentDocumentsReceived("demo", "2026H1", ["年报"], "2026-07-22", True)
    assert score(Period("demo", "2026H1", TERMS, {"a": Rating({"support": 65}, 1)}, documents=[late])).total == 0


def test_what_if_an_appeal_is_upheld() -> None:
    """The score with a deduction rejected, without changing the period."""
    before = period([90], [deduction("A", "重大.5", "appealed"), deduction("B", "一般.6")])
    found = if_decided(before, {"A": "confirmed"}), if_decided(before, {"A": "rejected"}), score(before)
    assert [one.total for one in found] == [Decimal(45), Decimal(75), Decimal(75)]


CRITERION = st.sampled_from(sorted(CRITERIA))
STANDING = st.sampled_from(["proposed", "confirmed", "rejected", "appealed"])


@given(st.lists(st.integers(0, 100), max_size=8), st.randoms(use_true_random=False))
def test_the_order_of_raters_does_not_matter(totals: list[int], random: object) -> None:
    """Any order of the same ratings gives the same mean."""
    shuffled = list(totals)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert mean(shuffled) == mean(totals)


@given(st.lists(st.tuples(CRITERION, STANDING), max_size=12))
def test_deductions_without_outages_sum_up(given_ones: list[tuple[str, Standing]]) -> None:
    """An independent sum: 15 and 30 for each that is confirmed, 100 once; −100 never twice."""
    found = counted([deduction(f"D{n:02}", one, stands) for n, (one, stands) in enumerate(given_ones)])
    confirmed = [one[:2] for one, stands in given_ones if stands == "confirmed"]
    expected = 15 * confirmed.count("一般") + 30 * confirmed.count("重大") + 100 * ("特大" in confirmed)
    assert sum(one.points for one in found) == expected
    assert sum(one.points == 100 for one in found) <= 1


def test_the_digest_names_the_result() -> None:
    """Signatures do not change it, a deduction does."""
    assert digest(period([90])) == digest(period([90])) != digest(period([90], [deduction("A", "一般.6")]))


def test_annexes_have_the_words_of_the_tender() -> None:
    """Every band of annex 1 and every line of annex 3 stands in the tender, and none of the tender's is left out."""
    bands = [band for aspect in ASPECTS for band in aspect.bands]
    lines = [text for level in LEVELS for text in (level.meaning, *level.lines, level.consequence)]
    assert [line for line in TENDER if line[0] in "①②③④"] == bands
    begin, end = TENDER.index("（一）特大事故。"), TENDER.index("附件4：")
    assert [line for line in TENDER[begin:end] if not line.startswith("（")] == lines


CONTRACT = {
    "title": "运维合同", "provider": "甲公司", "purchaser": "财政厅", "raters": ["a"], "handlers": ["h"],
    "items": [{"id": "patrol", "title": "巡检", "content": "每日"}],
    "periods": [{"name": "2026H1", "first": "2026-01-01", "last": "2026-06-30"}],
}  # fmt: skip


def test_documents_are_due_on_the_fifteenth_working_day() -> None:
    """R12: 15 Chinese working days after the period; National Day's holidays and working Saturdays counted."""
    ends = {"2026-06-30": "2026-07-21", "2026-09-30": "2026-10-27", "2025-12-31": "2026-01-22"}
    for last, due in ends.items():
        contract = {**CONTRACT, "periods": [{"name": "P", "first": "2025-01-01", "last": last}]}
        read = Contract.model_validate(contract)
        assert str(read.periods[0].documents_due) == due
        assert Contract.model_validate_json(read.model_dump_json()) == read


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"items": []}, "items"),
        ({"raters": []}, "raters"),
        ({"sum": "-1"}, "sum"),
        ({"periods": [{"name": "A", "first": "2026-01-01", "last": "2026-06-30"},
                      {"name": "B", "first": "2026-06-30", "last": "2026-12-31"}]}, "overlap"),
        ({"periods": [{"name": "A", "first": "2026-07-01", "last": "2026-06-30"}]}, "before first"),
    ],
)  # fmt: skip
def test_contracts_that_cannot_be_assessed_are_refused(change: dict[str, object], said: str) -> None:
    """A contract without items or raters, or with periods that overlap or end before they begin."""
    with pytest.raises(ValidationError, match=said):
        Contract.model_validate({**CONTRACT, **change})
