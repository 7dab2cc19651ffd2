"""Matchers are read, tried and printed as Alertmanager does, and an index of many finds what a scan would."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.matchers import MatcherIndex, beginning_of, values_of
from schemas.matchers import Matcher, Operator, format_matchers, matches, parse_matcher, parse_matchers

READ = [
    ("", "{}"),
    ("{}", "{}"),
    ("foo=bar", '{foo="bar"}'),
    ("{foo=bar, }", '{foo="bar"}'),
    ('{foo = "bar", dings != "bums", }', '{foo="bar",dings!="bums"}'),
    ('statuscode=~"5.."', '{statuscode=~"5.."}'),
    ("a!~b.*,c=", '{a!~"b.*",c=""}'),
    ('{quote="She said: \\"Hi, ladies!\\""}', '{quote="She said: \\"Hi, ladies!\\""}'),
    ('"foo bar"="x"', '{"foo bar"="x"}'),
    ("温度=高", '{温度="高"}'),
    ('{"\\u6e29"="a\\tb"}', '{温="a\tb"}'),
    ("foo=a,b=c", '{foo="a",b="c"}'),
    ("foo=[a-z]+", '{foo="[a-z]+"}'),
    ('foo="\\."', '{foo="\\\\."}'),
    ("foo=a b", '{foo="a b"}'),
    ("a=\\n", '{a="\\n"}'),
    ("x={y}z", '{x="{y}z"}'),
]
"""What Alertmanager makes of a text by default; the last five only its classic parser reads."""

BAD = [
    "=x", "foo", "foo!bar", 'foo="bar', 'foo="a"b"', '"foo"', "foo=~(", "foo=~(?=x)", ",a=b",
    '"a\\q"=b', '""=b', 'foo=~"a{5000}"', f"foo=~{'a' * 5000}",
]  # fmt: skip


@pytest.mark.parametrize(("text", "printed"), READ)
def test_a_text_is_read_as_alertmanager_reads_it(text: str, printed: str) -> None:
    """Classic and UTF-8 syntax, and printing back what was read."""
    assert format_matchers(parse_matchers(text)) == printed


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_matcher_is_refused(text: str) -> None:
    """Syntax, unknown escapes and expressions that RE2 does not know are refused."""
    with pytest.raises(ValueError, match=r"."):
        parse_matchers(text)


@pytest.mark.parametrize("text", ["{foo=bar", "foo=bar}", "foo=bar}}", "foo=a b", "foo=bar,,"])
def test_the_utf8_parser_is_strict(text: str) -> None:
    """What only the classic parser tolerates is refused where the UTF-8 one is asked for."""
    assert parse_matchers(text if text != "foo=bar,," else "foo=bar,")
    with pytest.raises(ValueError, match=r"^\d+:\d+: "):
        parse_matchers(text, "utf8")


def test_one_matcher_has_no_braces() -> None:
    """A single matcher is a single one, without braces, as amtool gives it."""
    assert parse_matcher("a=b") == Matcher("a", "=", "b")
    for text in ("{a=b}", "a=b}", "a=b,c=d", ""):
        with pytest.raises(ValueError, match=r"brace|expected 1|bad matcher"):
            parse_matcher(text, "utf8" if "," in text else "either")


@pytest.mark.parametrize(
    ("text", "labels", "holds"),
    [
        ("a=b", {"a": "b"}, True),
        ("a=", {}, True),
        ("a!=b", {}, True),
        ('a=~"b|c"', {"a": "c"}, True),
        ('a=~"b"', {"a": "abc"}, False),
        ('a=~"b.*"', {"a": "b\nc"}, False),
        ('a=~".*"', {}, True),
        ('a!~".+"', {}, True),
        ('a=~"(?i)PROD"', {"a": "prod"}, True),
        ('a=~"é+"', {"a": "éé"}, True),
        ('a=~"x+"', {"a": "x" * 5000}, True),
    ],
)
def test_a_matcher_holds_as_in_alertmanager(text: str, labels: dict[str, str], holds: bool) -> None:
    """An absent label is the empty value; expressions are anchored; the dot is no line feed."""
    assert matches(parse_matchers(text), labels) is holds


def test_no_expression_hangs() -> None:
    """What takes other engines for ever is linear here."""
    assert not matches(parse_matchers('a=~"(a+)+b"'), {"a": "a" * 20_000})


NAMES, VALUES = st.sampled_from(["a", "b", "c"]), st.sampled_from(["", "x", "y", "x.y"])
PATTERNS = st.sampled_from(["x", "x|y", ".*", ".+", "x\\.y", "(x|y)", "x?", "x.y", ""])
PLAIN = st.builds(Matcher, NAMES, st.sampled_from(["=", "!="]), VALUES)
REGEX = st.builds(Matcher, NAMES, st.sampled_from(["=~", "!~"]), PATTERNS)
SETS = st.lists(st.lists(st.one_of(PLAIN, REGEX), max_size=4), max_size=12)
LABELS = st.dictionaries(NAMES, VALUES.filter(bool))


@settings(max_examples=300, deadline=None)
@given(SETS, LABELS, st.sets(st.integers(0, 11)))
def test_the_index_finds_what_a_scan_finds(sets: list[list[Matcher]], labels: dict[str, str], gone: set[int]) -> None:
    """Whatever is added and removed: the same keys in the order of adding."""
    index = MatcherIndex(enumerate(sets))
    for key in sorted(gone):
        index.remove(key)
    kept = [key for key in range(len(sets)) if key not in gone]
    assert index.matching(labels) == [key for key in kept if matches(sets[key], labels)]
    assert len(index) == len(kept)
    assert all((key in index) == (key in kept) for key in range(len(sets)))


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=12).filter(bool), st.sampled_from(["=", "!="]), st.text(max_size=12))
def test_what_is_printed_is_read_back(name: str, op: Operator, value: str) -> None:
    """Any label, any value: the UTF-8 parser reads what is printed."""
    matcher = Matcher(name, op, value)
    if "\n" not in str(matcher):
        assert parse_matchers(str(matcher), "utf8") == (matcher,)


def test_a_set_is_tried_only_where_its_label_is() -> None:
    """Ten thousand sets of one alert name each on its own instance: an alert meets one of them."""
    sets = [(n, parse_matchers(f'alertname="Down",instance="host-{n}",path=~"/.*"')) for n in range(10_000)]
    index = MatcherIndex(sets)
    tried: list[int] = []
    probe = {"alertname": "Down", "instance": "host-77", "path": "/x"}
    for bucket in (index._by_value.get(name, {}).get(value, {}) for name, value in probe.items()):
        tried.extend(bucket)
    assert index.matching(probe) == [77]
    assert len(tried) <= 2


def test_few_literal_values_are_known_without_an_expression() -> None:
    """Alternatives of plain words, escaped dots included, are values; anything else is not."""
    assert values_of(parse_matcher('a=~"(10\\\\.0\\\\.0\\\\.1|b)"')) == ("10.0.0.1", "b")
    for text in ('a=~"b.*"', 'a=~"b|"', "a!=b", "a=", 'a=~"(a)|(b)"'):
        assert values_of(parse_matcher(text)) == ()


@settings(max_examples=200, deadline=None)
@given(st.text("ab.*?+{2}|(\\[]x", max_size=8), st.text("abx.", max_size=6))
def test_the_plain_beginning_of_an_expression_is_that_of_each_value(pattern: str, value: str) -> None:
    """Whatever the expression: a value that satisfies it begins so."""
    try:
        matcher = Matcher.of("a", "=~", pattern)
    except ValueError:
        return
    assert not matcher.matches(value) or value.startswith(beginning_of(matcher))
