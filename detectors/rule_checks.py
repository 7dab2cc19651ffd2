"""What is wrong with a set of rules beyond its shape: expressions that cannot be taken, labels that nobody has."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from detectors.expressions import ExpressionRefused, Result, compiled
from detectors.matchers import parse_matchers
from schemas.alert_rules import AlertRule
from schemas.config import Rules

Place = tuple[str | int, ...]


def problems(rules: Rules) -> list[tuple[Place, str]]:
    """Why the rules cannot be taken, each with its place below ``rules``; empty when they can. Compiles all of them."""
    return [found for index, rule in enumerate(rules.alert_rules) for found in _of_rule(index, rule)]


def _of_rule(index: int, rule: AlertRule) -> Iterator[tuple[Place, str]]:
    place: Place = ("alert_rules", index)
    if rule.when:
        yield from _of_expression((*place, "when"), rule.when, "bool")
    for name, text in rule.then.set_from.items():
        yield from _of_expression((*place, "then", "set_from", name), text, "string")


def _of_expression(place: Place, text: str, result: Result) -> Iterator[tuple[Place, str]]:
    try:
        compiled(text, result)
    except ExpressionRefused as refused:
        yield place, str(refused)


def unknown_labels(rules: Rules, seen: Collection[str]) -> list[tuple[Place, str]]:
    """Rules that ask for labels that neither stand among `seen` nor are set by a table or a rule: worth a warning."""
    known = set(seen)
    for table in rules.enrichment:
        known |= set(table.adds) | {name for row in table.rows for name in row}
    for rule in rules.alert_rules:
        known |= rule.then.set.keys() | rule.then.set_from.keys()
    return [
        (("alert_rules", index, "when" if rule.when else "match"), f"no alert of late has a label {name!r}")
        for index, rule in enumerate(rules.alert_rules)
        for name in sorted(_asked(rule) - known)
    ]


def _asked(rule: AlertRule) -> set[str]:
    expressions = [compiled(rule.when)] if rule.when else []
    expressions += [compiled(text, "string") for text in rule.then.set_from.values()]
    matched = {matcher.name for matcher in parse_matchers(rule.match)} if rule.match else set()
    return matched.union(*(expression.labels_read() for expression in expressions))
