"""The one tree of errors. Every error that leaves a room of Tocsin is one of these.

TocsinError
├── ConfigError            a setting is wrong: names file, line and key
├── InvalidPayload         something that arrived cannot be understood: names the place in it
├── CommandRejected        a command is understood but not possible now: carries a stable code
├── ConcurrencyConflict    somebody else wrote first: read again and retry
├── StoreUnavailable       the database or disk did not take it: nothing was accepted
├── NotDecidedYet          accepted, and the decision did not come in time: ask again with the same key
├── Overloaded             the queue is full: nothing was accepted, come back later
├── DeliveryError          a channel did not take a message: says whether trying again can help
└── ProjectionFailed       one read model stopped at one position: the others go on
"""

from __future__ import annotations


class TocsinError(Exception):
    """Root of the tree; never raised itself."""


class ConfigError(TocsinError):
    """A setting is wrong.

    `file`, `line` (1-based, None when unknown) and `key` (dotted path) name the place; `problem` says what was
    expected there. The caller prints it and stops, or keeps the old version running.
    """

    def __init__(self, problem: str, *, file: str = "", line: int | None = None, key: str = "") -> None:
        place = ":".join(str(part) for part in (file, line) if part)
        super().__init__(": ".join(part for part in (place, key, problem) if part))
        self.problem, self.file, self.line, self.key = problem, file, line, key


class InvalidPayload(TocsinError):
    """A body, or one item of it, cannot be understood.

    `place` is where (``$[3].labels``), `reason` what was expected. The body stays in the journal all the same.
    """

    def __init__(self, reason: str, *, place: str = "$") -> None:
        super().__init__(f"{place}: {reason}")
        self.reason, self.place = reason, place


class CommandRejected(TocsinError):
    """A command is well formed but not possible in the present state.

    `code` is stable and meant for programs (``not_found``, ``not_allowed_in_state``, …); the text is for people.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class ConcurrencyConflict(TocsinError):
    """Another writer got there first; read the position again and retry, or stop being a writer."""


class StoreUnavailable(TocsinError):
    """The database or the disk did not take a commit. Nothing of it was accepted; the caller may retry."""


class NotDecidedYet(TocsinError):
    """Accepted and kept, and it will be decided, but not within the time that a caller waits (in a cluster).

    Ask again with the same idempotency key: it is decided once. `partition` and `offset` are its place in the topic.
    """

    def __init__(self, partition: int, offset: int) -> None:
        super().__init__("accepted, and not decided yet")
        self.partition, self.offset = partition, offset


class Overloaded(TocsinError):
    """The input queue is full. Nothing was accepted; retry after `retry_after_s` seconds."""

    def __init__(self, retry_after_s: int = 1) -> None:
        super().__init__(f"input queue is full, retry after {retry_after_s} s")
        self.retry_after_s = retry_after_s


class DeliveryError(TocsinError):
    """A channel did not take a message.

    `permanent` says that the same message to the same place will never be taken; otherwise a retry may help, not
    before `retry_after_s` if the vendor named a time. `vendor_code` is the vendor's own answer, verbatim.
    `maybe_sent` says that the message may have arrived although no answer did (a time-out after sending).
    """

    def __init__(
        self,
        reason: str,
        *,
        permanent: bool = False,
        vendor_code: str = "",
        retry_after_s: int | None = None,
        maybe_sent: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason, self.permanent, self.vendor_code = reason, permanent, vendor_code
        self.retry_after_s, self.maybe_sent = retry_after_s, maybe_sent


class ProjectionFailed(TocsinError):
    """The projection `name` could not apply the event at `position`; it is halted there, no other is."""

    def __init__(self, name: str, position: int, reason: str) -> None:
        super().__init__(f"projection {name} halted at position {position}: {reason}")
        self.name, self.position, self.reason = name, position, reason
