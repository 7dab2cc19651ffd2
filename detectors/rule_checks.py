"""What is wrong with a set of rules beyond its shape: expressions that cannot be taken, labels that nobody has."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from detectors.expressions import ExpressionRefused, Result, compiled
from detectors.matchers import Matcher, Matchers, parse_matchers
from schemas.alert_rules import AlertRule
from schemas.config import Rules
from schemas.denoise import InhibitRule, read

Place = tuple[str | int, ...]


def problems(rules: Rules) -> list[tuple[Place, str]]:
    """Why the rules cannot be taken, each with its place below ``rules``; empty when they can. Compiles all of them."""
    found = [found for index, rule in enumerate(rules.alert_rules) for found in _of_rule(index, rule)]
    return found + list(_inhibition_cycles(rules.inhibit))


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


def _inhibition_cycles(rules: Sequence[InhibitRule]) -> Iterator[tuple[Place, str]]:
    """Rules by which alerts keep each other quiet, so that nobody hears of any of them."""
    sources = [read(rule.source_matchers) for rule in rules]
    exact: dict[Matcher, list[int]] = {}
    loose: dict[str, list[int]] = {}
    for place, source in enumerate(sources):
        exact.setdefault(source[0], []).append(place)
        if source[0].op != "=":
            loose.setdefault(source[0].name, []).append(place)
    edges: list[list[int]] = []
    for place, rule in enumerate(rules):
        target = read(rule.target_matchers)
        likely = dict.fromkeys(one for matcher in target for one in exact.get(matcher, ()))
        likely.update(dict.fromkeys(one for matcher in target for one in loose.get(matcher.name, ())))
        # A rule of which an alert is source and target at once does nothing to it: that is no circle.
        edges.append([one for one in likely if one != place and _all_implied(target, sources[one])])
    done: set[int] = set()
    for start in range(len(rules)):
        if (cycle := _cycle_from(start, edges, done)) is not None:
            names = " → ".join(rules[place].name or str(place + 1) for place in (*cycle, cycle[0]))
            yield ("inhibit", cycle[0]), f"a circle of inhibition: whatever these keep quiet keeps them quiet: {names}"
            return


def _all_implied(target: Matchers, source: Matchers) -> bool:
    """Whether every alert that satisfies `target` satisfies `source`."""
    return all(_implies(target, matcher) for matcher in source)


def _implies(target: Matchers, wanted: Matcher) -> bool:
    return any(
        one == wanted or (one.name == wanted.name and one.op == "=" and wanted.matches(one.value)) for one in target
    )


def _cycle_from(start: int, edges: list[list[int]], done: set[int]) -> list[int] | None:
    """A circle that can be reached from `start`, or None; `done` are the places that lead to none."""
    path, on_path = [(start, iter(edges[start]))], {start: None}
    while path:
        place, following = path[-1]
        next_ = next((one for one in following if one not in done), None)
        if next_ is None:
            done.add(place)
            del on_path[place]
            path.pop()
        elif next_ in on_path:
            order = list(on_path)
            return order[order.index(next_) :]
        else:
            on_path[next_] = None
            path.append((next_, iter(edges[next_])))
    return None


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
