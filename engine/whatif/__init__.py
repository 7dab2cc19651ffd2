"""The past under other rules: the journal of a period, judged again on a virtual clock by the real core."""

from engine.whatif.shadow import Shadow
from engine.whatif.study import CannotJudge, latest_ms, what_if

__all__ = ["CannotJudge", "Shadow", "latest_ms", "what_if"]
