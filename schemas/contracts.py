"""Service contracts as part of the rules: who provides what to whom, in which periods, and who assesses it (R12)."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Self

from pydantic import Field, model_validator

from schemas.calendars import add_working_days, chinese_working_days
from schemas.sections import Name, Section

DOCUMENTS_DUE_DAYS = 15
"""Working days after a period by which its documents must be there (procurement document, 9.2)."""

PeriodName = Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z_.-]{0,30}$", description="as in 2026H1")]
UserName = Annotated[str, Field(min_length=1, max_length=100, description="a user of the console")]
Words = Annotated[str, Field(min_length=1, max_length=500)]


class ServiceItem(Section):
    """One line of annex 2: a service of the contract that is done, or not."""

    id: Name
    title: Words
    """服务项目."""
    content: Words
    """服务内容."""


class ServicePeriod(Section):
    """One period that is assessed, both days included."""

    name: PeriodName
    first: date
    last: date
    documents_due: date | None = None
    """The last day for its documents. Left out: the 15th Chinese working day after the period."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in_due_day(cls, given: object) -> object:
        """Written into the journalled rules, so that no later calendar changes what was decided."""
        if not isinstance(given, dict) or given.get("documents_due") or not given.get("last"):
            return given
        try:
            last = given["last"] if isinstance(given["last"], date) else date.fromisoformat(str(given["last"]))
        except ValueError:
            return given  # the field itself says what is wrong
        return {**given, "documents_due": add_working_days(chinese_working_days(), last, DOCUMENTS_DUE_DAYS)}

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.first > self.last:
            raise ValueError(f"{self.name}: last: is before first")
        return self


class Contract(Section):
    """One contract whose service is assessed."""

    title: Words
    """合同名称, as the annexes print it."""
    provider: Words
    purchaser: Words
    sum: Annotated[Decimal, Field(gt=0, max_digits=16, decimal_places=2)] | None = None
    """In yuan. Without it the payment is told as a share only."""
    items: Annotated[tuple[ServiceItem, ...], Field(min_length=1, max_length=200)]
    periods: Annotated[tuple[ServicePeriod, ...], Field(min_length=1, max_length=200)]
    services: tuple[Words, ...] = ()
    """The services of incidents that count for it; empty: all."""
    raters: Annotated[tuple[UserName, ...], Field(min_length=1, max_length=100)]
    """评分人: each scores annex 1 alone."""
    handlers: Annotated[tuple[UserName, ...], Field(min_length=1)]
    """经办人 of the purchaser: they decide items and deductions."""
    heads: tuple[UserName, ...] = ()
    """负责人 of the department: they sign, and may decide as handlers do."""
    purchasers: tuple[UserName, ...] = ()
    """Who signs for the purchaser."""
    providers: tuple[UserName, ...] = ()
    """Who hands in, appeals and signs for the provider."""

    @model_validator(mode="after")
    def _periods_and_items_are_apart(self) -> Self:
        for what, names in (("items", [one.id for one in self.items]), ("periods", [one.name for one in self.periods])):
            if len(set(names)) < len(names):
                raise ValueError(f"{what}: two have the same name")
        ordered = sorted(self.periods, key=lambda one: one.first)
        for before, after in pairwise(ordered):
            if after.first <= before.last:
                raise ValueError(f"periods: {before.name} and {after.name} overlap")
        return self

    def period(self, name: str) -> ServicePeriod | None:
        """The period of that name."""
        return next((one for one in self.periods if one.name == name), None)

    def period_after(self, name: str) -> ServicePeriod | None:
        """The next period of this contract."""
        ordered = sorted(self.periods, key=lambda one: one.first)
        names = [one.name for one in ordered]
        place = names.index(name) + 1
        return ordered[place] if place < len(ordered) else None

    def period_on(self, day: date) -> ServicePeriod | None:
        """The period in which a day lies."""
        return next((one for one in self.periods if one.first <= day <= one.last), None)
