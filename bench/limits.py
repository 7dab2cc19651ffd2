"""What keeps a figure from its target: the cause as profiles and counts show it, beside the figure in the report."""

from __future__ import annotations

LIMITS: tuple[tuple[str, str, str], ...] = (
    (
        "ingest",
        "re-sent, 64",
        "On the line: runs of one day gave 2.8 × to 3.5 ×, and 1/5.8 to 1/7.8 of the CPU. One core parses, judges and "
        "answers.",
    ),
    (
        "ingest",
        "new, 64",
        "A new alert is fingerprinted (10 µs), logged and chained, entered in two read models (15 µs), and its "
        "incident is paged through two commits more; Alertmanager keeps it in memory. One interpreter uses one core of "
        "the two.",
    ),
    ("ingest", "re-sent, 1 a request, 1", "One fsync for each lone request, two thread hand-overs and one loop."),
    ("ingest", "new, 1 a request, 1", "One fsync for each lone request; with a new incident each, paging beside it."),
    (
        "ingest",
        "new, 1 a request, 32",
        "Each opens an incident and pages it: eight events and two commits beside its own, on one core.",
    ),
    (
        "ingest",
        "1 a request, 32",
        "Some 50 µs of interpreter time a request on one core; Alertmanager uses both. CPU a request is on a par.",
    ),
    ("durable", "", "Judging, a thread hand-over and the loop come on top of the fsync; the bare loop does only that."),
    (
        "memory",
        "",
        "About 130 MB are there before the first alert (interpreter, SQLAlchemy, the web framework, Apprise's "
        "plugins), and label bytes are kept both in the state and in the parser's cache.",
    ),
    ("replay", "log to rebuilt projections", "Events here carry up to 16 alerts, each a row: alerts a second count."),
    ("replay", "append", "About even: runs on this machine differ by more than the gap, in either direction."),
    (
        "growth",
        "re-sent",
        "From 2 to 5 µs. Not proven; likely, with more alerts, the processor's caches hold fewer of their labels and "
        "states, and the parser's cache of label sets turns over beyond some 60,000.",
    ),
    ("paging", "", "Two commits before the message leaves: the intent, and that the attempt begins."),
)
"""(measure, part of the case, cause)."""


def limit_of(measure: str, case: str) -> str:
    """What limits the figure of a case, or an empty string where nobody has found out."""
    return next((cause for of, part, cause in LIMITS if of == measure and part in case), "")
