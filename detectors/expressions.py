"""Conditions and values in CEL: type-checked and bounded when the rules are saved, compiled once, never costly to run.

Language: https://github.com/google/cel-spec. The runtime is Google's (`cel-expr-python`): its regular expressions are
RE2, linear in their input, and what iterates has a budget. Same expression, same alert, same result.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Final, Literal

from cel_expr_python import cel

from detectors.syntax_tree import Node, places, read_tree
from schemas.matchers import check_pattern

Result = Literal["bool", "string"]

MOST_CHARACTERS: Final = 4_000
MOST_NODES: Final = 600
MOST_NESTED: Final = 2
"""Comprehensions (`all`, `exists`, `filter`, `map`) inside each other; over labels two are 64 × 64 steps at most."""
LONGEST_REGEX: Final = 500
LARGEST_REPEAT: Final = 200

VARIABLES: Final = ("labels", "annotations", "severity", "source", "status")

_TEXTS = cel.Type.Map(cel.Type.STRING, cel.Type.STRING)
_ENV = cel.NewEnv(
    variables=dict.fromkeys(("labels", "annotations"), _TEXTS)
    | dict.fromkeys(("severity", "source", "status"), cel.Type.STRING)
)
_PLACE = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_NOWHERE = "ERROR: <input>:-1:-1: "
_REPEAT = re.compile(r"(?<!\\)\{(\d*),?(\d*)\}")


class ExpressionRefused(ValueError):
    """An expression that cannot be taken: `line` and `column` (from 1) in its own text, and what is wrong there."""

    def __init__(self, reason: str, line: int = 1, column: int = 1) -> None:
        super().__init__(f"line {line}, column {column}: {reason}" if line > 1 else f"column {column}: {reason}")
        self.reason, self.line, self.column = reason, line, column


class Subject:
    """One alert as expressions see it; what the runtime needs of it is made once, when the first one asks."""

    __slots__ = ("_activation", "_facts", "labels")

    def __init__(
        self, labels: Mapping[str, str], annotations: Mapping[str, str], severity: str, source: str, status: str
    ) -> None:
        self.labels = labels
        self._facts = {
            "labels": dict(labels), "annotations": dict(annotations), "severity": severity, "source": source,
            "status": status,
        }  # fmt: skip
        self._activation: cel.Activation | None = None

    def __getitem__(self, variable: str) -> str:
        """`severity`, `source` or `status`."""
        value = self._facts[variable]
        assert isinstance(value, str)
        return value

    @property
    def activation(self) -> cel.Activation:
        """The variables as the runtime takes them."""
        if self._activation is None:
            self._activation = _ENV.Activation(self._facts)
        return self._activation


class Expression:
    """A compiled expression. A label that is not there makes a condition false and a value nothing."""

    __slots__ = ("_compiled", "result", "text", "tree")

    def __init__(self, text: str, compiled: cel.Expression, result: Result, tree: Node) -> None:
        self.text, self._compiled, self.result, self.tree = text, compiled, result, tree

    def holds(self, subject: Subject) -> bool:
        """Whether the condition is true of this alert."""
        try:
            return self._compiled.eval(subject.activation).value() is True
        except RuntimeError:  # the budget of iterations
            return False

    def value(self, subject: Subject) -> str | None:
        """The text that it makes of this alert, or None where it cannot."""
        try:
            found = self._compiled.eval(subject.activation)
            value = found.value()
        except RuntimeError:
            return None
        return value if isinstance(value, str) and found.type() == cel.Type.STRING else None

    def labels_read(self) -> frozenset[str]:
        """The names of the labels that it reads by name."""
        return frozenset(name for node in self.tree.walk() if (name := label_of(node)) is not None)


@functools.lru_cache(maxsize=65_536)
def compiled(text: str, result: Result = "bool") -> Expression:
    """The expression, ready to run. Raises ExpressionRefused with the place of what is wrong.

    >>> compiled('labels.service == "shop" && severity in ["critical"]').labels_read()
    frozenset({'service'})
    >>> compiled('severity == 1')
    Traceback (most recent call last):
    detectors.expressions.ExpressionRefused: column 10: found no matching overload for '_==_' applied to '(string, int)'
    """
    if len(text) > MOST_CHARACTERS:
        raise ExpressionRefused(f"{len(text)} characters are too many, {MOST_CHARACTERS} at most")
    try:
        runnable = _ENV.compile(text)
    except RuntimeError as refused:
        raise _plain(str(refused)) from None
    made = runnable.return_type().name().lower()
    if made != result:
        raise ExpressionRefused(f"gives {made}, expected {'true or false' if result == 'bool' else 'a text'}")
    serialized = runnable.serialize()
    tree = read_tree(serialized)
    for node, problem in _too_costly(tree):
        raise _at(text, places(serialized).get(node.id, 0) if node is not tree else 0, problem)
    return Expression(text, runnable, result, tree)


def _plain(message: str) -> ExpressionRefused:
    found = _PLACE.search(message)
    if found is None:
        reason = message.partition(" [")[0].splitlines()[0]
        return ExpressionRefused(re.sub(r"^[A-Z_]+: ", "", reason).removeprefix(_NOWHERE))
    reason = re.sub(r" \(in container '[^']*'\)| expecting \{.*", "", found[3])
    return ExpressionRefused(reason.removesuffix(" [INVALID_ARGUMENT]"), int(found[1]), int(found[2]))


def _too_costly(tree: Node) -> Iterator[tuple[Node, str]]:
    nodes = list(tree.walk())
    if len(nodes) > MOST_NODES:
        yield tree, f"{len(nodes)} operations are too many, {MOST_NODES} at most"
    if (deep := _too_deep(tree, MOST_NESTED)) is not None:
        yield deep, f"more than {MOST_NESTED} of all, exists, filter and map inside each other"
    for node in nodes:
        if node.kind == "call" and node.text == "matches":
            yield from _regex_problems(node)


def _too_deep(node: Node, left: int) -> Node | None:
    left -= node.kind == "comprehension"
    if left < 0:
        return node
    return next((deep for part in node.parts if (deep := _too_deep(part, left)) is not None), None)


def _regex_problems(call: Node) -> Iterator[tuple[Node, str]]:
    pattern = call.parts[-1]
    if pattern.kind != "constant" or pattern.text is None:
        yield pattern, "a regular expression must stand in the rule itself, as a text in quotes"
        return
    counts = [int(number) for found in _REPEAT.findall(pattern.text) for number in found if number]
    if len(pattern.text) > LONGEST_REGEX or max(counts, default=0) > LARGEST_REPEAT:
        yield pattern, f"a regular expression of {LONGEST_REGEX} characters and {LARGEST_REPEAT} repeats at most"
        return
    try:
        check_pattern(pattern.text)
    except ValueError as wrong:
        yield pattern, str(wrong)


def _at(text: str, at: int, reason: str) -> ExpressionRefused:
    return ExpressionRefused(reason, text.count("\n", 0, at) + 1, at - (text.rfind("\n", 0, at) + 1) + 1)


# --- what an index can be made of ---------------------------------------------------------------------------------


def label_of(node: Node) -> str | None:
    """The name behind `labels.name` or `labels["name"]`, else None."""
    if node.kind == "select" and not node.is_test and _is_labels(node.parts):
        return node.text
    if node.kind == "call" and node.text == "_[_]" and _is_labels(node.parts[:1]):
        return node.parts[1].text if node.parts[1].kind == "constant" else None
    return None


def _is_labels(parts: tuple[Node, ...]) -> bool:
    return len(parts) == 1 and parts[0].kind == "name" and parts[0].text == "labels"


def required_labels(tree: Node) -> dict[str, tuple[str, ...]]:
    """Labels that must have one of some values wherever the condition holds: the index finds rules by them.

    >>> required_labels(compiled('labels.a == "1" && (labels.b == "2" || true) && labels["c"] in ["3", "4"]').tree)
    {'a': ('1',), 'c': ('3', '4')}
    """
    if tree.kind != "call":
        return {}
    if tree.text == "_&&_":
        left, right = (required_labels(part) for part in tree.parts)
        return left | {name: values for name, values in right.items() if name not in left}
    if tree.text == "_==_":
        for one, other in (tree.parts, tree.parts[::-1]):
            name = label_of(one)
            if name is not None and other.kind == "constant" and other.text is not None:
                return {name: (other.text,)}
    if tree.text == "@in" and tree.parts[1].kind == "list":
        name, listed = label_of(tree.parts[0]), tree.parts[1].parts
        values = tuple(part.text for part in listed if part.kind == "constant" and part.text is not None)
        if name is not None and values and len(values) == len(listed):
            return {name: values}
    return {}
