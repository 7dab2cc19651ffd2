"""What the rules make of one alert: its labels and severity afterwards, and whether it is dropped or held.

Rules are found by the labels that they require, never by trying each; expressions run only for those that are found.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from detectors.enrichment import Enrichment
from detectors.expressions import Expression, Subject, compiled, required_labels
from detectors.matchers import Matcher, MatcherIndex, Matchers, parse_matchers
from schemas.alert_rules import AlertRule, AlertRules
from schemas.vocabulary import Severity

Verdict = Literal["pass", "drop", "hold"]

LONGEST_VALUE = 2_000
"""Characters of a value that an expression makes; the rest is cut off."""


class Ruling(msgspec.Struct, frozen=True):
    """What became of an alert by the rules. `rule` is the name of the one that dropped or held it.

    `labels` are those after it, `severity` is what a rule says instead of the labels' own, `applied` the names of all
    rules that were about it, in order.
    """

    verdict: Verdict
    labels: Mapping[str, str]
    severity: Severity | None = None
    rule: str = ""
    why: str = ""
    applied: tuple[str, ...] = ()


class _Ready(msgspec.Struct, frozen=True):
    rule: AlertRule
    condition: Expression | None
    values: tuple[tuple[str, Expression], ...]

    def changed(self, labels: Mapping[str, str], subject: Subject) -> dict[str, str]:
        then = self.rule.then
        after = {**labels, **then.set}
        for name, expression in self.values:
            value = expression.value(subject)
            if value is not None:
                after[name] = value[:LONGEST_VALUE]
        for name in then.remove:
            after.pop(name, None)
        return {name: value for name, value in after.items() if value}


class RuleSet:
    """The rules of one version, ready to run. Raises ExpressionRefused for an expression that cannot be taken."""

    def __init__(self, rules: AlertRules) -> None:
        self._tables = Enrichment(rules.enrichment)
        self._rules: list[_Ready] = []
        self._index: MatcherIndex[int] = MatcherIndex()
        for place, rule in enumerate(rules.alert_rules):
            condition = compiled(rule.when) if rule.when else None
            values = tuple((name, compiled(text, "string")) for name, text in rule.then.set_from.items())
            self._rules.append(_Ready(rule, condition, values))
            self._index.add(place, _necessary(condition) if condition else parse_matchers(rule.match))

    @property
    def is_empty(self) -> bool:
        """Whether nothing can ever become of an alert by these."""
        return not self._rules and not self._tables

    def rule_on(
        self, labels: Mapping[str, str], annotations: Mapping[str, str], severity: str, source: str, status: str
    ) -> Ruling:
        """What the rules make of an alert. Pure: the same alert, the same ruling."""
        found = self._tables.enriched(labels)
        if not self._rules:
            return Ruling("pass", found)
        subject = Subject(found, annotations, severity, source, status)
        said: Severity | None = None
        applied: list[str] = []
        candidates, next_ = self._index.matching(found), 0
        while next_ < len(candidates):
            place = candidates[next_]
            next_ += 1
            one = self._rules[place]
            if one.condition is not None and not one.condition.holds(subject):
                continue
            name, then = one.rule.name, one.rule.then
            applied.append(name)
            if then.drop or then.hold:
                why = one.rule.why
                return Ruling("drop" if then.drop else "hold", found, said, name, why, tuple(applied))
            said = then.severity or said
            found = one.changed(found, subject)
            subject = Subject(found, annotations, said or severity, source, status)
            candidates = [later for later in self._index.matching(found) if later > place]
            next_ = 0
        return Ruling("pass", found, said, applied=tuple(applied))


def _necessary(condition: Expression) -> Matchers:
    """Matchers that hold wherever the condition does: the index files the rule under one of them."""
    return tuple(
        Matcher(name, "=", values[0]) if len(values) == 1 else Matcher(name, "=~", "|".join(map(_literal, values)))
        for name, values in required_labels(condition.tree).items()
        if all(values) and len(values) <= MOST_VALUES
    )


MOST_VALUES = 64
_SPECIAL = frozenset("\\.+*?()[]{}^$|")


def _literal(text: str) -> str:
    """The text as a regular expression that matches nothing else."""
    return "".join("\\" + character if character in _SPECIAL else character for character in text)
