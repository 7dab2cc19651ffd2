"""The past under other rules: the journal of a period, judged again on a virtual clock by the real core."""

from engine.whatif.study import what_if

__all__ = ["what_if"]
