"""Conditions in CEL: what is refused when they are saved, and that those that are taken stay cheap and the same."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.alert_rules import RuleSet
from detectors.expressions import ExpressionRefused, Subject, compiled, required_labels
from detectors.rule_checks import problems, unknown_labels
from schemas.config import Rules

LABELS = {"alertname": "Slow", "service": "shop", "pod": "p1"}


def _subject(**labels: str) -> Subject:
    return Subject({**LABELS, **labels}, {"summary": "it is slow"}, "critical", "prometheus", "firing")


@pytest.mark.parametrize(
    "text",
    [
        'labels.service == "shop" && severity == "critical"',
        '"service" in labels && labels["service"].startsWith("sh")',
        'labels.pod.matches("^p[0-9]$")',
        'has(labels.none) ? false : annotations.summary.contains("slow")',
        'labels.exists(name, labels[name] == "shop")',
        'status == "firing" && source in ["prometheus", "zabbix"]',
    ],
)
def test_a_condition_that_holds(text: str) -> None:
    """Each of these is true of the alert."""
    assert compiled(text).holds(_subject())


@pytest.mark.parametrize("text", ['labels.none == "x"', 'labels.none != "x"', 'labels["none"].size() == 0'])
def test_a_label_that_is_not_there_makes_a_condition_false(text: str) -> None:
    """No error, no alert lost: the rule is not about it."""
    assert not compiled(text).holds(_subject())


@pytest.mark.parametrize(
    ("text", "line", "column", "reason"),
    [
        ("severity == 1", 1, 10, "no matching overload"),
        ('severity == "a" &&\n  nobody == "b"', 2, 3, "undeclared reference to 'nobody'"),
        ("severity ==", 1, 12, "Syntax error"),
        ("labels.service", 1, 1, "gives string, expected true or false"),
        ("true && " * 300 + "true", 1, 1, "operations are too many"),
        ("true || " * 600 + "true", 1, 1, "characters are too many"),
        ("(" * 60 + "true" + ")" * 60, 1, 1, "recursion"),
        ("[1].all(a, [1].all(b, [1].all(c, true)))", 1, 30, "inside each other"),
        ('labels.pod.matches("(")', 1, 20, "bad regular expression"),
        ("labels.pod.matches(labels.a)", 1, 26, "must stand in the rule itself"),
        ('labels.pod.matches("(x{1,1000}){1,1000}")', 1, 20, "repeats at most"),
        ('timestamp("2026-01-01T00:00:00Z") < now()', 1, 40, "undeclared reference to 'now'"),
        ("", 1, 1, "Syntax error"),
    ],
)
def test_what_cannot_be_taken_is_refused_with_its_place(text: str, line: int, column: int, reason: str) -> None:
    """Syntax, types, bombs, and a clock that there is not: line, column and reason."""
    with pytest.raises(ExpressionRefused) as refused:
        compiled(text)
    assert reason in refused.value.reason
    assert (refused.value.line, refused.value.column) == (line, column)


def test_an_iteration_bomb_that_depends_on_the_alert_ends_by_its_budget() -> None:
    """Two loops over very many labels stop at the runtime's budget, and the condition does not hold."""
    labels = {f"l{number}": "x" for number in range(3_000)}
    text = "labels.all(a, labels.all(b, labels[a] == labels[b])) && labels.size() > 2"
    assert not compiled(text).holds(Subject(labels, {}, "info", "s", "firing"))


@pytest.mark.parametrize(
    ("text", "required"),
    [
        ('labels.a == "1"', {"a": ("1",)}),
        ('"1" == labels["a"] && severity == "x"', {"a": ("1",)}),
        ('labels.a in ["1", "2"] && (labels.b == "3" && true)', {"a": ("1", "2"), "b": ("3",)}),
        ('labels.a == "1" || labels.b == "2"', {}),
        ('!(labels.a == "1")', {}),
        ('labels.a != "1"', {}),
        ("has(labels.a)", {}),
        ('labels.a in ["1", labels.b]', {}),
    ],
)
def test_the_labels_that_a_condition_requires(text: str, required: dict[str, tuple[str, ...]]) -> None:
    """Only what must be so wherever the condition holds."""
    assert required_labels(compiled(text).tree) == required


_names = st.sampled_from(["a", "b", "c"])
_values = st.sampled_from(["1", "2", ""])
_terms = st.one_of(
    st.builds('labels.{} == "{}"'.format, _names, _values),
    st.builds('labels.{} in ["{}", "{}"]'.format, _names, _values, _values),
    st.builds('!("{}" in labels)'.format, _names),
    st.builds('labels.{} != "{}"'.format, _names, _values),
)
_conditions = st.recursive(
    _terms, lambda inner: st.builds("({} {} {})".format, inner, st.sampled_from(["&&", "||"]), inner), max_leaves=6
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_conditions, min_size=1, max_size=6), st.dictionaries(_names, st.sampled_from(["1", "2"])))
def test_the_index_finds_exactly_the_rules_that_hold(conditions: list[str], labels: dict[str, str]) -> None:
    """Rules found by their required labels are those that trying every one finds."""
    rules = Rules.model_validate(
        {"alert_rules": [{"name": f"r{at}", "when": one, "then": {"set": {"z": str(at)}}}
                         for at, one in enumerate(conditions)]}
    )  # fmt: skip
    subject = Subject(labels, {}, "info", "s", "firing")
    expected = tuple(f"r{at}" for at, one in enumerate(conditions) if compiled(one).holds(subject))
    assert RuleSet(rules).rule_on(labels, {}, "info", "s", "firing").applied == expected


def test_a_circle_of_inhibition_is_refused() -> None:
    """Three rules of which each keeps quiet what the next one needs, back to the first."""

    def inhibiting(*pairs: tuple[str, str]) -> Rules:
        rules = [{"source_matchers": [f'x="{a}"'], "target_matchers": [f'x="{b}"', 'y="z"']} for a, b in pairs]
        return Rules.model_validate({"inhibit": rules})

    ((place, text),) = problems(inhibiting(("a", "b"), ("b", "c"), ("c", "a")))
    assert place == ("inhibit", 0)
    assert text.endswith("1 → 2 → 3 → 1")
    assert not problems(inhibiting(("a", "b"), ("b", "c"), ("a", "c"), ("a", "a")))


def test_a_label_that_no_alert_has_is_worth_a_warning() -> None:
    """Neither seen nor set by a table or an earlier rule."""
    rules = Rules.model_validate(
        {
            "alert_rules": [
                {"name": "a", "when": 'labels.team == "x" && labels.owner == "y"', "then": {"set": {"made": "up"}}},
                {"name": "b", "match": 'made="up", typo="z"', "then": {"drop": True}},
            ],
            "enrichment": [{"name": "t", "by": ["service"], "adds": ["owner"]}],
        }
    )
    assert unknown_labels(rules, {"service"}) == [
        (("alert_rules", 0, "when"), "no alert of late has a label 'team'"),
        (("alert_rules", 1, "match"), "no alert of late has a label 'typo'"),
    ]
