"""Looks at an installation's own templates before they are used: each is rendered for every kind of notice.

It runs in a process of its own, `python -m notifiers.template_check FOLDER`, within limits of time and memory, so that
a template that never ends or makes a gigabyte of a line harms nobody.
"""

from __future__ import annotations

import contextlib
import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jinja2 import TemplateError

from notifiers import rendering
from notifiers.templates import FILE_BYTES, kinds_of
from schemas.errors import ConfigError
from schemas.events import Notice

CPU_S = 3
"""All templates together; our own take a few milliseconds."""
MEMORY_BYTES = 1 << 30
PATIENCE_S = 60


def check(folder: Path) -> None:
    """Raises ConfigError with the file, the line and what is wrong, for the first template that cannot be used."""
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {folder}", key="templates")
    command = [sys.executable, "-m", "notifiers.template_check", str(folder.resolve())]
    root = Path(__file__).resolve().parents[1]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        raise ConfigError("rendering them does not come to an end", file=str(folder), key="templates") from None
    if done.returncode == 0:
        return
    with contextlib.suppress(ValueError, KeyError, IndexError):
        wrong = json.loads(done.stdout.strip().splitlines()[-1])
        raise ConfigError(wrong["problem"], file=str(folder / wrong["file"]), line=wrong["line"], key="templates")
    raise ConfigError("rendering them takes too much time or memory", file=str(folder), key="templates")


def problems(folder: Path) -> Iterator[tuple[str, int | None, str]]:
    """What is wrong, as (file, line, problem), without any limits; see `check`."""
    templates = rendering.templates_in(folder)
    for name in sorted(templates.names):
        kinds = kinds_of(name)
        if not kinds:
            yield name, None, "no channel uses a template of this name"
            continue
        if (folder / name).stat().st_size > FILE_BYTES:
            yield name, None, f"is larger than {FILE_BYTES} bytes"
            continue
        for kind in kinds:
            wrong = next(_wrong(templates, name, kind), None)
            if wrong is not None:
                yield name, *wrong
                break


def _wrong(templates: Any, name: str, kind: str) -> Iterator[tuple[int | None, str]]:
    language = "zh" if "zh" in name.rsplit("/", 1)[-1].split(".") else "en"
    for notice in examples(kind, language):
        try:
            text = templates.strictly(name, notice, **rendering.words_for(name, notice))
        except TemplateError as wrong:
            yield getattr(wrong, "lineno", None), f"{kind}: {wrong.message or type(wrong).__name__}"
        except (ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as wrong:
            yield None, f"{kind}: {type(wrong).__name__}: {wrong}"
        else:
            if not text.strip():
                yield None, f"{kind}: an empty message"


def examples(kind: str, language: str) -> Iterator[Notice]:
    """A plausible notice, one with nothing but what every notice has, and one with names of the greatest length."""
    over = kind == "resolved"
    fields: dict[str, Any] = {
        "kind": kind, "incident": "INC-7", "title": "database connections exhausted", "priority": "P1",
        "severity": "critical", "state": "resolved" if over else "triggered", "service": "billing",
        "opened_ms": 1_760_000_000_000, "at_ms": 1_760_000_600_000, "alert_count": 12, "language": language,
    }  # fmt: skip
    more = {
        "alerts": ["Latency @ 10.0.0.1"] * 10,
        "assignee": "李雷",
        "reason": "5xx",
        "url": "http://t/incidents/INC-7",
    }
    yield Notice(**(fields | more))
    yield Notice(**(fields | {"service": "", "alert_count": 0}))
    long = "警" * 5_000
    yield Notice(**(fields | more | {"title": long, "service": long, "alerts": [long] * 10, "reason": long}))


def main() -> None:
    """Check the folder that is named, within limits; the first problem goes to standard output as JSON."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    for file, line, problem in problems(Path(sys.argv[1])):
        print(json.dumps({"file": file, "line": line, "problem": problem}))
        sys.exit(1)


if __name__ == "__main__":
    main()
