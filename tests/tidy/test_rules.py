"""Each house rule finds a planted fault, and leaves its neighbour alone: a rule that sees nothing guards nothing."""

from __future__ import annotations

import pytest

from tests.tidy import budgets, shape
from tests.tidy.tree import Module


def _module(text: str, path: str = "engine/sample.py") -> Module:
    return Module(path, text)


def test_long_files_and_functions_are_found() -> None:
    """The 401st line of a file and the 51st of a function are too many; the docstring does not count."""
    body = "\n".join("    x = 1" for _ in range(49))
    assert not list(budgets.function_length(_module(f'def f():\n    """A\n    B\n    """\n{body}')))
    assert [f.measure for f in budgets.function_length(_module(f"def f():\n{body}\n    x = 2"))] == [51]
    assert not list(budgets.file_length(_module("x = 1\n" * 400)))
    assert [f.measure for f in budgets.file_length(_module("x = 1\n" * 401))] == [401]


def test_branches_are_counted_but_a_match_is_a_table() -> None:
    """Eleven ifs are too many, eleven cases are one branch, and what an inner function does is its own."""
    ifs = "\n".join(f"    if x == {n}:\n        y = 1" for n in range(11))
    cases = "\n".join(f"        case {n}:\n            y = 1" for n in range(11))
    inner = "    def g():\n" + "\n".join(f"    {line}" for line in ifs.splitlines())
    assert [f.measure for f in budgets.function_branches(_module(f"def f(x):\n{ifs}"))] == [11]
    assert not list(budgets.function_branches(_module(f"def f(x):\n    match x:\n{cases}")))
    assert [f.place for f in budgets.function_branches(_module(f"def f(x):\n{inner}"))] == ["engine/sample.py::f.g"]


def test_wide_classes_and_signatures_are_found() -> None:
    """Thirteen public methods, or seven parameters besides self, are too many."""
    methods = "\n".join(f"    def m{n}(self): ..." for n in range(13))
    assert [f.measure for f in budgets.class_methods(_module(f"class C:\n{methods}"))] == [13]
    assert not list(budgets.parameters(_module("class C:\n    def m(self, a, b, c, d, e, *, f): ...")))
    assert [f.measure for f in budgets.parameters(_module("def m(a, b, c, d, e, f, *, g): ..."))] == [7]


def test_an_import_inside_a_function_is_found() -> None:
    """A lazy import is a breach unless its package is optional."""
    assert list(shape.lazy_imports(_module("def f():\n    import json")))
    assert not list(shape.lazy_imports(_module("def f():\n    import uvloop")))


@pytest.mark.parametrize(
    "line",
    [
        "import time",
        "from os import environ",
        "import random as r",
        "from urllib.request import urlopen",
        "x = open('f')",
        "x = datetime.now()",
        "x = datetime.date.today()",
        "x = hash('a')",
    ],
)
@pytest.mark.parametrize(
    "path", ["engine/core.py", "engine/intake_fold.py", "engine/machines/sla.py", "detectors/a/b.py"]
)
def test_impurity_in_the_core_is_found(path: str, line: str) -> None:
    """Clock, dice, files and network are breaches in the core, and nowhere else."""
    assert list(shape.pure_core(_module(line, path)))
    assert not list(shape.pure_core(_module(line, "engine/runtime/embedded.py")))


def test_missing_words_are_found() -> None:
    """A public name without docstring is a breach; a private one and one that a port documents are not."""
    methods = '    """C."""\n    def apply(self): ...\n    def odd(self): ...'
    text = f'"""M."""\ndef f(): ...\ndef _g(): ...\nclass C:\n{methods}'
    places = [finding.place for finding in shape.docstrings(_module(text), ports={"apply"})]
    assert places == ["engine/sample.py::f", "engine/sample.py::C.odd"]
    assert list(shape.test_sentences(_module("def test_x(): ...", "tests/unit/test_y.py")))


def test_rings_are_found_through_packages_and_relative_imports() -> None:
    """A ring of imports is named once, whatever spelling closes it; imports for type checking only do not count."""
    ring = [_module("from web.b import x", "web/a.py"), _module("from . import a", "web/b.py")]
    assert [finding.detail for finding in shape.import_rings(ring)] == ["import ring: web.a -> web.b -> web.a"]
    late = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from web import a"
    assert not list(shape.import_rings([ring[0], _module(late, "web/b.py")]))


def test_workplace_traces_are_found() -> None:
    """A registry's host and an absolute workplace path are breaches; a folder of that name in a URL is not."""
    assert list(shape.workplace("a.md", f"get it from {shape.REGISTRIES[0]}"))
    assert list(shape.workplace("a.md", "see /" + "work/x"))
    assert not list(shape.workplace("a.md", "https://example.com/work/x"))
