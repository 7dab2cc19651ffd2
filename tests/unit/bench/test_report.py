"""The benchmarks' arithmetic: what is written beside a target must be what was measured."""

from __future__ import annotations

import json
import os

import pytest

from bench.meters import cpu_s, memory_mb, percentile
from bench.report import Absent, Sample, Target, document, medians, times, verdicts
from bench.workload import Fleet, post

CASE = ("ingest", "re-sent")
FASTER = Target(*CASE, "alerts_per_s", "at least", 3, ratio=True, peers="peer")
LEANER = Target(*CASE, "cpu_ms_per_1000", "at most", 1 / 6, ratio=True, peers="peer")


def _runs(subject: str, *rates: float, cpu: float = 6.0) -> list[Sample]:
    return [Sample(*CASE, subject, {"alerts_per_s": rate, "cpu_ms_per_1000": cpu}) for rate in rates]


def test_medians_are_taken_per_case_and_subject() -> None:
    """Three runs of two subjects fold into two samples, each with its own median."""
    folded = medians([*_runs("tocsin", 10, 90, 30), *_runs("peer", 1, 2, 3)])
    assert [(each.subject, each.figures["alerts_per_s"]) for each in folded] == [("tocsin", 30), ("peer", 2)]


def test_a_ratio_is_ours_by_theirs_and_judged_against_its_bound() -> None:
    """Thrice the rate meets "at least 3", a quarter of the CPU does not meet "at most 1/6"."""
    folded = medians([*_runs("tocsin", 30), *_runs("peer", 10, cpu=24)])
    faster, leaner = verdicts(folded, (FASTER, LEANER))
    assert (faster.peer, faster.value, faster.met) == ("peer", 3, True)
    assert (leaner.value, leaner.met) == (0.25, False)


def test_a_ratio_without_a_peer_gives_no_verdict_and_a_figure_alone_does() -> None:
    """Nothing is claimed about a peer that did not run."""
    alone = Target(*CASE, "alerts_per_s", "at least", 20)
    found = verdicts(medians(_runs("tocsin", 30)), (FASTER, alone))
    assert [(each.target, each.peer, each.met) for each in found] == [(alone, "", True)]


def test_the_document_says_what_was_not_measured() -> None:
    """Every median, the verdict's word and the reason for each gap stand in the document."""
    samples = [Sample("disk", "new", "tocsin", {"journal_share_of_raw": 0.2})]
    text = document(samples, [Absent("replay", "x", "gone")], {"date": "today"}, "So.")
    assert "| disk | new | journal_share_of_raw | – | 0.2 | at most 0.1 | **not met** |" in text
    assert "- replay, x: gone" in text


@pytest.mark.parametrize(("ratio", "said"), [(3.24, "3.2 ×"), (1.0, "1 ×"), (0.25, "1/4"), (0.0, "0")])
def test_ratios_are_said_as_people_say_them(ratio: float, said: str) -> None:
    """Below one they are fractions."""
    assert times(ratio) == said


def test_percentiles_are_by_nearest_rank() -> None:
    """The 99th of 100 values is the 100th in order from below, and an empty list has none."""
    values = [float(value) for value in range(100, 0, -1)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile([], 0.5)) == (51, 100, 0)


def test_the_workload_is_the_same_for_the_same_seed() -> None:
    """Labels depend on seed and number alone; a round of re-sending changes only the end; the size is as promised."""
    fleet = Fleet(seed=7, base_s=1_790_000_000)
    body, again, later = fleet.body(0, 64), fleet.body(0, 64), fleet.body(0, 64, round_=1)
    assert body == again
    first, renewed = json.loads(body), json.loads(later)
    assert [each["labels"] for each in first] == [each["labels"] for each in renewed]
    assert first[0]["endsAt"] < renewed[0]["endsAt"]
    assert len({json.dumps(each["labels"]) for each in first}) == 64
    assert len(first[0]["labels"]) == 9
    assert 730 <= len(body) / 64 <= 810
    assert post(body).endswith(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))


def test_the_meters_see_this_very_process() -> None:
    """CPU seconds agree with what the system says of this process, and memory is resident."""
    spent = os.times()
    assert cpu_s(os.getpid()) == pytest.approx(sum(spent[:4]), abs=0.1)
    now, peak = memory_mb(os.getpid())
    assert 0 < now <= peak
