"""When reports are mailed, by which channel and in which forms: the section `reports` of `tocsin.yaml`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.sections import NameOrNone, Section


class ReportMailing(Section):
    """Daily, weekly and monthly reports by e-mail, once the period is over; off without a channel."""

    email: NameOrNone = ""
    """The name of a channel of type ``email``: reports go to its recipients."""
    every: tuple[Literal["daily", "weekly", "monthly"], ...] = ("weekly", "monthly")
    at: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = "08:00"
    """The time of day in `rules.timezone`: on the next day, on Monday, on the first of the month."""
    formats: tuple[Literal["html", "xlsx", "pdf"], ...] = ("xlsx", "pdf")
    """What is attached; the mail itself is the page. A PDF needs the font Noto Sans CJK on the server."""
