"""One template environment for every channel: sandboxed, strict about names, local time, words in zh and en."""

from __future__ import annotations

import datetime
import functools
import re
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from notifiers.templates import BUILT_IN, Templates
from schemas.events import Notice

Language = Literal["zh", "en"]

ALERTS_SHOWN = 10
"""Alerts named in one message; the rest is a number. The console has them all."""
LINE_BYTES = 400
"""The longest title or other single line in a message, in UTF-8 bytes."""

WORDS: dict[Language, dict[str, str]] = {
    "zh": {
        "opened": "新事件", "raised": "升级", "reopened": "再次发生", "resolved": "已恢复", "breached": "超时",
        "test": "通道测试", "group": "告警组",
        "critical": "紧急", "major": "重要", "warning": "警告", "info": "提示",
        "triggered": "待响应", "acknowledged": "已响应", "assigned": "已指派", "diagnosing": "分析定位",
        "mitigated": "已止损", "closed": "已关闭", "in_review": "复盘中", "merged": "已合并", "false_alarm": "误报",
    },
    "en": {
        "opened": "New incident", "raised": "Raised", "reopened": "Reopened", "resolved": "Resolved",
        "breached": "Overdue", "test": "Channel test", "group": "Alert group",
        "critical": "Critical", "major": "Major", "warning": "Warning", "info": "Info",
        "triggered": "waiting for a response", "acknowledged": "acknowledged", "assigned": "assigned",
        "diagnosing": "being diagnosed", "mitigated": "mitigated", "closed": "closed", "in_review": "in review",
        "merged": "merged", "false_alarm": "false alarm",
    },
}  # fmt: skip


def truncate_bytes(text: str, limit: int, ellipsis: str = "…") -> str:
    """`text` in at most `limit` UTF-8 bytes, `ellipsis` included; no character is ever split.

    >>> truncate_bytes("警钟长鸣", 9)
    '警钟…'
    >>> truncate_bytes("警钟", 6)
    '警钟'
    """
    raw = text.encode(errors="replace")
    if len(raw) <= limit:
        return text
    mark = ellipsis.encode()
    if len(mark) > limit:
        return ""
    return raw[: limit - len(mark)].decode(errors="ignore") + ellipsis


def with_link(text: str, limit: int, link: str) -> str:
    """`text` in at most `limit` UTF-8 bytes; where it has to be cut, `link` is put behind the cut.

    >>> with_link("警钟长鸣 http://t/1", 20, "http://t/1")
    '警钟…\\nhttp://t/1'
    """
    if not link or len(text.encode(errors="replace")) <= limit:
        return truncate_bytes(text, limit)
    tail = f"\n{link}"
    return truncate_bytes(text, limit - len(tail.encode(errors="replace"))) + tail


def one_line(text: str) -> str:
    """Without line breaks and control characters, in at most `LINE_BYTES` bytes: fit for a header or a list item."""
    whole = text.encode(errors="replace").decode()  # half an emoji is no UTF-8 and must not stop a page
    return truncate_bytes(re.sub(r"[\s\x00-\x1f\x7f\u2028\u2029]+", " ", whole).strip(), LINE_BYTES)


def plain(text: str) -> str:
    """One line in which Markdown links and pictures no longer work: names come from outside."""
    return one_line(text).replace("](", "] (")


def word(name: str, language: Language) -> str:
    """The word people use for a kind, a severity or a state; an unknown one is shown as it is."""
    return WORDS[language].get(name, name)


def local_time(at_ms: int, timezone: str) -> str:
    """UTC milliseconds as wall-clock time in `timezone`, with its offset.

    >>> local_time(0, "Asia/Shanghai")
    '1970-01-01 08:00:00 +08:00'
    """
    at = datetime.datetime.fromtimestamp(at_ms / 1000, ZoneInfo(timezone))
    offset = at.strftime("%z")
    return f"{at:%Y-%m-%d %H:%M:%S} {offset[:3]}:{offset[3:5]}"


def duration(span_ms: int, language: Language) -> str:
    """A span of milliseconds in its two largest units.

    >>> duration(3_725_000, "zh"), duration(3_725_000, "en")
    ('1 小时 2 分钟', '1 h 2 min')
    """
    units = ("天", "小时", "分钟", "秒") if language == "zh" else ("d", "h", "min", "s")
    left = max(0, span_ms) // 1000
    parts: list[str] = []
    for size, unit in zip((86_400, 3600, 60, 1), units, strict=True):
        count, left = divmod(left, size)
        if count or (size == 1 and not parts):
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])


def _add_helpers(environment: Environment) -> None:
    environment.filters.update(
        one_line=one_line, plain=plain, word=word, local_time=local_time, duration=duration, bytes=truncate_bytes
    )
    environment.globals["ALERTS_SHOWN"] = ALERTS_SHOWN


@functools.cache
def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(BUILT_IN),
        undefined=StrictUndefined,
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    _add_helpers(environment)
    return environment


def templates_in(folder: Path | None) -> Templates:
    """An installation's own templates, with the filters that ours have."""
    return Templates(folder, _add_helpers)


_own = templates_in(None)


def use(templates: Templates) -> None:
    """Render with these from now on; for the whole process, as channels have no say in it."""
    global _own
    _own = templates


def own_version() -> str:
    """The version of the installation's own templates; empty if it has none."""
    return _own.version


def render(template: str, notice: Notice) -> str:
    """The text of `template` (``email/zh.txt.j2``) for one notice: the installation's own, else ours.

    Raises jinja2.TemplateError only where ours fails, which is a bug.
    """
    words = words_for(template, notice)
    text = _own.render(template, notice, **words)
    return (_environment().get_template(template).render(notice=notice, **words) if text is None else text).strip()


def words_for(template: str, notice: Notice) -> dict[str, str]:
    """What a template knows besides the notice."""
    return {} if template.startswith("headline.") else {"headline": headline(notice)}


def headline(notice: Notice) -> str:
    """The one line that every channel begins with: priority, severity, kind, incident, title."""
    return one_line(render(f"headline.{notice.language}.j2", notice))
