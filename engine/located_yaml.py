"""YAML with places: plain Python values, and the line on which each of them stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from schemas.errors import ConfigError

Place = tuple[str | int, ...]
"""The way from the root to a value: keys, and indices from 0."""

_MOST_NODES: Final = 100_000
"""Far beyond any real configuration; it stops aliases that multiply themselves."""


@dataclass(frozen=True)
class Located:
    """The values of a document, and the 1-based line of every one of them by its place."""

    values: dict[str, Any]
    lines: dict[Place, int]

    def line(self, place: Place) -> int | None:
        """The line of the value at `place`, or of the nearest thing around it."""
        for length in range(len(place), -1, -1):
            if place[:length] in self.lines:
                return self.lines[place[:length]]
        return None


@dataclass
class _Reader:
    """Walks the nodes of one document once."""

    yaml: YAML
    file: str
    lines: dict[Place, int] = field(default_factory=dict)
    nodes: int = 0

    def value(self, node: Node, place: Place, inside: tuple[int, ...] = ()) -> Any:
        self.nodes += 1
        if id(node) in inside or self.nodes > _MOST_NODES:
            raise self.error("an alias that contains itself, or far too many values", node, place)
        self.lines.setdefault(place, _line(node))
        inside = (*inside, id(node))
        if isinstance(node, MappingNode):
            return self._mapping(node, place, inside)
        if isinstance(node, SequenceNode):
            return [self.value(item, (*place, index), inside) for index, item in enumerate(node.value)]
        try:
            return self.yaml.constructor.construct_object(node)
        except (YAMLError, ValueError) as unreadable:
            raise self.error(f"cannot be read: {unreadable}".splitlines()[0], node, place) from None

    def _mapping(self, node: MappingNode, place: Place, inside: tuple[int, ...]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                raise self.error("expected a plain text as key", key_node, place)
            key: str = key_node.value
            here = (*place, key)
            if key in values:
                raise self.error(f"given twice, first on line {self.lines[here]}", key_node, here)
            self.lines[here] = _line(key_node)
            values[key] = self.value(value_node, here, inside)
        return values

    def error(self, problem: str, node: Node, place: Place) -> ConfigError:
        return ConfigError(problem, file=self.file, line=_line(node), key=dotted(place))


def read(text: str, file: str) -> Located:
    """The one document in `text`; raises ConfigError for bad syntax, doubled keys and whatever is no mapping.

    YAML 1.2: `no`, `on` and `08:30` are texts.
    """
    yaml = YAML(typ="safe", pure=True)
    try:
        root = yaml.compose(text)
    except MarkedYAMLError as broken:
        mark = broken.problem_mark or broken.context_mark
        problem = broken.problem or broken.context or "unreadable"
        raise ConfigError(f"not YAML: {problem}", file=file, line=mark.line + 1 if mark else None) from None
    except YAMLError as broken:
        raise ConfigError(f"not YAML: {str(broken).splitlines()[0]}", file=file) from None
    except AssertionError:  # the library's own, for a version that there is not
        raise ConfigError("not YAML: expected %YAML 1.1 or 1.2", file=file, line=1) from None
    except RecursionError:
        raise ConfigError("not a configuration: nested too deeply", file=file) from None
    if root is None:
        return Located({}, {(): 1})
    reader = _Reader(yaml, file)
    values = reader.value(root, ())
    if values is None:
        return Located({}, {(): 1})
    if not isinstance(values, dict):
        raise ConfigError("expected lines of `key: value`", file=file, line=_line(root))
    return Located(values, reader.lines)


def dotted(place: Place) -> str:
    """How people write a place: ``rules.routes[0].receiver``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1
