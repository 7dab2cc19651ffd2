"""Configuration: read `tocsin.yaml` once, say in plain words what is wrong with it, and print it without secrets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel, SecretStr

from detectors.rule_checks import problems as rule_problems
from engine.located_yaml import Located, Place, read
from engine.plain_words import HIDDEN, Problem, one_error, read_file, validated, without_password
from engine.tables import with_rows
from schemas.config import Rules, Settings

DEFAULT_FILE: Final = Path("tocsin.yaml")


def load(path: Path | None = None) -> Settings:
    """The settings of `path`, else of `./tocsin.yaml` if there is one, else the defaults; secret files are read.

    Raises ConfigError with file, line and key of the first problem; its text lists all of them, one per line.
    """
    if path is None:
        if not DEFAULT_FILE.exists():
            return Settings()
        path = DEFAULT_FILE
    located = read_file(path)
    settings = validated(Settings, located, str(path))
    problems: list[Problem] = []
    complete: Settings = _with_secrets(settings, (), path.parent, problems)
    problems += [Problem(("rules", *place), text) for place, text in rule_problems(settings.rules)]
    if problems:
        raise one_error(problems, located, str(path))
    return complete.model_copy(update={"rules": with_rows(settings.rules, path.parent)})


class _WithRules(BaseModel):
    """Whatever else stands in the file: the rules."""

    rules: Rules = Rules()


def read_rules(text: str, file: str, folder: Path | None) -> Rules:
    """The rules in a YAML text: a whole `tocsin.yaml`, or only what stands under its `rules`.

    Files of tables are read from `folder`; without one they are refused.

    Raises ConfigError with file, line and key of the first problem; its text lists all of them, one per line.
    """
    located = read(text, file)
    if "rules" not in located.values:
        lines: dict[Place, int] = {("rules", *place): line for place, line in located.lines.items()}
        located = Located({"rules": located.values}, {(): 1, **lines})
    rules = validated(_WithRules, located, file).rules
    problems = [Problem(("rules", *place), text) for place, text in rule_problems(rules)]
    if folder is None:
        problems += [
            Problem(("rules", "enrichment", index, "file"), "files are read by `tocsin rules apply`: give rows here")
            for index, table in enumerate(rules.enrichment)
            if table.file and not table.rows
        ]
    if problems:
        raise one_error(problems, located, file)
    return rules if folder is None else with_rows(rules, folder)


def dump_rules(rules: Rules) -> str:
    """The rules as YAML; what is as by default is left out."""
    return yaml.safe_dump(
        rules.model_dump(mode="json", exclude_defaults=True), sort_keys=False, allow_unicode=True, width=120
    )


def dump(settings: Settings) -> str:
    """The settings as YAML, every secret as ``********``; what is not set is left out."""
    return yaml.safe_dump(_shown(settings), sort_keys=False, allow_unicode=True, width=120)


def write(settings: Settings) -> str:
    """What of the settings is not the default as YAML, secrets included: keep the file from others."""
    return yaml.safe_dump(_revealed(settings), sort_keys=False, allow_unicode=True, width=120)


def _revealed(value: Any) -> Any:
    if isinstance(value, BaseModel):
        texts = value.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        names = {field.alias or name: name for name, field in type(value).model_fields.items()}
        kept = {key: _revealed(getattr(value, names[key])) for key in texts}
        plain = {key: texts[key] if isinstance(kept[key], int) else kept[key] for key in texts}
        kind = getattr(value, "type", None)  # tells channels apart: never left out
        return {"type": kind, **plain} if isinstance(kind, str) else plain
    if isinstance(value, Mapping):
        return {key: _revealed(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return [_revealed(inner) for inner in value]
    return (
        value.get_secret_value() if isinstance(value, SecretStr) else str(value) if isinstance(value, Path) else value
    )


# --- secrets ------------------------------------------------------------------------------------------------------


def _with_secrets(section: Any, place: Place, folder: Path, problems: list[Problem]) -> Any:
    """The same section with each `<name>_file` read into `<name>`; what cannot be read is added to `problems`."""
    if isinstance(section, Mapping):
        return {key: _with_secrets(value, (*place, key), folder, problems) for key, value in section.items()}
    if not isinstance(section, BaseModel):
        return section
    changed: dict[str, Any] = {}
    for name in type(section).model_fields:
        value = getattr(section, name)
        if name.endswith("_file") and isinstance(value, Path):
            changed[name[:-5]] = secret_of(folder / value, (*place, name), problems)
        elif isinstance(value, BaseModel | Mapping):
            changed[name] = _with_secrets(value, (*place, name), folder, problems)
    return section.model_copy(update=changed)


def secret_of(file: Path, place: Place, problems: list[Problem]) -> SecretStr | None:
    """The text of a file without the line feed at its end; None, and one more of `problems`, if it cannot be read."""
    try:
        text = file.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as unreadable:
        problems.append(Problem(place, f"cannot read {file}: {unreadable.strerror}"))
        return None
    except UnicodeDecodeError:
        problems.append(Problem(place, f"expected UTF-8 text in {file}"))
        return None
    if not text:
        problems.append(Problem(place, f"{file} is empty"))
    return SecretStr(text)


def _shown(value: Any) -> Any:
    if isinstance(value, BaseModel):
        fields = {name: getattr(value, name) for name in type(value).model_fields}
        texts = value.model_dump(mode="json", by_alias=True)
        return {
            key: texts[key] if isinstance(inner, int) else _shown(inner)  # spans of time have units in the file
            for (name, inner), key in zip(fields.items(), texts, strict=True)
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
    return without_password(value) if isinstance(value, str) else value
