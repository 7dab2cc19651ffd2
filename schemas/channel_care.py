"""Channels kept alive (R1.8, 通道可用性): when each is proven, and what is logged about one that fails."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from schemas.sections import Name, Seconds, Section
from schemas.vocabulary import Fact

DEADLINE = "the deadline of its priority has passed"
"""Why a message went to the next channel that its channel had not been asked to take."""
LATEST = 20
"""Attempts that a channel's error budget looks back on."""


class ChannelCare(Section):
    """When a channel counts as failing, and how it is proven alive (R1.8). Failing, it is tried last."""

    in_a_row: Annotated[int, Field(ge=0, le=LATEST)] = 0
    """So many failed attempts one after the other make a channel count as failing; 0: not looked at. 3 is sensible."""
    of_latest: Annotated[int, Field(ge=0, le=LATEST)] = 0
    """So many failed ones among its latest 20 attempts do so, too; 0: not looked at. 10 is sensible."""
    probe_every_s: dict[Name, Annotated[int, Field(ge=60, le=31 * 86_400)]] = {}
    """By channel: a test message so often, to its test recipients where it has some. 86400 is once a day."""
    again_s: Annotated[Seconds, Field(ge=10)] = 300
    """A failing channel gets a test message so often, until it takes one."""


class ChannelFailing(Fact, frozen=True):
    """A channel has used up its error budget: routing tries it last until it has taken a message."""

    channel: str
    in_a_row: int
    failed: int
    of: int
    reason: str = ""


class ChannelRecovered(Fact, frozen=True):
    """A failing channel has taken a message; `since_ms` is when it was found failing."""

    channel: str
    since_ms: int
