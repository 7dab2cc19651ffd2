"""Rules on shape: imports at the top, no rings, a pure core, words where a reader needs them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from tests.tidy.tree import ROOMS, Finding, Function, Module

OPTIONAL = frozenset({"uvloop", "faust", "aiokafka"})
"""Packages that only one runtime needs: to import them where they are used is allowed."""

IMPURE_MODULES = frozenset(
    [
        "aiohttp",
        "asyncio",
        "faust",
        "httpx2",
        "io",
        "logging",
        "multiprocessing",
        "os",
        "pathlib",
        "random",
        "requests",
        "secrets",
        "shutil",
        "signal",
        "socket",
        "sqlalchemy",
        "ssl",
        "structlog",
        "subprocess",
        "sys",
        "tempfile",
        "threading",
        "time",
        "urllib.request",
        "uuid",
    ]
)
IMPURE_CALLS = frozenset({"open", "input", "print", "exec", "eval", "breakpoint", "__import__", "id", "hash"})
"""`id` and `hash` differ from process to process (hash randomisation), so replay would not give the log again."""
IMPURE_METHODS = frozenset({"now", "utcnow", "today"})

_CORE = re.compile(r"^(engine/core(\.py|/.*)|engine/intake\w*(\.py|/.*)|engine/machines/.*|detectors/.*)$")

REGISTRIES = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("yarnpkg", "com"), ("proxy.golang", "org"),
        ("crates", "io"), ("deb.debian", "org"), ("docker", "io"), ("ghcr", "io"), ("maven", "org"),
    )
)  # fmt: skip
_WORKPLACE = re.compile(r"(?<![\w.-])/" + r"work/")


def lazy_imports(module: Module) -> Iterator[Finding]:
    """Imports stand at the top of the file, where a reader and the import contracts see them."""
    for name, node in module.functions:
        for inner in ast.walk(node):
            for imported in _imported(inner, module):
                if imported.split(".")[0] not in OPTIONAL:
                    yield Finding(f"{module.path}::{name}", f"imports {imported} inside a function")


def pure_core(module: Module) -> Iterator[Finding]:
    """The core has no clock, no dice, no files and no network: the same records give the same events, always."""
    if not _CORE.match(module.path):
        return
    for node in ast.walk(module.tree):
        for imported in _imported(node, module):
            if imported in IMPURE_MODULES or imported.split(".")[0] in IMPURE_MODULES:
                yield Finding(module.path, f"line {node.lineno}: imports {imported}")
        if isinstance(node, ast.Call):
            called = _called(node)
            if called in IMPURE_CALLS or (called.rpartition(".")[2] in IMPURE_METHODS and "." in called):
                yield Finding(module.path, f"line {node.lineno}: calls {called}()")


def docstrings(module: Module, ports: Iterable[str] = ()) -> Iterator[Finding]:
    """Public modules, classes and functions say in one sentence what they are, in domain words.

    A method that answers to a port (`ports`: names that a documented Protocol declares) is documented there.
    """
    if module.room not in (*ROOMS, "demo", "bench"):
        return
    if module.tree.body and not ast.get_docstring(module.tree):
        yield Finding(module.path, "module without docstring")
    for name, node in (*module.classes, *module.functions):
        if _is_public(module, name) and not ast.get_docstring(node) and not _is_exempt(node, name, frozenset(ports)):
            yield Finding(f"{module.path}::{name}", "public, without docstring")


def test_sentences(module: Module) -> Iterator[Finding]:
    """Every test says in a sentence what it holds Tocsin to."""
    if module.room != "tests":
        return
    for name, node in module.functions:
        if node.name.startswith("test_") and not ast.get_docstring(node) and _is_collected(module):
            yield Finding(f"{module.path}::{name}", "test without a sentence")


test_sentences.__test__ = False  # type: ignore[attr-defined]  # a rule about tests, not one of them


def workplace(path: str, text: str) -> Iterator[Finding]:
    """No host of a package registry and no absolute path of somebody's workplace in any file."""
    for number, line in enumerate(text.splitlines(), 1):
        for host in REGISTRIES:
            if host in line and not path.endswith((".min.js", "LICENSE")):
                yield Finding(path, f"line {number}: names {host}")
        if _WORKPLACE.search(line):
            yield Finding(path, f"line {number}: an absolute workplace path")


def documented_ports(modules: Iterable[Module]) -> frozenset[str]:
    """Names of methods that a Protocol or an abstract class declares with a docstring."""
    found = set()
    for module in modules:
        for _, node in module.classes:
            bases = {ast.unparse(base).split("[")[0].rpartition(".")[2] for base in node.bases}
            if bases & {"Protocol", "ABC"}:
                found |= {m.name for m in node.body if isinstance(m, Function) and ast.get_docstring(m)}
    return frozenset(found)


def import_rings(modules: list[Module]) -> Iterator[Finding]:
    """No module imports itself through others."""
    ours = {module.dotted for module in modules}
    graph: dict[str, set[str]] = {}
    for module in modules:
        edges: set[str] = set()
        for node in _at_import_time(module.tree):
            for imported in _imported(node, module, names=True):
                target = imported if imported in ours else imported.rpartition(".")[0]
                if target in ours and target != module.dotted:
                    edges.add(target)
        graph[module.dotted] = edges
    for ring in _rings(graph):
        yield Finding(ring[0], "import ring: " + " -> ".join((*ring, ring[0])))


def _at_import_time(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from _at_import_time(child)


def _imported(node: ast.AST, module: Module, *, names: bool = False) -> list[str]:
    """The modules that an import statement names; with `names`, also `module.name` for what it takes from them."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    origin = node.module or ""
    if node.level:
        package = module.dotted.split(".")
        keep = len(package) - node.level + (1 if module.path.endswith("__init__.py") else 0)
        origin = ".".join([*package[:keep], *([origin] if origin else [])])
    return [f"{origin}.{alias.name}" for alias in node.names] if names else [origin]


def _called(node: ast.Call) -> str:
    return ast.unparse(node.func) if isinstance(node.func, ast.Name | ast.Attribute) else ""


def _is_public(module: Module, name: str) -> bool:
    nested_in_function = any(name.startswith(f"{outer}.") for outer, _ in module.functions)
    return not nested_in_function and not any(part.startswith("_") for part in name.split("."))


def _is_exempt(node: ast.ClassDef | Function, name: str, ports: frozenset[str]) -> bool:
    decorators = {ast.unparse(decorator).rpartition(".")[2] for decorator in node.decorator_list}
    return bool(decorators & {"overload", "override", "setter"}) or ("." in name and node.name in ports)


def _is_collected(module: Module) -> bool:
    return module.path.rpartition("/")[2].startswith("test_")


def _rings(graph: dict[str, set[str]]) -> list[list[str]]:
    """Strongly connected components of more than one module (Tarjan 1972), each sorted by name."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    rings: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in sorted(graph.get(node, ())):
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            component = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(component) > 1:
                rings.append(sorted(component))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return rings
