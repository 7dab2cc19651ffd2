"""Examples in docstrings are run."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("schemas", "detectors", "engine", "projections", "notifiers", "sources", "web", "demo")
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for room in ROOMS
    for path in (ROOT / room).rglob("*.py")
    if ">>> " in path.read_text("utf-8")
)


def test_there_are_examples() -> None:
    """The search finds the modules that have examples."""
    assert "sources.generic_json" in MODULES


WRONG: dict[str, str] = {}
"""Modules whose example does not hold, and why; an entry that is no longer true fails, and goes."""


@pytest.mark.parametrize(
    "module",
    [
        pytest.param(module, marks=pytest.mark.xfail(reason=WRONG[module], strict=True)) if module in WRONG else module
        for module in MODULES
    ],
)
def test_the_examples_of_a_module_hold(module: str) -> None:
    """Each example gives what its docstring says."""
    outcome = doctest.testmod(importlib.import_module(module))
    assert outcome.attempted > 0
    assert outcome.failed == 0
