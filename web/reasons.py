"""Why a payload was not understood, in words for those who send it. The log keeps the decoder's own sentence."""

from __future__ import annotations

import re
from collections.abc import Callable

from web.texts import known

_PATTERNS = tuple(
    (re.compile(pattern), key)
    for pattern, key in (
        (r"Expected `(?P<wanted>[^`]+)`, got `(?P<got>[^`]+)`", "expected"),
        (r"Object missing required field `(?P<field>[^`]+)`", "missing"),
        (r"(?P<field>title|labels) (?:is|are) required", "missing"),
        (r"Object contains unknown field `(?P<field>[^`]+)`", "unknown_field"),
        (r"JSON is malformed: trailing characters \(byte (?P<byte>\d+)\)", "trailing"),
        (r"JSON is malformed: .*\(byte (?P<byte>\d+)\)", "not_json"),
        (r"Input data was truncated", "cut_off"),
        (r"expected valid UTF-8", "not_utf8"),
        (r"nested too deeply", "too_deep"),
        (r"expected a string, a number, true or false", "not_plain"),
        (r"expected at least one label with a value", "no_label"),
        (r"expected label names of at least one character", "no_label_name"),
        (r"expected an end that is not before the start", "ends_early"),
        (r"expected an RFC 3339 time.*", "not_a_time"),
        (r"expected firing or resolved, got (?P<got>.*)", "not_a_status"),
    )
)
_WRAPPED = "expected an object of strings: "
_PLACE = re.compile(r" - at `[^`]*`$")
"""Where in the item; the ledger has a column for it."""


def plainly(reason: str, t: Callable[..., str]) -> str:
    """The reason in the reader's words; one that is not known here as it stands in the log.

    `t(key, **values)` gives a text. Source of the sentences: msgspec's decoder and our own sources.
    """
    inner = _PLACE.sub("", reason.removeprefix(_WRAPPED))
    for pattern, key in _PATTERNS:
        found = pattern.fullmatch(inner)
        if found:
            named = found.groupdict()
            if key == "expected":
                named = {name: _kinds(kinds, t) for name, kinds in named.items()}
            return t(f"reason.{key}", **named)
    return reason


def _kinds(kinds: str, t: Callable[..., str]) -> str:
    """What the decoder calls ``str | null``, as people call it."""
    keys = [(kind, f"kind.{kind}") for kind in kinds.split(" | ")]
    return t("reason.or").join(t(key) if known(key) else kind for kind, key in keys)
