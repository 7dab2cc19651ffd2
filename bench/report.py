"""The report: samples as JSON lines, medians beside their targets as a table, and docs/performance.md from both."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from bench.limits import limit_of

_encode = msgspec.json.encode


class Sample(msgspec.Struct, frozen=True):
    """One run of one case on one subject, in figures whose names end in their units."""

    measure: str
    case: str
    subject: str
    figures: dict[str, float]


class Absent(msgspec.Struct, frozen=True):
    """What could not be measured, and why."""

    measure: str
    subject: str
    reason: str


class Target(msgspec.Struct, frozen=True):
    """What Tocsin's median of a figure shall be: against each peer's (`ratio`), or as it stands."""

    measure: str
    case: str
    figure: str
    sense: Literal["at least", "at most"]
    bound: float
    ratio: bool = False
    peers: str = "alertmanager"
    """Whose figures count for a ratio: those of the subjects whose names begin so."""


class Verdict(msgspec.Struct, frozen=True):
    """A target beside what was measured; `peer` is empty where the figure stands alone."""

    target: Target
    peer: str
    value: float
    met: bool


DURABLE = "half the maximum rate, re-sent, 64 a request, 4 connections"
SHAPES = ("active alerts, 50 an incident", "open incidents, 1 alert each")
MODES = ("re-sent", "new")
TARGETS = (
    Target("ingest", "re-sent, 64 a request, 4 connections", "alerts_per_s", "at least", 3, ratio=True),
    Target("ingest", "re-sent, 64 a request, 4 connections", "cpu_ms_per_1000", "at most", 1 / 6, ratio=True),
    Target("ingest", "new, 64 a request, 4 connections", "alerts_per_s", "at least", 2, ratio=True),
    Target("ingest", "new, 64 a request, 4 connections", "cpu_ms_per_1000", "at most", 1 / 4, ratio=True),
    Target("ingest", "re-sent, 1 a request, 32 connections", "alerts_per_s", "at least", 1, ratio=True),
    Target("ingest", "re-sent, 1 a request, 1 connection", "alerts_per_s", "at least", 0.5, ratio=True),
    Target("ingest", "new, 1 a request, 32 connections", "alerts_per_s", "at least", 1, ratio=True),
    Target("ingest", "new, 1 a request, 1 connection", "alerts_per_s", "at least", 0.5, ratio=True),
    Target(
        "ingest", "re-sent, 64 a request, 4 connections", "alerts_per_s", "at least", 300, ratio=True, peers="alerta"
    ),
    Target("ingest", "new, 64 a request, 4 connections", "alerts_per_s", "at least", 300, ratio=True, peers="alerta"),
    Target("durable", DURABLE, "p99_ms", "at most", 3, ratio=True, peers="bare"),
    Target("paging", "idle", "p99_ms", "at most", 10),
    Target("paging", "with re-sent alerts behind it", "p99_ms", "at most", 1 / 3, ratio=True),
    Target("memory", "100,000 active alerts", "rss_mb", "at most", 1 / 3, ratio=True),
    Target("console", "incident list (GET /)", "p99_ms", "at most", 50),
    Target("console", "incidents over the API, 50 of them", "p99_ms", "at most", 50),
    Target("cold", "snapshot at the head", "first_accepted_s", "at most", 2),
    Target("replay", "journal through the core", "alerts_per_s", "at least", 150_000),
    Target("replay", "log to rebuilt projections", "events_per_s", "at least", 30_000),
    Target("replay", "append, 1,000 events at once", "events_per_s", "at least", 1, ratio=True, peers="eventsourcing"),
    Target("disk", "re-sent", "journal_share_of_raw", "at most", 0.1),
    Target("disk", "new", "journal_share_of_raw", "at most", 0.1),
    *(Target("growth", f"{mode}, {shape}", "most_by_least", "at most", 1.3) for shape in SHAPES for mode in MODES),
)


def line(sample: Sample | Absent) -> str:
    """One sample as a JSON line."""
    return _encode(sample).decode()


def medians(samples: Iterable[Sample]) -> list[Sample]:
    """One sample for each measure, case and subject, in order of appearance, with the median of every figure."""
    runs: dict[tuple[str, str, str], list[Mapping[str, float]]] = {}
    for sample in samples:
        runs.setdefault((sample.measure, sample.case, sample.subject), []).append(sample.figures)
    return [
        Sample(*key, {name: statistics.median(run[name] for run in each) for name in each[0]})
        for key, each in runs.items()
    ]


def verdicts(folded: Sequence[Sample], targets: Sequence[Target] = TARGETS) -> list[Verdict]:
    """Each target that was measured, against each peer that was."""
    found: list[Verdict] = []
    for target in targets:
        shown = {
            each.subject: each.figures[target.figure]
            for each in folded
            if (each.measure, each.case) == (target.measure, target.case) and target.figure in each.figures
        }
        ours = shown.pop("tocsin", None)
        if ours is None:
            continue
        rivals = (
            {peer: figure for peer, figure in shown.items() if figure and peer.startswith(target.peers)}
            if target.ratio
            else {"": 1.0}
        )
        for peer, figure in rivals.items():
            value = ours / figure
            met = value >= target.bound if target.sense == "at least" else value <= target.bound
            found.append(Verdict(target, peer, value, met))
    return found


def number(value: float) -> str:
    """Three figures, thousands apart."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def times(value: float) -> str:
    """A ratio as people say it: 3.2 ×, or 1/6.5."""
    return f"{value:.2g} ×" if value >= 1 else f"1/{1 / value:.2g}" if value else "0"


def verdict_table(found: Sequence[Verdict]) -> list[str]:
    """The targets as a Markdown table."""
    rows = [
        "| measure | case | figure | against | measured | target | |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for each in found:
        target = each.target
        shown = times if target.ratio else number
        rows.append(
            f"| {target.measure} | {target.case} | {target.figure} | {each.peer or '–'} | {shown(each.value)} "
            f"| {target.sense} {shown(target.bound)} | {'met' if each.met else '**not met**'} |"
        )
    return rows


def limits_list(found: Sequence[Verdict]) -> list[str]:
    """What limits each case that misses its target."""
    missed = dict.fromkeys((each.target.measure, each.target.case) for each in found if not each.met)
    if not missed:
        return []
    causes = [f"- {measure}, {case}: {limit_of(measure, case) or 'not known yet.'}" for measure, case in missed]
    return ["", "## What limits the rest", "", *causes]


def figure_tables(folded: Sequence[Sample]) -> list[str]:
    """Every median, one Markdown table per measure."""
    lines: list[str] = []
    for measure in dict.fromkeys(each.measure for each in folded):
        mine = [each for each in folded if each.measure == measure]
        names = list(dict.fromkeys(name for each in mine for name in each.figures))
        lines += [
            "",
            f"## {measure}",
            "",
            f"| case | subject | {' | '.join(names)} |",
            "| --- | --- |" + " --- |" * len(names),
        ]
        for each in mine:
            cells = [number(each.figures[name]) if name in each.figures else "" for name in names]
            lines.append(f"| {each.case} | {each.subject} | {' | '.join(cells)} |")
    return lines


def document(samples: Sequence[Sample], absent: Sequence[Absent], about: Mapping[str, str], intro: str) -> str:
    """docs/performance.md: how it was measured, targets, all medians, what is missing."""
    folded = medians(samples)
    lines = ["# Performance", "", intro, "", "| | |", "| --- | --- |"]
    lines += [f"| {name} | {value} |" for name, value in about.items()]
    found = verdicts(folded)
    lines += ["", "## Targets", "", *verdict_table(found), *limits_list(found), *figure_tables(folded)]
    if absent:
        lines += ["", "## Not measured", ""]
        lines += [f"- {each.measure}, {each.subject}: {each.reason}" for each in absent]
    return "\n".join(lines) + "\n"
