"""Which promises of the contract (R2–R10) are watched, by which indicators, and for which of them there is data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from engine.packs.prometheus import promql
from engine.packs.reading import FOLDER
from engine.plain_words import Problem, one_error, read_file, validated
from schemas.packs import Indicator, Pack, Promise, Promises

State = Literal["watched", "no data", "no rule", "exported", "no evaluator"]
"""``exported``: Prometheus can evaluate it, and was not asked whether it does. ``no evaluator``: it needs a poller that
this version does not have."""


class Watched(NamedTuple):
    """One indicator of a promise and how it stands."""

    indicator: Indicator
    state: State
    series: int | None = None
    """How many series its query has now; None when Prometheus was not asked."""


class Coverage(NamedTuple):
    """One promise and all that watches it."""

    promise: Promise
    watched: tuple[Watched, ...]


def load_promises(packs: Sequence[Pack], folder: Path = FOLDER) -> tuple[Promise, ...]:
    """The promises beside the packs of a folder; none without such a file. Raises ConfigError."""
    file = folder / "promises" / "promises.yaml"
    if not file.is_file():
        return ()
    located = read_file(file)
    promises = validated(Promises, located, str(file)).promises
    known = {indicator.id for pack in packs for indicator in pack.indicators}
    problems = [
        Problem(("promises", index, "indicators", at), f"no pack has an indicator {name}")
        for index, promise in enumerate(promises)
        for at, name in enumerate(promise.indicators)
        if name not in known
    ]
    if problems:
        raise one_error(problems, located, str(file))
    return promises


def covered(
    promises: Sequence[Promise],
    packs: Sequence[Pack],
    series: Mapping[str, int] | None = None,
    ruled: frozenset[str] = frozenset(),
) -> tuple[Coverage, ...]:
    """Each promise with its indicators.

    `series` says how many series the query of an indicator has in the Prometheus that was asked, None: none was asked;
    `ruled` are the indicators whose rules it has loaded.
    """
    by_id = {indicator.id: indicator for pack in packs for indicator in pack.indicators}
    can = promql(packs)

    def stands(name: str) -> Watched:
        indicator = by_id[name]
        if name not in can:
            return Watched(indicator, "no evaluator")
        if series is None:
            return Watched(indicator, "exported")
        count = series.get(name, 0)
        return Watched(indicator, "no rule" if name not in ruled else "watched" if count else "no data", count)

    return tuple(Coverage(promise, tuple(stands(name) for name in promise.indicators)) for promise in promises)
