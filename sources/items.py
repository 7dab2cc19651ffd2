"""From bytes to items: decode a body, keep the good items when some are bad, and name the place of each bad one."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import msgspec

from schemas.alerts import Alert, AlertStatus, Rejected
from schemas.errors import InvalidPayload
from schemas.ports import Parser
from schemas.wire.times import moment_ms

T = TypeVar("T")

_AT_PLACE = re.compile(r"(.*) - at `\$(.*)`", re.DOTALL)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def however_deep_the_caller(parse: Parser) -> Parser:
    """The same parser, whose answer to deeply nested bodies does not depend on how deep its caller's stack is.

    The decoder's limit counts the caller's frames too, so that a replay could judge otherwise than the first time.
    What fails for its nesting is therefore judged again on an empty stack, and that answer counts.
    """

    @functools.wraps(parse)
    def steady(body: bytes, at_ms: int) -> Sequence[Alert | Rejected]:
        try:
            return parse(body, at_ms)
        except RecursionError:
            with ThreadPoolExecutor(1) as empty_stack:
                again = empty_stack.submit(parse, body, at_ms)
        try:
            return again.result()
        except RecursionError:
            raise InvalidPayload("nested too deeply") from None

    return steady


def decode(decoder: msgspec.json.Decoder[T], raw: bytes | msgspec.Raw) -> T:
    """Decode or raise InvalidPayload, whose place is relative to `raw` (empty for `raw` itself)."""
    try:
        return decoder.decode(raw)
    except UnicodeDecodeError:
        raise InvalidPayload("expected valid UTF-8", place="") from None
    except ValueError as unreadable:
        placed = _AT_PLACE.fullmatch(str(unreadable))
        reason, place = placed.groups() if placed else (str(unreadable), "")
        raise InvalidPayload(reason, place=place.removeprefix(".")) from None


def body_of(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Decode a whole body, with or without a byte order mark; raises InvalidPayload with its place."""
    try:
        return decode(decoder, body.removeprefix(_BYTE_ORDER_MARK))
    except InvalidPayload as unreadable:
        raise InvalidPayload(unreadable.reason, place=below("$", unreadable.place)) from None


def each(
    raws: Sequence[msgspec.Raw], decoder: msgspec.json.Decoder[T], judge: Callable[[T], Alert], place: str
) -> list[Alert | Rejected]:
    """One answer per raw item, in order: its alert, or why there is none. `place` is that of the list."""
    answers: list[Alert | Rejected] = []
    for index, raw in enumerate(raws):
        try:
            answers.append(judge(decode(decoder, raw)))
        except InvalidPayload as bad:
            answers.append(rejected(f"{place}[{index}]", bad))
    return answers


def rejected(place: str, bad: InvalidPayload) -> Rejected:
    """What stands for a bad item in the answer; `bad.place` is relative to the item at `place`."""
    return Rejected(below(place, bad.place), bad.reason)


def below(place: str, relative: str) -> str:
    """The absolute form of a place inside another: ``$[3]`` and ``labels`` make ``$[3].labels``."""
    if not relative:
        return place
    return place + relative if relative.startswith("[") else f"{place}.{relative}"


def moment(text: str | None, field: str) -> int | None:
    """The moment in ms behind an optional RFC 3339 text; None when absent; raises InvalidPayload at `field`."""
    try:
        return moment_ms(text) if text else None
    except ValueError as unreadable:
        raise InvalidPayload(str(unreadable), place=field) from None


def stated_span(
    status: str | None, starts_ms: int | None, ends_ms: int | None, at_ms: int
) -> tuple[AlertStatus, int, int | None]:
    """Status, start and end of an alert whose sender may state its status; where absent, the end decides.

    A stated status wins over the end: a firing alert whose end has passed has no known end, and a resolved one ended
    now if it does not say when, and never before it began: a skewed clock shall not keep an incident open.
    """
    if status not in (None, "", "firing", "resolved"):
        raise InvalidPayload(f"expected firing or resolved, got {status!r}"[:200], place="status")
    over = status == "resolved" if status else ends_ms is not None and ends_ms <= at_ms
    if not over:
        known_end = ends_ms if ends_ms is not None and ends_ms > at_ms else None
        return "firing", at_ms if starts_ms is None else starts_ms, known_end
    end = at_ms if ends_ms is None else ends_ms
    start = min(at_ms, end) if starts_ms is None else starts_ms
    return "resolved", start, max(start, end)
