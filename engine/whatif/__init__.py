"""The past under other rules: the journal of a period, judged again on a virtual clock by the real core."""

from engine.whatif.study import latest_ms, what_if

__all__ = ["latest_ms", "what_if"]
