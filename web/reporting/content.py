"""What a report says, as tables of plain figures: the same for every form that it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Literal
from zoneinfo import ZoneInfo

from projections.measures import MEASURES, Cell, Sums
from projections.reporting import IncidentLine, Report
from schemas.config import Language
from web.texts import known, text
from web.view import span

Unit = Literal["count", "ms", "share"]
Words = Callable[..., str]

SUMS_SHOWN = ("opened", "over", "resolved", "reopened", "false_alarm", "merged", "repeat")
CODED = {"origin": "origin", "severity": "severity"}
"""Dimensions whose values are codes of ours, and the texts that tell them."""


@dataclass(frozen=True)
class Figure:
    """A number and what it counts; None where there is nothing to divide by."""

    value: float | None
    unit: Unit


Value = str | Figure


@dataclass(frozen=True)
class Sheet:
    """One table. The last row is the total where `total` says so; `chart` names the columns that are drawn."""

    key: str
    title: str
    columns: tuple[str, ...]
    rows: list[tuple[Value, ...]]
    total: bool = False
    chart: tuple[int, ...] = ()


@dataclass(frozen=True)
class Content:
    """A whole report: its title, what it covers, and its tables."""

    title: str
    facts: list[tuple[str, str]]
    warnings: list[str]
    sheets: list[Sheet]


def content_of(report: Report, language: Language) -> Content:
    """The tables of a report in one language."""
    t = partial(text, language)
    title = t(f"summary.title_{report.period.kind}", period=report.period.name)
    splits = [_table(t, name, cells, report.total) for name, cells in report.splits.items()]
    return Content(title, _facts(t, report), _warnings(t, report), [_key_figures(t, report), _trend(t, report), *splits,
                   _pivot(t, report)])  # fmt: skip


def _facts(t: Words, report: Report) -> list[tuple[str, str]]:
    period, zone = report.period, ZoneInfo(report.timezone)

    def at(ms: int) -> str:
        return datetime.fromtimestamp(ms / 1000, zone).strftime("%Y-%m-%d %H:%M:%S")

    since = report.coverage.log_from_ms
    positions = ", ".join(f"{partition}:{seq}" for partition, seq in report.coverage.positions)
    return [
        (t("summary.period"), f"{period.first_day} – {period.last_day} ({report.timezone})"),
        (t("summary.previous"), f"{report.previous.first_day} – {report.previous.last_day}"),
        (t("summary.made"), at(report.made_ms)),
        (t("summary.log_from"), at(since) if since is not None else "–"),
        (t("summary.position"), positions or "–"),
        (t("summary.counted"), t("summary.counted_how")),
    ]


def _warnings(t: Words, report: Report) -> list[str]:
    coverage, said = report.coverage, []
    if coverage.begins_within:
        said.append(t("summary.begins_within"))
    if coverage.under_way:
        said.append(t("summary.under_way"))
    if coverage.behind:
        said.append(t("summary.behind", count=coverage.behind))
    if coverage.halted:
        said.append(t("summary.halted", reason=coverage.halted))
    unnamed = report.total.opened - report.total.classified
    if unnamed:
        said.append(t("summary.unconfirmed", count=unnamed, of=report.total.opened))
    return said


def _figures(sums: Sums) -> list[Figure]:
    counts = [Figure(getattr(sums, name), "count") for name in SUMS_SHOWN]
    return counts + [Figure(sums.measure(name), unit) for name, (_, _, unit) in MEASURES.items()]


def _names(t: Words) -> list[str]:
    return [t(f"summary.{name}") for name in (*SUMS_SHOWN, *MEASURES)]


def _key_figures(t: Words, report: Report) -> Sheet:
    rows: list[tuple[Value, ...]] = []
    for name, now, before in zip(_names(t), _figures(report.total), _figures(report.before), strict=True):
        change = None if now.value is None or before.value is None else now.value - before.value
        rows.append((name, now, before, Figure(change, now.unit)))
    columns = ("measure", "this_period", "previous", "change")
    return Sheet("summary", t("summary.key_figures"), tuple(t(f"summary.{name}") for name in columns), rows)


def _trend(t: Words, report: Report) -> Sheet:
    table = _table(t, report.period.steps, report.trend, report.total)
    return replace(table, key="trend", title=t("summary.trend"), chart=(1, 2))


def _table(t: Words, by: str, cells: Sequence[Cell], total: Sums) -> Sheet:
    rows: list[tuple[Value, ...]] = [(_told(t, by, cell.keys[0]), *_figures(cell.sums)) for cell in cells]
    rows.append((t("summary.total"), *_figures(total)))
    title = t("summary.by", what=t(f"summary.{by}"))
    return Sheet(by, title, (t(f"summary.{by}"), *_names(t)), rows, total=True, chart=(1,))


def _told(t: Words, by: str, value: str) -> str:
    if not value:
        return t("summary.unnamed")
    if by == "hour":
        return f"{int(value):02}:00"
    code = f"{CODED.get(by, '')}.{value}"
    return t(code) if known(code) else value


def _pivot(t: Words, report: Report) -> Sheet:
    """How many incidents there were of each pair; rows and columns have their totals."""
    count = {cell.keys: cell.sums.opened for cell in report.pivot}
    across = sorted({keys[1] for keys in count})
    rows: list[tuple[Value, ...]] = []
    for down in sorted({keys[0] for keys in count}):
        numbers = [count.get((down, one), 0) for one in across]
        rows.append((_told(t, report.rows_by, down), *_counts([*numbers, sum(numbers)])))
    sums = [sum(number for keys, number in count.items() if keys[1] == one) for one in across]
    rows.append((t("summary.total"), *_counts([*sums, sum(sums)])))
    names = (t(f"summary.{report.rows_by}"), *(_told(t, report.columns_by, one) for one in across), t("summary.total"))
    title = t("summary.cross", rows=t(f"summary.{report.rows_by}"), columns=t(f"summary.{report.columns_by}"))
    return Sheet("pivot", title, names, rows, total=True)


def _counts(numbers: Sequence[int]) -> list[Figure]:
    return [Figure(number, "count") for number in numbers]


def lines_of(lines: Sequence[IncidentLine], language: Language) -> Sheet:
    """The incidents themselves, one a row, for a pivot table of the reader's own."""
    t = partial(text, language)
    names = IncidentLine.__struct_fields__
    rows: list[tuple[Value, ...]] = []
    for line in lines:
        cells: list[Value] = []
        for name in names:
            value = getattr(line, name)
            if name.endswith("_ms"):
                cells.append(Figure(value, "ms"))
            else:
                cells.append(value if isinstance(value, str) else Figure(value, "count"))
        rows.append(tuple(cells))
    return Sheet("incidents", t("summary.incidents"), tuple(t(f"summary.line_{name}") for name in names), rows)


def shown(value: Value, language: Language, *, signed: bool = False) -> str:
    """A value as people read it; `signed` is for changes."""
    if isinstance(value, str):
        return value
    if value.value is None:
        return "–"
    sign = ("-" if value.value < 0 else "+" if value.value > 0 else "") if signed else ""
    size = abs(value.value) if signed else value.value
    if value.unit == "ms":
        return sign + span(partial(text, language), int(size))
    return f"{sign}{size:.1%}" if value.unit == "share" else f"{sign}{size:,.0f}"
