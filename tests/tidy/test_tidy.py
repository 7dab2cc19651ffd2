"""The house rules, checked on the whole tree."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache

import pytest
import yaml

from tests.tidy import budgets, shape
from tests.tidy.tree import ROOT, Finding, Module, python_modules, text_files

EXCEPTIONS = yaml.safe_load((ROOT / "tests/tidy/exceptions.yaml").read_text("utf-8")) or {}


@cache
def _modules() -> list[Module]:
    return python_modules()


def _each(rule: Callable[[Module], Iterable[Finding]]) -> Callable[[], list[Finding]]:
    return lambda: [finding for module in _modules() for finding in rule(module)]


RULES: dict[str, Callable[[], list[Finding]]] = {
    "file_length": _each(budgets.file_length),
    "function_length": _each(budgets.function_length),
    "function_branches": _each(budgets.function_branches),
    "class_methods": _each(budgets.class_methods),
    "parameters": _each(budgets.parameters),
    "lazy_imports": _each(shape.lazy_imports),
    "pure_core": _each(shape.pure_core),
    "docstrings": _each(lambda module: shape.docstrings(module, shape.documented_ports(_modules()))),
    "test_sentences": _each(shape.test_sentences),
    "workplace": lambda: [finding for path, text in text_files() for finding in shape.workplace(path, text)],
    "import_rings": lambda: list(shape.import_rings(_modules())),
}


@pytest.mark.parametrize("rule", RULES)
def test_the_tree_keeps_the_rule(rule: str) -> None:
    """Every file keeps every rule, but for the listed exceptions, none of which is worse than listed."""
    allowed = {entry["place"]: entry.get("limit", 0) for entry in EXCEPTIONS.get(rule, ())}
    breaches = [
        f"{finding.place}: {finding.detail}"
        for finding in RULES[rule]()
        if finding.place not in allowed or finding.measure > allowed[finding.place]
    ]
    assert not breaches, f"{rule}:\n  " + "\n  ".join(breaches)


@pytest.mark.parametrize("rule", sorted({*RULES, *EXCEPTIONS}))
def test_no_exception_outlives_its_need(rule: str) -> None:
    """An exception names an existing rule, gives its reason, and goes when its place keeps the rule again."""
    assert rule in RULES, f"exceptions.yaml: no rule named {rule}"
    found = {finding.place for finding in RULES[rule]()}
    for entry in EXCEPTIONS.get(rule, ()):
        assert entry.get("why"), f"{entry['place']}: say why"
        assert entry["place"] in found, f"{entry['place']} keeps {rule} now: strike it from exceptions.yaml"
