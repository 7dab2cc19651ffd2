"""What the core remembers of each channel, and the order in which channels are tried."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec


class ChannelState(msgspec.Struct):
    """How a channel has answered of late. `latest` has one letter for each attempt, the newest last: + or -."""

    latest: str = ""
    failing_since_ms: int = 0
    """0 while it is within its budget."""
    probe_due_ms: int = 0
    """When its next test message is due; 0: none is."""

    @property
    def in_a_row(self) -> int:
        """Failed attempts since the latest success."""
        return len(self.latest) - len(self.latest.rstrip("-"))


def in_order(wanted: Iterable[str], known: Mapping[str, ChannelState]) -> tuple[list[str], list[str]]:
    """The failover order with failing channels last, and those that were put there: none where all of them fail.

    >>> in_order(("ding", "mail", "sms"), {"ding": ChannelState(failing_since_ms=1)})
    (['mail', 'sms', 'ding'], ['ding'])
    >>> in_order(("ding",), {"ding": ChannelState(failing_since_ms=1)})
    (['ding'], [])
    """
    given = list(wanted)
    bad = [name for name in given if name in known and known[name].failing_since_ms]
    good = [name for name in given if name not in bad]
    return (good + bad, bad) if good and bad else (given, [])
