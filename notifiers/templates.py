"""An installation's own message templates: sandboxed, bounded, versioned; a built-in one stands behind each.

A folder holds files named as the built-in ones are (``dingtalk/zh.md.j2``, ``headline.en.j2``), or with a kind of
notice in their names for that kind only (``email/zh.resolved.txt.j2``). A template of one's own that fails while a
message is rendered is left aside for that message: nobody goes unpaged because of it.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import structlog
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined, Template, TemplateError
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from schemas.events import Notice, NoticeKind

OUTPUT_CHARS = 60_000
"""No channel takes more; whatever renders longer is cut off in the middle of rendering."""
FILE_BYTES = 32_768
"""The largest template file."""
BUILT_IN = Path(__file__).parent
ALLOWED_FILTERS = ("default", "d", "e", "escape", "first", "int", "join", "last", "length", "lower", "trim", "upper")
"""Of Jinja's own: none that makes much of little (center, format, indent, …)."""

_NAME = re.compile(rf"(?P<head>.*?(?:zh|en))(?:\.(?P<kind>{'|'.join(get_args(NoticeKind))}))?(?P<tail>\..*j2)")
log = structlog.get_logger(__name__)


class _Sandbox(ImmutableSandboxedEnvironment):
    """No methods, no multiplying: a template shows the notice and decides by it, and does nothing else."""

    intercepted_binops = frozenset(("*", "**", "%"))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Refuse what could make a long text of a short one."""
        raise SecurityError(f"{operator} is not allowed in a message")

    def wrap_str_format(self, value: Any) -> None:
        """`format` is a method like any other."""
        return

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Fields only."""
        return not callable(value) and super().is_safe_attribute(obj, attr, value)


class Templates:
    """The templates of one folder over the built-in ones, as they were when this was made."""

    def __init__(self, folder: Path | None, helpers: Callable[[Environment], None]) -> None:
        """`helpers` adds our own filters and globals to an environment."""
        self.folder = folder
        self.names = frozenset(_files(folder)) if folder else frozenset()
        self._environment = _Sandbox(
            loader=ChoiceLoader([FileSystemLoader(path) for path in (folder, BUILT_IN) if path]),
            undefined=StrictUndefined,
            autoescape=lambda name: name is not None and name.endswith(".html.j2"),
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment = self._environment
        environment.filters = {name: environment.filters[name] for name in ALLOWED_FILTERS}
        environment.globals.clear()
        helpers(environment)

    @functools.cached_property
    def version(self) -> str:
        """Twelve hex digits of SHA-256 over all files; empty without any."""
        digest = hashlib.sha256()
        for name in sorted(self.names):
            assert self.folder is not None
            digest.update(f"{name}\0".encode() + (self.folder / name).read_bytes() + b"\0")
        return digest.hexdigest()[:12] if self.names else ""

    def render(self, name: str, notice: Notice, **words: str) -> str | None:
        """The text of the folder's template for `name`; None where it has none, or where that fails."""
        for candidate in candidates(name, notice.kind):
            if candidate in self.names:
                try:
                    return self.strictly(candidate, notice, **words)
                except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as wrong:
                    log.error("template_failed", template=candidate, incident=notice.incident, error=str(wrong))
                    return None
        return None

    def strictly(self, name: str, notice: Notice, **words: str) -> str:
        """The same of exactly one file, with its errors. Raises jinja2.TemplateError and what expressions raise."""
        return _bounded(self._environment.get_template(name), notice=notice, **words)


def _bounded(template: Template, **context: Any) -> str:
    parts: list[str] = []
    left = OUTPUT_CHARS
    for part in template.generate(**context):
        left -= len(part)
        if left < 0:
            raise SecurityError(f"the message is longer than {OUTPUT_CHARS} characters")
        parts.append(part)
    return "".join(parts)


def candidates(name: str, kind: str) -> tuple[str, str]:
    """Where a template for one kind of notice is looked for.

    >>> candidates("email/zh.txt.j2", "resolved")
    ('email/zh.resolved.txt.j2', 'email/zh.txt.j2')
    """
    found = _NAME.fullmatch(name)
    assert found is not None, name
    return f"{found['head']}.{kind}{found['tail']}", name


def kinds_of(name: str) -> tuple[str, ...]:
    """The kinds of notice that a file is used for; none if no channel would ever use it."""
    found = _NAME.fullmatch(name)
    if found is None or not (BUILT_IN / f"{found['head']}{found['tail']}").is_file():
        return ()
    return (found["kind"],) if found["kind"] else get_args(NoticeKind)


def _files(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.j2")) if path.is_file()]
