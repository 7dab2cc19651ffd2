"""Silences (静默): matchers that keep alerts quiet from one moment to another, with who and why.

Semantics and words are Alertmanager's (`silence/silence.go`): pending before the start, active, expired after the end.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from schemas.matchers import Matcher
from schemas.vocabulary import Fact

SilenceState = Literal["pending", "active", "expired"]

RETENTION_MS = 120 * 3_600_000
"""An expired silence is remembered for so long (Alertmanager's `--data.retention`)."""


class Silence(msgspec.Struct, frozen=True, omit_defaults=True):
    """One silence. Times are UTC milliseconds; the end is the last moment at which it holds."""

    id: str
    matchers: tuple[Matcher, ...]
    starts_ms: int
    ends_ms: int
    created_by: str
    comment: str
    updated_ms: int
    annotations: dict[str, str] = {}

    def state_at(self, at_ms: int) -> SilenceState:
        """Where it stands at a moment."""
        if at_ms < self.starts_ms:
            return "pending"
        return "expired" if at_ms >= self.ends_ms else "active"


# --- events -------------------------------------------------------------------------------------------------------


class SilenceCreated(Fact, frozen=True):
    """Somebody wants alerts to be quiet; `replaces` is the silence that was changed by making this one."""

    silence: Silence
    replaces: str = ""


class SilenceUpdated(Fact, frozen=True):
    """Times, comment or author of a silence were changed; its matchers were not."""

    silence: Silence


class SilenceStarted(Fact, frozen=True):
    """A silence holds from now on; `muted` alerts that fire are quiet by it, `incidents` tell nobody while it holds."""

    silence: str
    muted: int = 0
    incidents: list[str] = []


class SilenceExpiring(Fact, frozen=True):
    """A silence will end at `ends_ms`; `muted` alerts would be judged again then."""

    silence: str
    ends_ms: int
    muted: int
    created_by: str
    comment: str


class SilenceExpired(Fact, frozen=True):
    """A silence holds no longer: its end has come, or somebody ended it (`by_hand`)."""

    silence: str
    by_hand: bool = False


SilenceEvent = SilenceCreated | SilenceUpdated | SilenceStarted | SilenceExpiring | SilenceExpired

# --- commands -----------------------------------------------------------------------------------------------------


class _Command(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SilenceMatcher(_Command):
    """One condition of a silence."""

    name: Annotated[str, Field(min_length=1, max_length=1000)]
    op: Literal["=", "!=", "=~", "!~"] = "="
    value: Annotated[str, Field(max_length=4096)]


class SetSilence(_Command):
    """Make a silence, or change the one with this id (静默).

    What cannot be changed without altering the past (other matchers, another start of an active one) ends the old one
    and makes a new one. The event `silence_created` or `silence_updated` names the id. Rejected with ``not_found``,
    ``invalid`` or ``too_many``.
    """

    type: Literal["set_silence"] = "set_silence"
    id: Annotated[str, Field(max_length=100)] = ""
    matchers: Annotated[tuple[SilenceMatcher, ...], Field(min_length=1, max_length=100)]
    starts_ms: Annotated[int, Field(ge=0)] = 0
    """A start that has passed means now."""
    ends_ms: Annotated[int, Field(ge=0)]
    created_by: Annotated[str, Field(max_length=500)] = ""
    """Empty: whoever commands."""
    comment: Annotated[str, Field(max_length=20_000)] = ""
    annotations: dict[str, str] = {}


class ExpireSilence(_Command):
    """End a silence now (解除静默). Rejected with ``not_found``; one that has ended already stays as it is."""

    type: Literal["expire_silence"] = "expire_silence"
    id: Annotated[str, Field(min_length=1, max_length=100)]
