"""The scope of an alert as the core counts it, for those who share the work out by scope."""

from __future__ import annotations

from detectors.grouping import scope_of

__all__ = ["scope_of"]
