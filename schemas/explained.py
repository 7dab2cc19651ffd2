"""Why something happened, or did not: decisions in order, each with the rule and the version of the rules behind it."""

from __future__ import annotations

from typing import Literal

import msgspec

What = Literal["alert", "incident", "receiver"]


class Reason(msgspec.Struct, frozen=True):
    """One decision. `event` is its identity in the log; `rule` names what decided, as far as a rule did."""

    at_ms: int
    event: str
    type: str
    incident: str
    text: str
    actor: str
    rule: str = ""
    rules_version: int = 0


class WhyNot(msgspec.Struct, frozen=True):
    """Something that a receiver was not told of, and why."""

    at_ms: int
    incident: str
    title: str
    reason: str
    rule: str = ""
    rules_version: int = 0


class Explanation(msgspec.Struct, frozen=True):
    """The answer: what was asked about, the decisions in order, and for a receiver also what it was not told of."""

    what: What
    subject: str
    since_ms: int
    until_ms: int
    steps: list[Reason]
    not_told: list[WhyNot] = []
