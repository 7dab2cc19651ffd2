"""Packs: what is watched on one kind of system, when it is a warning or critical, and what to do then.

Packs are YAML files under `packs/`, read as files. A pack states facts; who evaluates it is another matter.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

Operator = Literal[">", ">=", "<", "<=", "="]
Level = Literal["warning", "critical"]
Origin = Literal[
    "prometheus", "composite", "postgresql", "mysql", "dameng", "redis", "sentinel", "http", "log",
]  # fmt: skip
"""Who can read an indicator: Prometheus, other indicators taken together, or a system asked in its own language."""

_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION: Final = re.compile(r"(\d{1,6})([smhd])")
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_CONDITION: Final = re.compile(r"\{([a-z0-9][a-z0-9_.-]*)\} *(>=|<=|>|<|=) *(-?\d+(?:\.\d+)?)")
_JOINED: Final = re.compile(r"(?:C|and|or|[() ])+")
_REQUIREMENT: Final = re.compile(r"R[1-9]\d?(\.[1-9]\d?)?")
RESERVED_LABELS: Final = frozenset({"alertname", "severity", "pack", "indicator", "requirement"})
"""Labels that the exported rules set themselves."""


def seconds(text: object) -> int:
    """A duration as people write it, in seconds; raises ValueError.

    >>> seconds("30s"), seconds("15m"), seconds("1h")
    (30, 900, 3600)
    """
    found = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError("expected a duration like 30s, 5m, 1h or 1d")
    return int(found[1]) * _UNITS_S[found[2]]


def _said(text: str) -> str:
    if not text.strip():
        raise ValueError("expected a text that is not empty")
    if "{{" in text:
        raise ValueError("expected a text without {{: Prometheus would take it as a template")
    return text


def _numbered(text: str) -> str:
    if not _REQUIREMENT.fullmatch(text):
        raise ValueError("expected the number of a requirement, like R3 or R1.8")
    return text


Text = Annotated[str, AfterValidator(_said)]
Query = Annotated[str, Field(min_length=1)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$", description="lower-case letters, digits, _ . -")]
Threshold = Annotated[float, Field(allow_inf_nan=False)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Title(_Section):
    """A name for people, in both languages."""

    zh: Text
    en: Text


class Indicator(_Section):
    """One figure that is watched: where it comes from, and from which value on it is a warning or critical."""

    id: Name
    """Begins with the id of its pack: ``redis.mem_pct``."""
    title: Title
    source: Origin
    query: Query
    """In the language of its source. Prometheus: PromQL, each series of its result is judged by itself. Databases: SQL
    that gives one number. Composite: ``{redis.hit_pct} < 60 and {db.qps_jump} > 1.5``, with ``or`` and brackets."""
    unit: Annotated[str, AfterValidator(_said)]
    op: Operator
    """How the value stands to a threshold when there is trouble."""
    warn: Threshold | None = None
    crit: Threshold | None = None
    hold: Annotated[int, BeforeValidator(seconds)] = 0
    """How long it must be so, in seconds; in the file a duration like ``30s``."""
    interval_s: Annotated[int, Field(ge=1, le=30)] = 15
    """How often it is looked at; 30 s at most (R2)."""
    labels: dict[str, str] = {}
    """Further labels of the alert."""
    runbook: Name
    """The file in `packs/runbooks/` that says what to do, without ``.md``."""
    requirement: Annotated[str, AfterValidator(_numbered)]
    """The number of the requirement that this indicator serves."""

    @model_validator(mode="after")
    def _can_be_judged(self) -> Self:
        if self.warn is None and self.crit is None:
            raise ValueError("crit: at least one of warn and crit is required")
        if self.warn is not None and self.crit is not None:
            worse = self.warn < self.crit if self.op in (">", ">=") else self.warn > self.crit
            if self.op == "=" or not worse:
                raise ValueError(f"crit: expected a threshold beyond warn, in the direction of {self.op}")
        if self.source == "composite" and not (
            self.conditions() and _JOINED.fullmatch(_CONDITION.sub("C", self.query.strip()))
        ):
            raise ValueError("query: expected conditions like {redis.hit_pct} < 60, joined by and, or and brackets")
        for label in self.labels:
            if not _LABEL.fullmatch(label):
                raise ValueError(f"labels: {label!r} is no name of a label")
            if label in RESERVED_LABELS:
                raise ValueError(f"labels.{label}: is set by the pack itself")
        return self

    def conditions(self) -> tuple[tuple[str, str, str], ...]:
        """Of a composite: each indicator that it looks at, with operator and threshold."""
        return tuple(_CONDITION.findall(self.query)) if self.source == "composite" else ()

    def combined(self, spell: Callable[[str, str, str], str]) -> str:
        """Of a composite: its query with each condition spelt out by `spell(indicator, operator, threshold)`."""
        return _CONDITION.sub(lambda found: spell(found[1], found[2], found[3]), self.query.strip())

    @property
    def thresholds(self) -> dict[Level, float]:
        """The levels that this indicator has, the milder first."""
        levels: dict[Level, float | None] = {"warning": self.warn, "critical": self.crit}
        return {level: threshold for level, threshold in levels.items() if threshold is not None}


class Pack(_Section):
    """Everything that is watched on one kind of system."""

    id: Name
    """The name of its file without ``.yaml``."""
    title: Title
    system: Name
    """What is watched: ``tocsin``, ``redis``."""
    needs: Title | None = None
    """What must be there so that its figures exist: exporters, scrape jobs, rights."""
    indicators: tuple[Indicator, ...]

    @model_validator(mode="after")
    def _ids_are_its_own(self) -> Self:
        if not self.indicators:  # not by min_length, which complains about its length when one indicator is wrong
            raise ValueError("indicators: expected at least 1 item")
        seen: set[str] = set()
        for index, indicator in enumerate(self.indicators):
            if not indicator.id.startswith(f"{self.id}."):
                raise ValueError(f"indicators[{index}].id: expected an id that begins with {self.id}.")
            if indicator.id in seen:
                raise ValueError(f"indicators[{index}].id: {indicator.id} is given twice")
            seen.add(indicator.id)
        return self


class Override(_Section):
    """Other thresholds for some instances, without copying the pack."""

    indicator: Name
    match: Annotated[dict[str, str], Field(min_length=1)]
    """The instances: those whose labels have these values."""
    warn: Threshold | None = None
    """Absent: as in the pack."""
    crit: Threshold | None = None
    hold: Annotated[int | None, BeforeValidator(lambda text: None if text is None else seconds(text))] = None
    off: bool = False
    """Not watched there at all."""

    @field_validator("match")
    @classmethod
    def _names_of_labels(cls, match: dict[str, str]) -> dict[str, str]:
        for label, value in match.items():
            if not _LABEL.fullmatch(label) or not value:
                raise ValueError(f"expected names of labels with values, got {label!r}: {value!r}")
        return match


class Overrides(_Section):
    """A file of overrides; of two for the same instance the first counts."""

    overrides: tuple[Override, ...]


class Promise(_Section):
    """One promise of the contract (R2–R10), and what watches it."""

    id: Name
    requirement: Annotated[str, AfterValidator(_numbered)]
    title: Title
    indicators: tuple[Name, ...] = ()
    otherwise: Title | None = None
    """Where no indicator can: what else keeps it, or that nothing does yet."""

    @model_validator(mode="after")
    def _watched_or_said(self) -> Self:
        if not self.indicators and self.otherwise is None:
            raise ValueError("indicators: expected at least one, or `otherwise`")
        return self


class Promises(_Section):
    """All promises, in the order of the requirements."""

    promises: tuple[Promise, ...]
