"""What is wrong with a YAML file, in plain words for the person who writes it: each problem with file, line and key."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from engine.located_yaml import Located, Place, dotted, read
from schemas.errors import ConfigError

HIDDEN: Final = "********"
"""What is printed instead of a secret."""

Model = TypeVar("Model", bound=BaseModel)

_NAMED_PLACE = re.compile(r"([A-Za-z_][\w.\[\]-]*): (.*)", re.DOTALL)
"""A validator's message that begins with the place below its own section: ``host: 0.0.0.0 is …``."""
_URL_PASSWORD = re.compile(r"(?<=://)([^/@\s:]*):([^/\s]*)@")


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, and where in the file."""

    place: Place
    text: str


def read_file(path: Path) -> Located:
    """The one YAML document of a file. Raises ConfigError when it cannot be read or is no mapping."""
    return read(text_of(path), str(path))


def text_of(path: Path) -> str:
    """The text of a file in UTF-8, with or without a mark. Raises ConfigError when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as unreadable:
        raise ConfigError(f"cannot be read: {unreadable.strerror}", file=str(path)) from None
    except UnicodeDecodeError:
        raise ConfigError("expected UTF-8 text", file=str(path)) from None


def validated(model: type[Model], located: Located, file: str) -> Model:
    """The document as `model`. Raises ConfigError that names every problem, the first in the file first."""
    try:
        return model.model_validate(located.values)
    except ValidationError as invalid:
        problems = [_plain(error, located.values, model) for error in invalid.errors(include_url=False)]
        raise one_error(problems, located, file) from None


def without_password(text: str) -> str:
    """The text with the password of any URL in it hidden."""
    return _URL_PASSWORD.sub(rf"\1:{HIDDEN}@", text)


def one_error(problems: Sequence[Problem], located: Located, file: str) -> ConfigError:
    """All problems as one error: the first in the file gives the place, each further one a line of the text."""
    first, *others = sorted(problems, key=lambda problem: located.line(problem.place) or 0)
    lines = [first.text]
    lines += [str(ConfigError(p.text, file=file, line=located.line(p.place), key=dotted(p.place))) for p in others]
    return ConfigError("\n".join(lines), file=file, line=located.line(first.place), key=dotted(first.place))


def _plain(error: ErrorDetails, values: Any, root: type[BaseModel]) -> Problem:
    """One of pydantic's errors in words for the person who writes the file."""
    place, section = _resolve(error["loc"], values, root)
    kind, context = error["type"], error.get("ctx", {})
    if kind in ("value_error", "assertion_error"):
        return _named(place, str(context.get("error", error["msg"])))
    if kind == "extra_forbidden":
        return Problem(place, _unknown_key(str(place[-1]), section))
    if kind == "missing":
        return Problem(place, "is required")
    got = "" if _is_secret(section, place) else f", got {_short(error['input'])}"
    if kind == "string_type":
        hint = ": put it in quotes" if isinstance(error["input"], int | float | date) else ""
        return Problem(place, f"expected a text{got}{hint}")
    return Problem(place, _expected(kind, context, error["msg"]) + got)


_EXPECTED: Final[Mapping[str, str]] = {
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_parsing": "expected a number",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
    "dict_type": "expected a section (lines of `key: value`)",
    "model_type": "expected a section (lines of `key: value`)",
    "model_attributes_type": "expected a section (lines of `key: value`)",
    "tuple_type": "expected a list",
    "list_type": "expected a list",
    "path_type": "expected the path of a file",
    "literal_error": "expected {expected}",
    "union_tag_invalid": "`type` must be {expected_tags}",
    "union_tag_not_found": "`type` is required",
    "greater_than_equal": "expected at least {ge}",
    "less_than_equal": "expected at most {le}",
    "greater_than": "expected more than {gt}",
    "less_than": "expected less than {lt}",
    "too_short": "expected at least {min_length} item(s)",
    "too_long": "expected at most {max_length} item(s)",
    "string_pattern_mismatch": "expected a name of lower-case letters, digits, `_`, `.` and `-`, 63 at most",
}


def _expected(kind: str, context: Mapping[str, Any], otherwise: str) -> str:
    return _EXPECTED[kind].format_map(context) if kind in _EXPECTED else otherwise


def _named(place: Place, message: str) -> Problem:
    """A validator's own message, whose beginning may name the place below its section."""
    named = _NAMED_PLACE.fullmatch(message)
    if not named:
        return Problem(place, message)
    below = [int(part) if part.isdigit() else part for part in re.split(r"[.\[\]]+", named[1]) if part]
    return Problem((*place, *below), named[2])


def _unknown_key(key: str, section: Any) -> str:
    known = list(section.model_fields) if isinstance(section, type) and issubclass(section, BaseModel) else []
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    if near:
        return f"unknown key; did you mean {near[0]}?"
    return f"unknown key; known here: {', '.join(known)}"


def _short(value: object) -> str:
    if isinstance(value, Mapping):
        return "a section"
    if isinstance(value, list | tuple):
        return "a list"
    if value is None:
        return "nothing"
    text = repr(without_password(value)) if isinstance(value, str) else str(value)
    text = text.lower() if isinstance(value, bool) else text
    return text if len(text) <= 60 else text[:57] + "…"


def _resolve(loc: tuple[int | str, ...], values: Any, root: type[BaseModel]) -> tuple[Place, Any]:
    """Where pydantic's `loc` stands in the file, and the model of the section around it.

    `loc` also names things that are not in the file: the member of a union, and ``[key]`` for a mapping's key.
    """
    place: list[str | int] = []
    section: Any = root
    wanted: Any = root
    for part in loc:
        if part == "[key]":
            continue
        members = list(_members(wanted))
        if len(members) > 1 and isinstance(part, str) and part not in (values if isinstance(values, dict) else ()):
            tagged = [m for m in members if _tag(m) == part]
            if tagged:
                wanted = section = tagged[0]
                continue
        place.append(part)
        section, wanted = wanted, _inner(wanted, part)
        values = _item(values, part)
    return tuple(place), section


def _item(values: Any, part: str | int) -> Any:
    if isinstance(values, dict):
        return values.get(part)
    return values[part] if isinstance(values, list) and isinstance(part, int) and part < len(values) else None


def _members(wanted: Any) -> Iterator[Any]:
    """The types that an annotation allows, without None."""
    origin = get_origin(wanted)
    if origin is Annotated:
        yield from _members(get_args(wanted)[0])
    elif origin in (Union, UnionType):
        for member in get_args(wanted):
            yield from _members(member)
    elif wanted is not NoneType:
        yield wanted


def _tag(member: Any) -> object:
    field = member.model_fields.get("type") if isinstance(member, type) and issubclass(member, BaseModel) else None
    return field.default if field else None


def _inner(wanted: Any, part: str | int) -> Any:
    """The annotation of what `part` leads to in a section, mapping or list."""
    for member in _members(wanted):
        if isinstance(member, type) and issubclass(member, BaseModel):
            field = member.model_fields.get(str(part))
            if field:
                return field.annotation
        elif get_origin(member) is dict:
            return get_args(member)[1]
        elif get_origin(member) in (tuple, list):
            return get_args(member)[0]
    return None


def _is_secret(section: Any, place: Place) -> bool:
    return bool(place) and SecretStr in _members(_inner(section, place[-1]))
