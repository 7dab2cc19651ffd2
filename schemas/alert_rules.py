"""Rules about alerts: what is added to them from tables, changed or dropped by rule, and which incidents they join.

All of it is part of `schemas.config.Rules`, contents of tables included, so that a replay needs no file.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from schemas.matchers import parse_matchers
from schemas.sections import Name, Seconds, Section
from schemas.vocabulary import Severity

LabelName = Annotated[str, Field(min_length=1, max_length=200)]
Expression = Annotated[str, Field(max_length=4_000)]
"""CEL over `labels`, `annotations`, `severity`, `source` and `status`; `detectors.expressions` checks and runs it."""
Row = dict[LabelName, Annotated[str, Field(max_length=2_000)]]

MOST_RULES = 10_000
MOST_ROWS = 100_000


class Then(Section):
    """What a rule does with the alerts that it is about."""

    drop: bool = False
    """They open nothing and wake nobody: disposition ``dropped_by_rule``, counted and kept in the journal."""
    hold: bool = False
    """They are noise: disposition ``noise``, held back from incidents until the rules let them pass."""
    severity: Severity | None = None
    set: dict[LabelName, Annotated[str, Field(max_length=2_000)]] = {}
    """Labels and the values they get."""
    set_from: dict[LabelName, Expression] = {}
    """Labels and the CEL expressions that make their values; one that cannot (a label is absent) sets nothing."""
    remove: tuple[LabelName, ...] = ()
    """Labels that go."""

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        ends = self.drop + self.hold
        changes = bool(self.severity or self.set or self.set_from or self.remove)
        if ends + changes == 0:
            raise ValueError("expected drop, hold, severity, set, set_from or remove")
        if ends and (changes or ends > 1):
            raise ValueError("drop and hold stand alone: what is dropped or held is not changed as well")
        return self


class AlertRule(Section):
    """One rule about alerts: `when` (CEL) or `match` (matchers) says which, `then` says what. Applied in order."""

    name: Name
    when: Expression = ""
    match: Annotated[str, Field(max_length=4_000)] = ""
    """Matchers as Alertmanager writes them: ``service="shop", severity=~"warn.*"``."""
    then: Then
    why: Annotated[str, Field(max_length=500)] = ""
    """Shown to whoever asks what became of an alert."""

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        if bool(self.when) == bool(self.match):
            raise ValueError("expected when or match, one of them")
        if self.match:
            try:
                parse_matchers(self.match)
            except ValueError as unreadable:
                raise ValueError(f"match: {unreadable}") from None
        return self


class Table(Section):
    """An enrichment table: alerts whose labels `by` are those of a row get the row's other columns as labels."""

    name: Name
    by: Annotated[tuple[LabelName, ...], Field(min_length=1, max_length=8)]
    """The columns that find the row; an alert without one of these labels is left alone."""
    adds: tuple[LabelName, ...] = ()
    """The columns that become labels; empty: all others. A label that the alert has already stays as it is."""
    file: str = ""
    """Where the rows come from, CSV or YAML, beside the file that names it. What is read is kept in `rows`."""
    rows: Annotated[tuple[Row, ...], Field(max_length=MOST_ROWS)] = ()

    @model_validator(mode="after")
    def _rows_fit(self) -> Self:
        known: dict[tuple[str, ...], int] = {}
        for index, row in enumerate(self.rows):
            for name in self.by:
                if not row.get(name):
                    raise ValueError(f"rows[{index}]: has no {name}")
            for name in row:
                if name not in self.by and self.adds and name not in self.adds:
                    raise ValueError(f"rows[{index}].{name}: unknown column; known: {', '.join(self.by + self.adds)}")
            key = tuple(row[name] for name in self.by)
            if key in known:
                raise ValueError(f"rows[{index}]: the same {', '.join(self.by)} as rows[{known[key]}]")
            known[key] = index
        return self


class ServiceDependencies(Section):
    """One service of the map, and the services that it needs to work."""

    service: LabelName
    depends_on: tuple[LabelName, ...] = ()


class CorrelationRule(Section):
    """When alerts that would open an incident join an open one of a related service instead. All of it must hold."""

    name: Name
    labels: tuple[LabelName, ...] = ()
    """Labels that both must have, with equal values."""
    hops: Annotated[int, Field(ge=0, le=5)] | None = 1
    """How many edges of the service map may lie between the two services; 0: the same one; empty: any service."""
    within_s: Annotated[int, Field(ge=1, le=7 * 86_400)] = 900
    """The incident has been open no longer than this."""
    after_change_s: Seconds = 0
    """More than 0: only where a change of one of the two services was reported so recently."""


def unique_names(items: tuple[AlertRule | Table | CorrelationRule, ...], what: str) -> None:
    """Raise ValueError for the second of two with the same name."""
    known: dict[str, int] = {}
    for index, item in enumerate(items):
        if item.name in known:
            raise ValueError(f"{what}[{index}].name: given twice, first as {what}[{known[item.name]}]")
        known[item.name] = index


class AlertRules(Section):
    """The part of the rules that is about single alerts and their relations."""

    alert_rules: Annotated[tuple[AlertRule, ...], Field(max_length=MOST_RULES)] = ()
    """Drop, hold or change alerts before they become incidents, in this order."""
    enrichment: tuple[Table, ...] = ()
    """Tables that add labels: service → module, organisation, owner, tier. Applied before `alert_rules`."""
    service_map: tuple[ServiceDependencies, ...] = ()
    """Which service depends on which."""
    correlation: tuple[CorrelationRule, ...] = ()
    """Alerts join an open incident of a related service by the first rule that holds."""

    @field_validator("alert_rules")
    @classmethod
    def _rule_names(cls, rules: tuple[AlertRule, ...]) -> tuple[AlertRule, ...]:
        unique_names(rules, "alert_rules")
        return rules

    @field_validator("enrichment")
    @classmethod
    def _table_names(cls, tables: tuple[Table, ...]) -> tuple[Table, ...]:
        unique_names(tables, "enrichment")
        return tables

    @field_validator("correlation")
    @classmethod
    def _correlation_names(cls, rules: tuple[CorrelationRule, ...]) -> tuple[CorrelationRule, ...]:
        unique_names(rules, "correlation")
        return rules
