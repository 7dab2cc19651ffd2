"""From facts to HTML: templates, words, and times as people on the spot read them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from schemas.config import Language, Rules
from web.assets import Assets
from web.texts import known, language_of, text

LANGUAGE_COOKIE = "tocsin_lang"


class View:
    """Renders templates. `now_ms` is the engine's clock, so that "5 min left" agrees with what the engine decides."""

    def __init__(self, rules: Rules, assets: Assets, now_ms: Callable[[], int]) -> None:
        self._rules, self._now_ms = rules, now_ms
        self._zone = ZoneInfo(rules.timezone)
        folder = FileSystemLoader(Path(__file__).parent / "templates")
        self._templates = Environment(
            loader=folder, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        self._templates.globals["asset"] = assets.url
        self._templates.filters.update(
            local=self.local,
            local_minute=self.local_minute,
            hour=self.hour,
            short=self.short,
            actor=_actor,
            safe_link=_safe_link,
        )

    def language(self, request: Request) -> Language:
        """The language of this browser: what was switched to, else the installation's."""
        return language_of(request.cookies.get(LANGUAGE_COOKIE), default=self._rules.language)

    def words(self, request: Request) -> Callable[..., str]:
        """`words(key, **values)`: texts in the language of this browser."""
        return partial(text, self.language(request))

    def page(self, request: Request, template: str, *, status: int = 200, **facts: Any) -> HTMLResponse:
        """One page, or a fragment of one."""
        t = self.words(request)

        def tell(kind: str, code: str) -> str:
            """The word for a code of the engine (a state, a clock, an event type); an unknown one as it is."""
            return t(f"{kind}.{code}") if known(f"{kind}.{code}") else str(code)

        session = getattr(request.state, "session", None)
        now = self._now_ms()
        body = self._templates.get_template(template).render(
            facts,
            t=t,
            tell=tell,
            known=known,
            lang=self.language(request),
            session=session,
            path=request.url.path,
            query=request.url.query,
            now_ms=now,
            zone=self._rules.timezone,
            span=lambda ms: span(t, ms),
            ago=lambda ms: t("time.ago", span=span(t, now - ms)) if now - ms >= 60_000 else t("time.just_now"),
        )
        return HTMLResponse(body, status)

    def local(self, at_ms: int) -> str:
        """Date and time to the second, in the installation's time zone."""
        return self._at(at_ms).strftime("%Y-%m-%d %H:%M:%S")

    def local_minute(self, at_ms: int) -> str:
        """Month, day and time to the minute."""
        return self._at(at_ms).strftime("%m-%d %H:%M")

    def short(self, at_ms: int, beside_ms: int) -> str:
        """The time of day to the minute, with its date where that differs from the date of `beside_ms`."""
        at, beside = self._at(at_ms), self._at(beside_ms)
        return at.strftime("%H:%M" if at.date() == beside.date() else "%m-%d %H:%M")

    def hour(self, at_ms: int) -> str:
        """The time of day to the second."""
        return self._at(at_ms).strftime("%H:%M:%S")

    def _at(self, at_ms: int) -> datetime:
        return datetime.fromtimestamp(at_ms / 1000, self._zone)


def span(t: Callable[..., str], ms: int) -> str:
    """A length of time in its two largest units: 3 h 05 min; under a minute in seconds."""
    seconds = abs(int(ms)) // 1000
    days, hours, minutes = seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return t("time.days_hours", days=days, hours=hours) if hours else t("time.days", days=days)
    if hours:
        return t("time.hours_minutes", hours=hours, minutes=minutes) if minutes else t("time.hours", hours=hours)
    return t("time.minutes", minutes=minutes) if minutes else t("time.seconds", seconds=seconds)


def _actor(actor: str) -> str:
    """``user:li`` as ``li``: the kind of actor is told by the row it stands in."""
    return actor.removeprefix("user:").removeprefix("person:")


def _safe_link(url: str) -> str:
    """A link from an alert, or nothing where it is not plain http(s): never ``javascript:``."""
    return url if url.startswith(("http://", "https://")) else ""
