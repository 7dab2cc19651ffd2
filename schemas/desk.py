"""The desk at which rules are looked at, tried and put in force: what the web and the command line may ask of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from schemas.config import Rules
from schemas.explained import Explanation
from schemas.whatif import WhatIf


class RulesVersion(msgspec.Struct, frozen=True):
    """One version of the rules: who put it in force when, by which journal record, and what it changed."""

    version: int
    digest: str
    actor: str
    at_ms: int
    offset: int
    yaml: str = ""
    """The rules as YAML; what is as by default is left out."""
    diff: str = ""
    """A unified diff from the version before."""


class RulesCheck(msgspec.Struct, frozen=True):
    """What putting rules in force would change, and what is odd about them. An empty diff: they are in force already.

    `version` is the one that they got, 0 where they were only tried.
    """

    digest: str
    diff: str
    warnings: list[str] = []
    version: int = 0


class RulesDesk(Protocol):
    """Versions of the rules. Reading and trying may take seconds: call it in a thread."""

    def current(self) -> RulesVersion:
        """The rules in force; version 0 before any were put."""
        ...

    def version(self, number: int) -> RulesVersion:
        """One version. Raises CommandRejected (``not_found``)."""
        ...

    def history(self, limit: int = 50) -> list[RulesVersion]:
        """The latest versions, the newest first, each with its diff and without its text."""
        ...

    def read(self, text: str, *, as_json: bool = False) -> Rules:
        """Rules from YAML, or from JSON. Raises ConfigError with line and key of what is wrong."""
        ...

    def check(self, rules: Rules) -> RulesCheck:
        """What they would change. Raises ConfigError where they cannot be taken here."""
        ...

    async def apply(self, rules: Rules, *, actor: str) -> RulesCheck:
        """Put them in force. Raises ConfigError and CommandRejected; the old ones then stay in force."""
        ...

    def explain(self, subject: str, *, at_ms: int | None = None, around_ms: int = 900_000) -> Explanation:
        """Why things are so about an alert, an incident or a receiver. Raises CommandRejected (``not_found``)."""
        ...

    @property
    def shadow(self) -> Callable[[], WhatIf | None]:
        """What the shadow rules would have made of what came since they began; None where there are none."""
        ...

    def what_if(self, rules: Rules, *, since_ms: int, until_ms: int) -> WhatIf:
        """What they would have made of the past. Raises CommandRejected."""
        ...
