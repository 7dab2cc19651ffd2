"""Several notices in one message, for when a robot's rate makes them wait: the most urgent first, each with a link."""

from __future__ import annotations

from collections.abc import Sequence

from notifiers.rendering import headline, one_line, plain
from schemas.events import Notice

TITLES = {"zh": "警钟：{count} 个事件有新消息", "en": "Tocsin: news of {count} incidents"}
MORE = {"zh": "… 另有 {count} 个，请查看控制台", "en": "… and {count} more, see the console"}


def title(notices: Sequence[Notice]) -> str:
    """How many incidents it is about."""
    return TITLES[notices[0].language].format(count=len(_latest(notices)))


def text(notices: Sequence[Notice], limit: int, *, markdown: bool) -> str:
    """One line for each incident, as it stands by its last notice, in at most `limit` UTF-8 bytes.

    What does not fit is a number at the end, with a link to the console.
    """
    told = _latest(notices)
    language = told[0].language
    console = told[0].url.partition("/incidents/")[0]
    ending = f"{MORE[language].format(count=len(told))} {console}"
    left = limit - len(ending.encode(errors="replace")) - 2
    lines: list[str] = []
    for notice in told:
        line = _line(notice, markdown=markdown)
        left -= len(line.encode(errors="replace")) + 1
        if left < 0:
            break
        lines.append(line)
    if rest := len(told) - len(lines):
        lines.append(f"{MORE[language].format(count=rest)} {console}".strip())
    return "\n".join(lines)


def _latest(notices: Sequence[Notice]) -> list[Notice]:
    by_incident: dict[str, Notice] = {notice.incident: notice for notice in notices}
    return sorted(by_incident.values(), key=lambda notice: notice.priority)


def _line(notice: Notice, *, markdown: bool) -> str:
    if markdown:
        said = plain(headline(notice)).replace("[", "［").replace("]", "］")
        return f"- [{said}]({notice.url})" if notice.url else f"- {said}"
    return f"{one_line(headline(notice))} {notice.url}".strip()
