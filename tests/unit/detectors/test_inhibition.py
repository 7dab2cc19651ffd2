"""Inhibition: found by equal labels as a scan would find it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.inhibition import Inhibition, InhibitionRule
from detectors.matchers import matches, parse_matchers


def rule(source: str, target: str, *equal: str, name: str = "r") -> InhibitionRule:
    """A rule from texts."""
    return InhibitionRule(name, parse_matchers(source), parse_matchers(target), equal)


LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz"), max_size=3)
TEXTS = st.sampled_from(["a=x", "a=y", "b=x", "a=~x|y", "b!=x", "c=~.+", "a=x,b=y"])
RULES = st.lists(st.builds(rule, TEXTS, TEXTS, st.sampled_from("abc")) | st.builds(rule, TEXTS, TEXTS), max_size=4)


def _scan(rules: list[InhibitionRule], firing: dict[str, dict[str, str]], labels: dict[str, str]) -> list[bool]:
    """Alertmanager's definition, written down once more: by which rules an alert is inhibited."""
    found = []
    for one in rules:
        both = matches(one.source, labels)
        found.append(
            matches(one.target, labels)
            and any(
                matches(one.source, source)
                and all(source.get(name, "") == labels.get(name, "") for name in one.equal)
                and not (both and matches(one.target, source))
                for source in firing.values()
            )
        )
    return found


@settings(max_examples=300, deadline=None)
@given(
    RULES, st.lists(LABELS, max_size=6, unique_by=lambda one: tuple(sorted(one.items()))), st.sets(st.integers(0, 5))
)
def test_the_index_finds_what_a_scan_finds(
    rules: list[InhibitionRule], alerts: list[dict[str, str]], gone: set[int]
) -> None:
    """Whatever begins and ends: by each rule the same alerts are inhibited, and each affected target is named."""
    rules = [InhibitionRule(str(place), one.source, one.target, one.equal) for place, one in enumerate(rules)]
    inhibition, firing = Inhibition(rules), dict(enumerate(alerts))
    before = {}
    for number, labels in firing.items():
        inhibition.add(str(number), labels)
    for number in sorted(gone & firing.keys()):
        before = {other: inhibition.inhibitors(labels) for other, labels in firing.items() if other != number}
        labels = firing.pop(number)
        inhibition.remove(str(number), labels)
        affected = set(inhibition.targets_of(labels))
        for other, was in before.items():
            assert inhibition.inhibitors(firing[other], was) == was or str(other) in affected
    named = {str(number): labels for number, labels in firing.items()}
    for labels in named.values():
        by_rule = {one.rule for one in inhibition.inhibitors(labels)}
        assert [str(place) in by_rule for place in range(len(rules))] == _scan(rules, named, labels)
