"""Packs as files: read and checked with places, and exported as rules for a Prometheus that evaluates them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from engine.plain_words import Problem, one_error, read_file, validated
from schemas.errors import ConfigError
from schemas.packs import Indicator, Level, Pack

FOLDER: Final = Path(__file__).resolve().parents[1] / "packs"
"""The packs that come with Tocsin."""


def load(file: Path) -> Pack:
    """The pack of one YAML file; its runbooks lie in `runbooks/` beside it.

    Raises ConfigError with file, line and key of the first problem; its text lists all of them, one per line.
    """
    located = read_file(file)
    pack = validated(Pack, located, str(file))
    problems = [
        Problem(("indicators", index, "runbook"), f"there is no {runbook_file(file.parent, indicator.runbook)}")
        for index, indicator in enumerate(pack.indicators)
        if not runbook_file(file.parent, indicator.runbook).is_file()
    ]
    if pack.id != file.stem:
        problems.append(Problem(("id",), f"expected {file.stem}, as the file is called"))
    if problems:
        raise one_error(problems, located, str(file))
    return pack


def load_all(folder: Path = FOLDER) -> tuple[Pack, ...]:
    """Every pack of a folder, by id. Raises ConfigError for the first one that is wrong, or when there is none."""
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise ConfigError("no pack is there", file=str(folder))
    return tuple(load(file) for file in files)


def load_named(name: str, folder: Path = FOLDER) -> Pack:
    """One pack by its id. Raises ConfigError that lists the packs that there are."""
    known = {file.stem: file for file in sorted(folder.glob("*.yaml"))}
    if name not in known:
        raise ConfigError(f"no pack is called {name}; there are: {', '.join(known) or 'none'}")
    return load(known[name])


def runbook_file(folder: Path, runbook: str) -> Path:
    """Where the text of a runbook lies."""
    return folder / "runbooks" / f"{runbook}.md"


def rule_file(pack: Pack) -> str:
    """The pack as a Prometheus rule file: one alert for each level of each indicator, one group for each interval."""
    intervals = sorted({indicator.interval_s for indicator in pack.indicators})
    groups = [
        {
            "name": f"{pack.id}-{interval_s}s",
            "interval": f"{interval_s}s",
            "rules": [
                rule
                for indicator in pack.indicators
                if indicator.interval_s == interval_s
                for rule in _rules(pack, indicator)
            ],
        }
        for interval_s in intervals
    ]
    head = f"# Written by `tocsin packs rules {pack.id}`; change the pack, not this file.\n"
    return head + yaml.safe_dump({"groups": groups}, sort_keys=False, allow_unicode=True, width=120)


def alert_name(indicator: Indicator) -> str:
    """The name of the alert: ``TocsinCommitP99Ms`` for ``tocsin.commit_p99_ms``."""
    return "".join(part[0].upper() + part[1:] for part in re.split(r"[._-]+", indicator.id) if part)


def _rules(pack: Pack, indicator: Indicator) -> Iterator[dict[str, Any]]:
    for level, threshold in indicator.thresholds.items():
        yield {
            "alert": alert_name(indicator),
            "expr": f"({indicator.query.strip()}) {'==' if indicator.op == '=' else indicator.op} {threshold:.15g}",
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
