"""Packs read from files, checked with the place of whatever is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import ValidationError

from engine.plain_words import Problem, one_error, read_file, validated
from schemas.errors import ConfigError
from schemas.packs import Indicator, Override, Overrides, Pack

FOLDER: Final = Path(__file__).resolve().parents[2] / "packs"
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


def load_overrides(file: Path, packs: tuple[Pack, ...]) -> tuple[Override, ...]:
    """Thresholds for single instances. Raises ConfigError with file, line and key, also for an unknown indicator."""
    located = read_file(file)
    overrides = validated(Overrides, located, str(file)).overrides
    known = {indicator.id: indicator for pack in packs for indicator in pack.indicators}
    problems = []
    for index, override in enumerate(overrides):
        if override.indicator not in known:
            problems.append(
                Problem(("overrides", index, "indicator"), f"no pack has an indicator {override.indicator}")
            )
            continue
        try:
            overridden(known[override.indicator], override)
        except ValidationError as contradiction:
            problems.append(Problem(("overrides", index), contradiction.errors()[0]["msg"]))
    if problems:
        raise one_error(problems, located, str(file))
    return overrides


def overridden(indicator: Indicator, override: Override) -> Indicator:
    """The indicator with its other thresholds; raises pydantic's ValidationError when they contradict each other."""
    hold = indicator.hold if override.hold is None else override.hold
    given = {key: value for key in ("warn", "crit") if (value := getattr(override, key)) is not None}
    return Indicator.model_validate({**indicator.model_dump(), **given, "hold": f"{hold}s"})
