"""The table of rooms in docs/architecture.md against import-linter's contracts and the imports that are there."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
LINTER: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
PACKAGES: list[str] = LINTER["root_packages"]


def _rows() -> dict[tuple[str, ...], set[str]]:
    """Room (one or more modules) → the rooms that it may import, as the table says."""
    table = PAGE.split("| room | may import |", 1)[1].split("\n\n", 1)[0]
    rows = {}
    for line in table.splitlines()[2:]:
        cells = [re.findall(r"`([a-z_.]+)`", cell) for cell in line.strip("|").split("|")]
        rows[tuple(cells[0])] = set(cells[1])
    return rows


ROWS = _rows()
ALLOWED = {row[0]: allowed for row, allowed in ROWS.items()}
"""A room is called by its first module."""


def _room(module: str) -> str | None:
    """The room that a module of ours belongs to; None for the bare package `engine`."""
    for row in ROWS:
        if any(module == part or module.startswith(f"{part}.") for part in row):
            return row[0]
    return None


@cache
def _graph() -> grimp.ImportGraph:
    return grimp.build_graph(*PACKAGES, cache_dir=None)


@cache
def _real() -> dict[str, dict[str, str]]:
    """Room → imported room → one import that shows it."""
    found: dict[str, dict[str, str]] = {room: {} for room in ALLOWED}
    graph = _graph()
    for importer in sorted(graph.modules):
        for imported in sorted(graph.find_modules_directly_imported_by(importer)):
            from_room, to_room = _room(importer), _room(imported)
            if from_room and to_room and from_room != to_room:
                found[from_room].setdefault(to_room, f"{importer} imports {imported}")
    return found


def _is_empty(room: str) -> bool:
    """Whether nothing but its own `__init__` is in the room."""
    return not _graph().find_descendants(room)


def _contracts(room: str) -> tuple[set[str], bool]:
    """The rooms that some contract keeps `room` from importing, and whether any names it as an importer."""
    forbidden: set[str] = set()
    named = False
    for contract in LINTER["contracts"]:
        if contract["type"] == "forbidden" and room in contract["source_modules"]:
            named = True
            forbidden |= set(contract["forbidden_modules"])
        if contract["type"] == "protected" and room not in contract["allowed_importers"]:
            forbidden |= set(contract["protected_modules"])
    return forbidden, named


def test_every_module_stands_in_one_room() -> None:
    """The table leaves no module of ours out, but for the package `engine` itself, which imports nothing."""
    homeless = {module for module in _graph().modules if _room(module) is None}
    assert homeless == {"engine"}
    assert not _graph().find_modules_directly_imported_by("engine")


@pytest.mark.parametrize("room", ALLOWED)
def test_no_room_imports_more_than_the_table_says(room: str) -> None:
    """An import that the table does not allow is named with the modules that it runs between."""
    surplus = [shown for to_room, shown in _real()[room].items() if to_room not in ALLOWED[room]]
    assert not surplus, f"docs/architecture.md does not let {room} import this: {surplus}"


@pytest.mark.parametrize("room", ALLOWED)
def test_the_table_allows_no_more_than_is_used(room: str) -> None:
    """An arrow that nobody uses goes, but where the room at one of its ends is still empty."""
    unused = {
        to_room for to_room in ALLOWED[room] - _real()[room].keys() if not _is_empty(to_room) and not _is_empty(room)
    }
    assert not unused, f"docs/architecture.md lets {room} import {unused}, which it does not"


@pytest.mark.parametrize("room", ALLOWED)
def test_the_table_and_the_contracts_agree(room: str) -> None:
    """No contract forbids what the table allows, and a room that has a contract is kept from all else."""
    forbidden, named = _contracts(room)
    assert not ALLOWED[room] & forbidden, f"the contracts forbid {room} what docs/architecture.md allows"
    if named:
        covered = {other for other in ALLOWED if other in forbidden or other.split(".")[0] in forbidden}
        open_to = set(ALLOWED) - covered - ALLOWED[room] - {room}
        # Core and machines share one contract, so that between the two the table alone decides.
        partner = {"engine.core"} if room == "engine.machines" else set()
        assert open_to <= partner, f"no contract keeps {room} from importing {open_to}"
