"""What the web server needs of a running engine beside its port."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from engine.runtime.metrics import RuntimeMetrics
from schemas.ports import Runtime


class Served(Runtime, Protocol):
    """A running engine with what a web server shows of it."""

    @property
    def metrics(self) -> RuntimeMetrics:
        """What the engine measures of itself."""
        ...

    def status(self) -> Mapping[str, object]:
        """Whether inputs are accepted (``ready``), and what stands against it."""
        ...

    async def failed(self) -> None:
        """Return, or raise what went wrong, when the runtime has ended by itself."""
        ...
