"""What a check of `tocsin doctor` says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """The result of one check; `remedy` says what to do where it is not ok."""

    check: str
    level: Literal["ok", "warn", "fail"]
    what: str
    remedy: str = ""
