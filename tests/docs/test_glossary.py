"""docs/glossary.md names every word that the schemas fix."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import get_args

import pytest

from schemas import commands, events
from schemas.records import Record

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "glossary.md").read_text("utf-8")


def _entries(heading: str) -> list[str]:
    """The words that the tables of one chapter explain, without their backquotes."""
    chapter = PAGE.split(f"\n## {heading}", 1)[1].split("\n## ", 1)[0]
    first_cells = re.findall(r"^\| ([^|]+) \|", chapter, re.MULTILINE)
    return [cell.strip("` ") for cell in first_cells if cell not in ("word", "state", "command", "type", "---")]


COMMANDS = [command.model_fields["type"].default for command in get_args(get_args(commands.Command)[0])]


@pytest.mark.parametrize(
    ("heading", "words"),
    [
        ("Disposition", get_args(events.Disposition)),
        ("Incidents", get_args(events.IncidentState)),
        ("Commands", COMMANDS),
        ("Events in the log", tuple(events.EVENT_TYPES)),
    ],
)
def test_every_word_of_the_schemas_is_explained_once(heading: str, words: tuple[str, ...]) -> None:
    """Each literal word of the schemas has one line in its chapter."""
    found = Counter(_entries(heading))
    assert {word: found[word] for word in words} == dict.fromkeys(words, 1)


@pytest.mark.parametrize("heading", ["Disposition", "Commands", "Events in the log"])
def test_no_word_is_explained_that_is_not_there(heading: str) -> None:
    """A word that left the schemas leaves the glossary."""
    known = {*get_args(events.Disposition), *COMMANDS, *events.EVENT_TYPES}
    assert set(_entries(heading)) <= known


def test_every_kind_of_record_and_notice_is_named() -> None:
    """The kinds stand in the lines of `record` and `notice`."""
    record = next(line for line in PAGE.splitlines() if line.startswith("| record |"))
    notice = next(line for line in PAGE.splitlines() if line.startswith("| notice |"))
    assert set(re.findall(r"`(\w+)`", record)) == {kind.__struct_config__.tag for kind in get_args(Record)}
    assert all(kind in notice for kind in get_args(events.NoticeKind))


def test_every_line_has_its_chinese() -> None:
    """The second column of every table holds Chinese words."""
    lines = re.findall(r"^\| ([^|]+) \| ([^|]+) \|", PAGE, re.MULTILINE)
    bare = [word for word, chinese in lines if chinese not in ("中文", "---") and not re.search("[一-鿿]", chinese)]
    assert not bare
