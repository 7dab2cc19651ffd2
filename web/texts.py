"""The console's words in Chinese and English, from `locale/zh.yaml` and `locale/en.yaml`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from schemas.config import Language

_LOCALE = Path(__file__).parent / "locale"
LANGUAGES: tuple[Language, ...] = ("zh", "en")


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)


def _load(language: Language) -> dict[str, str]:
    return dict(_flat(yaml.safe_load((_LOCALE / f"{language}.yaml").read_text(encoding="utf-8"))))


TEXTS: Mapping[Language, Mapping[str, str]] = {language: _load(language) for language in LANGUAGES}
"""Every text by language and dotted key."""


def text(language: Language, key: str, /, **values: object) -> str:
    """One text with its ``{names}`` filled in; an unknown key is shown as it is rather than failing a page.

    >>> text("en", "action.acknowledge")
    'Acknowledge'
    """
    words = TEXTS[language].get(key, key)
    return words.format(**values) if values else words


def known(key: str) -> bool:
    """Whether there is a text for this key."""
    return key in TEXTS["en"]


def language_of(*wishes: str | None, default: Language) -> Language:
    """The first wish that is a language we speak, else the default."""
    return next((wish for wish in wishes if wish in LANGUAGES), default)
