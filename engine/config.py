"""Configuration: read `tocsin.yaml` once, say in plain words what is wrong with it, and print it without secrets."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from engine.located_yaml import Located, Place, dotted, read
from schemas.config import Settings
from schemas.errors import ConfigError

DEFAULT_FILE: Final = Path("tocsin.yaml")
HIDDEN: Final = "********"
"""What is printed instead of a secret."""

_NAMED_PLACE = re.compile(r"([A-Za-z_][\w.\[\]-]*): (.*)", re.DOTALL)
"""A validator's message that begins with the place below its own section: ``host: 0.0.0.0 is …``."""
_URL_PASSWORD = re.compile(r"(?<=://)([^/@\s:]*):([^/\s]*)@")


@dataclass(frozen=True)
class _Problem:
    place: Place
    text: str


def load(path: Path | None = None) -> Settings:
    """The settings of `path`, else of `./tocsin.yaml` if there is one, else the defaults; secret files are read.

    Raises ConfigError with file, line and key of the first problem; its text lists all of them, one per line.
    """
    if path is None:
        if not DEFAULT_FILE.exists():
            return Settings()
        path = DEFAULT_FILE
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as unreadable:
        raise ConfigError(f"cannot be read: {unreadable.strerror}", file=str(path)) from None
    except UnicodeDecodeError:
        raise ConfigError("expected UTF-8 text", file=str(path)) from None
    located = read(text, str(path))
    try:
        settings = Settings.model_validate(located.values)
    except ValidationError as invalid:
        problems = [_plain(error, located.values) for error in invalid.errors(include_url=False)]
        raise _one_error(problems, located, str(path)) from None
    problems = []
    complete: Settings = _with_secrets(settings, (), path.parent, problems)
    if problems:
        raise _one_error(problems, located, str(path))
    return complete


def dump(settings: Settings) -> str:
    """The settings as YAML, every secret as ``********``; what is not set is left out."""
    return yaml.safe_dump(_shown(settings), sort_keys=False, allow_unicode=True, width=120)


# --- secrets ------------------------------------------------------------------------------------------------------


def _with_secrets(section: Any, place: Place, folder: Path, problems: list[_Problem]) -> Any:
    """The same section with each `<name>_file` read into `<name>`; what cannot be read is added to `problems`."""
    if isinstance(section, Mapping):
        return {key: _with_secrets(value, (*place, key), folder, problems) for key, value in section.items()}
    if not isinstance(section, BaseModel):
        return section
    changed: dict[str, Any] = {}
    for name in type(section).model_fields:
        value = getattr(section, name)
        if name.endswith("_file") and isinstance(value, Path):
            changed[name[:-5]] = _secret(folder / value, (*place, name), problems)
        elif isinstance(value, BaseModel | Mapping):
            changed[name] = _with_secrets(value, (*place, name), folder, problems)
    return section.model_copy(update=changed)


def _secret(file: Path, place: Place, problems: list[_Problem]) -> SecretStr | None:
    try:
        text = file.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as unreadable:
        problems.append(_Problem(place, f"cannot read {file}: {unreadable.strerror}"))
        return None
    except UnicodeDecodeError:
        problems.append(_Problem(place, f"expected UTF-8 text in {file}"))
        return None
    if not text:
        problems.append(_Problem(place, f"{file} is empty"))
    return SecretStr(text)


def _shown(value: Any) -> Any:
    if isinstance(value, BaseModel):
        fields = {name: getattr(value, name) for name in type(value).model_fields}
        return {
            name: _shown(inner)
            for name, inner in fields.items()
            if inner is not None and not (isinstance(inner, SecretStr) and fields.get(f"{name}_file"))
        }
    if isinstance(value, Mapping):
        return {key: _shown(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return [_shown(inner) for inner in value]
    if isinstance(value, SecretStr):
        return HIDDEN
    if isinstance(value, Path):
        return str(value)
    return _without_password(value) if isinstance(value, str) else value


def _without_password(text: str) -> str:
    """The text with the password of any URL in it hidden."""
    return _URL_PASSWORD.sub(rf"\1:{HIDDEN}@", text)


# --- plain words --------------------------------------------------------------------------------------------------


def _one_error(problems: list[_Problem], located: Located, file: str) -> ConfigError:
    """All problems as one error: the first in the file gives the place, each further one a line of the text."""
    first, *others = sorted(problems, key=lambda problem: located.line(problem.place) or 0)
    lines = [first.text]
    lines += [str(ConfigError(p.text, file=file, line=located.line(p.place), key=dotted(p.place))) for p in others]
    return ConfigError("\n".join(lines), file=file, line=located.line(first.place), key=dotted(first.place))


def _plain(error: ErrorDetails, values: Any) -> _Problem:
    """One of pydantic's errors in words for the person who writes the file."""
    place, section = _resolve(error["loc"], values)
    kind, context = error["type"], error.get("ctx", {})
    if kind in ("value_error", "assertion_error"):
        return _named(place, str(context.get("error", error["msg"])))
    if kind == "extra_forbidden":
        return _Problem(place, _unknown_key(str(place[-1]), section))
    if kind == "missing":
        return _Problem(place, "is required")
    got = "" if _is_secret(section, place) else f", got {_short(error['input'])}"
    if kind == "string_type":
        hint = ": put it in quotes" if isinstance(error["input"], int | float | date) else ""
        return _Problem(place, f"expected a text{got}{hint}")
    return _Problem(place, _expected(kind, context, error["msg"]) + got)


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


def _named(place: Place, message: str) -> _Problem:
    """A validator's own message, whose beginning may name the place below its section."""
    named = _NAMED_PLACE.fullmatch(message)
    if not named:
        return _Problem(place, message)
    below = [int(part) if part.isdigit() else part for part in re.split(r"[.\[\]]+", named[1]) if part]
    return _Problem((*place, *below), named[2])


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
    text = repr(_without_password(value)) if isinstance(value, str) else str(value)
    text = text.lower() if isinstance(value, bool) else text
    return text if len(text) <= 60 else text[:57] + "…"


def _resolve(loc: tuple[int | str, ...], values: Any) -> tuple[Place, Any]:
    """Where pydantic's `loc` stands in the file, and the model of the section around it.

    `loc` also names things that are not in the file: the member of a union, and ``[key]`` for a mapping's key.
    """
    place: list[str | int] = []
    section: Any = Settings
    wanted: Any = Settings
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
