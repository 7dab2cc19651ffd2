"""The deterministic core: `Core.handle(record)` gives events."""

from engine.core.core import Core, Decision
from engine.core.state import CORE_VERSION

__all__ = ["CORE_VERSION", "Core", "Decision"]
