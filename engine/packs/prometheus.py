"""Packs as rules for a Prometheus that evaluates them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import yaml

from engine.packs.reading import load_all, overridden
from schemas.packs import Indicator, Level, Override, Pack

_SPELT: Final = {"=": "=="}


def rule_file(pack: Pack, *, packs: Sequence[Pack] = (), overrides: Sequence[Override] = ()) -> str:
    """The pack as a Prometheus rule file: one alert for each level of each indicator, one group for each interval.

    `packs` are those whose indicators a composite may name (default: all of Tocsin's). What Prometheus cannot evaluate
    is named in the head of the file.
    """
    others: Sequence[Pack] = ()
    if any(indicator.source == "composite" for indicator in pack.indicators):
        others = packs or load_all()
    queries = _queries((*others, pack))
    rules = [(one.interval_s, rule) for one in pack.indicators for rule in _rules(pack, one, queries, overrides)]
    groups = [
        {"name": f"{pack.id}-{at}s", "interval": f"{at}s", "rules": [rule for every, rule in rules if every == at]}
        for at in sorted({every for every, _ in rules})
    ]
    left_out = [indicator.id for indicator in pack.indicators if indicator.id not in queries]
    head = f"# Written by `tocsin packs rules {pack.id}`; change the pack, not this file.\n"
    head += "".join(f"# Not for Prometheus: {name}\n" for name in left_out)
    return head + yaml.safe_dump({"groups": groups}, sort_keys=False, allow_unicode=True, width=120)


def alert_name(indicator: Indicator) -> str:
    """The name of the alert: ``TocsinCommitP99Ms`` for ``tocsin.commit_p99_ms``."""
    return "".join(part[0].upper() + part[1:] for part in re.split(r"[._-]+", indicator.id) if part)


def promql(packs: Sequence[Pack]) -> Mapping[str, str]:
    """The PromQL of each indicator that Prometheus can evaluate, by its id."""
    return _queries(packs)


def _queries(packs: Sequence[Pack]) -> dict[str, str]:
    indicators = [indicator for pack in packs for indicator in pack.indicators]
    queries = {one.id: one.query.strip() for one in indicators if one.source == "prometheus"}
    composites = {
        one.id: f"clamp_max({one.combined(lambda name, op, limit: _counted(queries[name], op, limit))}, 1)"
        for one in indicators
        if one.source == "composite" and all(name in queries for name, _, _ in one.conditions())
    }
    return queries | composites


def _counted(query: str, op: str, limit: str) -> str:
    """How many series meet a condition; nothing when none does, so that ``and`` and ``or`` mean what they say."""
    return f"count(({query}) {_SPELT.get(op, op)} {limit})"


def _rules(
    pack: Pack, indicator: Indicator, queries: Mapping[str, str], overrides: Sequence[Override]
) -> Iterator[dict[str, Any]]:
    query = queries.get(indicator.id)
    if query is None:
        return
    own = [override for override in overrides if override.indicator == indicator.id]
    for index, override in enumerate(own):
        if not override.off:
            selected = _beside(f"({query}) {_chosen('and', override)}", own[:index])
            yield from _levels(pack, overridden(indicator, override), selected)
    yield from _levels(pack, indicator, _beside(f"({query})", own) if own else f"({query})")


def _beside(expression: str, overrides: Sequence[Override]) -> str:
    """The series of an expression that no override speaks for."""
    return f"({' '.join([expression, *(_chosen('unless', override) for override in overrides)])})"


def _chosen(word: str, override: Override) -> str:
    """``and`` or ``unless`` the labels are those of the override: a series with these labels is made to compare."""
    series = "vector(1)"
    for label, value in sorted(override.match.items()):
        text = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        series = f'label_replace({series}, "{label}", "{text.replace("$", "$$")}", "", "")'
    return f"{word} on ({', '.join(sorted(override.match))}) {series}"


def _levels(pack: Pack, indicator: Indicator, expression: str) -> Iterator[dict[str, Any]]:
    for level, threshold in indicator.thresholds.items():
        yield {
            "alert": alert_name(indicator),
            "expr": f"{expression} {_SPELT.get(indicator.op, indicator.op)} {threshold:.15g}",
            "for": f"{indicator.hold}s",
            "labels": {
                **indicator.labels,
                "severity": level,
                "pack": pack.id,
                "indicator": indicator.id,
                "requirement": indicator.requirement,
            },
            "annotations": {
                "summary": f"{pack.title.zh}：{indicator.title.zh}",
                "description": _description(indicator, level, threshold),
                "runbook": indicator.runbook,
            },
        }


def _description(indicator: Indicator, level: Level, threshold: float) -> str:
    unit = indicator.unit
    now = '{{ $value | printf "%.4g" }}'
    return (
        f"{indicator.title.zh}：当前 {now} {unit}，阈值 {indicator.op} {threshold:.15g} {unit}。"
        f" {indicator.title.en}: {now} {unit} now, {level} at {indicator.op} {threshold:.15g} {unit}."
    )
