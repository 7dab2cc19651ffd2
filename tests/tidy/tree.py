"""The source tree as the tidiness rules see it: files, parsed once, and what a rule finds in them."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("schemas", "detectors", "engine", "projections", "notifiers", "sources", "web", "packs")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Finding:
    """One breach: the place (``file`` or ``file::Class.function``), and the measure where the rule has a limit."""

    place: str
    detail: str
    measure: int = 0


@dataclass(frozen=True)
class Module:
    """One Python file: its path from the root and its text."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed file."""
        return ast.parse(self.text, self.path)

    @cached_property
    def functions(self) -> list[tuple[str, Function]]:
        """Every function with its dotted place in the file, nested ones too."""
        return [(name, node) for name, node in _named(self.tree, "") if isinstance(node, Function)]

    @cached_property
    def classes(self) -> list[tuple[str, ast.ClassDef]]:
        """Every class with its dotted place in the file."""
        return [(name, node) for name, node in _named(self.tree, "") if isinstance(node, ast.ClassDef)]

    @property
    def room(self) -> str:
        """The top folder."""
        return self.path.split("/", 1)[0]

    @property
    def dotted(self) -> str:
        """The import name."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _named(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.AST]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function | ast.ClassDef):
            name = f"{prefix}{child.name}"
            yield name, child
            yield from _named(child, f"{name}.")
        else:
            yield from _named(child, prefix)


def tracked_files() -> list[str]:
    """Paths of all files that git tracks or would track; of all but hidden ones outside a clone."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=False,
    )
    if listed.returncode == 0:
        names = [name for name in listed.stdout.decode().split("\0") if name]
    else:
        names = [str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file()]
        names = [
            name for name in names if not name.startswith((".venv/", "var/", ".git/")) and "__pycache__" not in name
        ]
    return sorted(name for name in set(names) if (ROOT / name).is_file())


def python_modules() -> list[Module]:
    """All tracked Python files."""
    return [Module(name, (ROOT / name).read_text("utf-8")) for name in tracked_files() if name.endswith(".py")]


def text_files() -> list[tuple[str, str]]:
    """All tracked files that are text, with their content."""
    found = []
    for name in tracked_files():
        content = (ROOT / name).read_bytes()
        if b"\0" not in content[:8192]:
            found.append((name, content.decode("utf-8", "replace")))
    return found
