"""Budgets on size: how much a reader must hold in mind at once."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.tidy.tree import Finding, Function, Module

FILE_LINES = 400
FUNCTION_LINES = 50
BRANCHES = 10
PUBLIC_METHODS = 12
PARAMETERS = 6


def file_length(module: Module) -> Iterator[Finding]:
    """A file has at most FILE_LINES lines."""
    lines = len(module.text.splitlines())
    if lines > FILE_LINES:
        yield Finding(module.path, f"{lines} lines, at most {FILE_LINES}", lines)


def function_length(module: Module) -> Iterator[Finding]:
    """A function has at most FUNCTION_LINES lines, its docstring not counted."""
    for name, node in module.functions:
        lines = (node.end_lineno or node.lineno) - node.lineno + 1 - _docstring_lines(node)
        if lines > FUNCTION_LINES:
            yield Finding(f"{module.path}::{name}", f"{lines} lines, at most {FUNCTION_LINES}", lines)


def function_branches(module: Module) -> Iterator[Finding]:
    """A function has at most BRANCHES branches; a `match` over a closed union is read as a table and counts once."""
    for name, node in module.functions:
        branches = sum(_is_branch(inner) for inner in _own_nodes(node))
        if branches > BRANCHES:
            yield Finding(f"{module.path}::{name}", f"{branches} branches, at most {BRANCHES}", branches)


def class_methods(module: Module) -> Iterator[Finding]:
    """A class has at most PUBLIC_METHODS public methods."""
    for name, node in module.classes:
        methods = {inner.name for inner in node.body if isinstance(inner, Function) and not inner.name.startswith("_")}
        if len(methods) > PUBLIC_METHODS:
            yield Finding(
                f"{module.path}::{name}", f"{len(methods)} public methods, at most {PUBLIC_METHODS}", len(methods)
            )


def parameters(module: Module) -> Iterator[Finding]:
    """A function takes at most PARAMETERS parameters, self and cls not counted."""
    for name, node in module.functions:
        given = [arg.arg for arg in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
        count = len(given) - (1 if given[:1] in (["self"], ["cls"]) else 0)
        if count > PARAMETERS:
            yield Finding(f"{module.path}::{name}", f"{count} parameters, at most {PARAMETERS}", count)


def _docstring_lines(node: Function) -> int:
    first = node.body[0]
    if ast.get_docstring(node, clean=False) is None or first.end_lineno is None:
        return 0
    return first.end_lineno - first.lineno + 1


def _own_nodes(function: Function) -> Iterator[ast.AST]:
    """Everything inside a function but what belongs to a function within it."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, Function | ast.Lambda | ast.ClassDef):
            waiting.extend(ast.iter_child_nodes(node))


def _is_branch(node: ast.AST) -> bool:
    kinds = (ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.Match)
    return isinstance(node, kinds) or (isinstance(node, ast.match_case) and node.guard is not None)
