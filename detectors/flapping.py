"""Does an alert flap: does it begin and end so often that each time tells nothing?

As in Nagios, the share of times at which the state had changed is weighed, recent ones more, and there are two lines:
above the upper one it starts to flap, below the lower one it has calmed. Source: Nagios Core, "Detection and handling
of state flapping".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

SLOTS: Final = 20
"""A window is seen as 20 slots, as Nagios looks at 21 checks with 20 places for a change between them."""
_OLDEST, _NEWEST = 80, 120
"""Weight of the oldest and of the newest slot, in hundredths."""
_WEIGHTS: Final = tuple(_OLDEST + (_NEWEST - _OLDEST) * place // (SLOTS - 1) for place in range(SLOTS))


def ratio(changes: Sequence[int], at_ms: int, window_ms: int) -> float:
    """The weighted share of slots in which the state changed, 0 to 1. Pure.

    `changes` are the moments at which it changed (UTC milliseconds), those within the last `window_ms` count.

    >>> ratio([], 0, 1_200_000), ratio(range(0, 1_200_000, 60_000), 1_200_000 - 1, 1_200_000)
    (0.0, 1.0)
    """
    slot_ms = max(1, window_ms // SLOTS)
    newest = at_ms // slot_ms
    seen = {newest - moment // slot_ms for moment in changes}
    weight = sum(_WEIGHTS[SLOTS - 1 - age] for age in sorted(seen) if 0 <= age < SLOTS)
    return round(weight / sum(_WEIGHTS), 4)


def within(changes: Sequence[int], at_ms: int, window_ms: int) -> tuple[int, ...]:
    """The changes that still count, at most two for each slot: what has to be remembered."""
    slot_ms = max(1, window_ms // SLOTS)
    first = (at_ms // slot_ms - SLOTS + 1) * slot_ms
    return tuple([moment for moment in changes if moment >= first][-2 * SLOTS :])


def looks_again_ms(at_ms: int, window_ms: int) -> int:
    """When the share can have fallen: at the beginning of the next slot."""
    slot_ms = max(1, window_ms // SLOTS)
    return (at_ms // slot_ms + 1) * slot_ms
