"""Silences: list, show, make or change, and end them, with Alertmanager's own answers."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from schemas.errors import CommandRejected
from schemas.live import LiveSilence
from schemas.matchers import Matcher, Matchers, Operator, check_pattern, quoted
from schemas.ports import Outcome
from schemas.silences import ExpireSilence, SetSilence, Silence, SilenceCreated, SilenceMatcher, SilenceUpdated
from schemas.wire.times import moment_ms
from web.alertmanager import queries
from web.alertmanager.access import caller
from web.alertmanager.queries import Refused
from web.alertmanager.wire import WireMatcher, answer, problem, silence_of
from web.site import site_of

LARGEST: Final = 1024 * 1024
"""Bytes of a silence."""
_UUID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
_OPERATORS: Final[Mapping[tuple[bool, bool], Operator]] = {
    (True, False): "=",
    (False, False): "!=",
    (True, True): "=~",
    (False, True): "!~",
}
_STATES: Final = ("active", "pending", "expired")


class PostableSilence(msgspec.Struct):
    """A silence as it is posted; what is required is checked one by one, as Alertmanager does."""

    matchers: list[dict[str, object]] | None = None
    startsAt: str | None = None
    endsAt: str | None = None
    createdBy: str | None = None
    comment: str | None = None
    id: str = ""
    annotations: dict[str, str] | None = None


_posted = msgspec.json.Decoder(PostableSilence)


async def get_silences(request: Request) -> Response:
    """All silences that match: the active ones first, the next to end ahead; then pending and expired ones."""
    filters = queries.matchers(request)
    states = [state for state in _STATES if queries.flag(request, state)]
    found = [
        live
        for live in site_of(request).runtime.live().silences()
        if live.state in states and _has_all(live.silence, filters)
    ]
    found.sort(key=_order)
    return answer([silence_of(live) for live in found])


def _has_all(silence: Silence, filters: Matchers) -> bool:
    return all(wanted in silence.matchers for wanted in filters)


def _order(live: LiveSilence) -> tuple[int, int]:
    silence = live.silence
    at_ms = {"active": silence.ends_ms, "pending": silence.starts_ms, "expired": -silence.ends_ms}[live.state]
    return _STATES.index(live.state), at_ms


def _id_in(request: Request) -> str:
    silence_id: str = request.path_params["silence"]
    if not _UUID.fullmatch(silence_id):
        shown = msgspec.json.encode(silence_id[:200]).decode()
        raise Refused(problem(601, f"silenceID in path must be of type uuid: {shown}", 422))
    return silence_id


async def get_silence(request: Request) -> Response:
    """One silence, or 404."""
    found = site_of(request).runtime.live().silence(_id_in(request))
    return Response(status_code=404) if found is None else answer(silence_of(found))


async def delete_silence(request: Request) -> Response:
    """End a silence; one that has ended already stays as it is."""
    actor = await caller(request, "operator")
    command = ExpireSilence(id=_id_in(request))
    try:
        await site_of(request).runtime.command(command, actor=actor, command_id=str(uuid.uuid4()))
    except CommandRejected as rejected:
        if rejected.code == "not_found":
            return Response(status_code=404)
        return answer(rejected.reason, 500)
    return Response(status_code=200)


async def post_silence(request: Request) -> Response:
    """Make a silence, or change the one whose id is given; the id may be another one then."""
    actor = await caller(request, "operator")
    posted = await _body(request)
    starts_ms, ends_ms = _times(posted)
    runtime = site_of(request).runtime
    if starts_ms >= ends_ms:
        return answer("Failed to create silence: start time must be before end time", 400)
    if ends_ms < runtime.now_ms():
        return answer("Failed to create silence: end time can't be in the past", 400)
    matchers = _matchers(posted)
    _check(matchers)
    try:
        command = SetSilence(
            id=posted.id,
            matchers=tuple(SilenceMatcher(name=one.name, op=one.op, value=one.value) for one in matchers),
            starts_ms=max(starts_ms, 0),
            ends_ms=ends_ms,
            created_by=posted.createdBy or "",
            comment=posted.comment or "",
            annotations=posted.annotations or {},
        )
    except ValidationError as invalid:
        return answer(f"invalid silence: {_first_of(invalid)}", 400)
    try:
        outcome = await runtime.command(command, actor=actor, command_id=str(uuid.uuid4()))
    except CommandRejected as rejected:
        if rejected.code == "not_found":
            return answer("silence not found", 404)
        return answer(f"invalid silence: {rejected.reason}", 400)
    return answer({"silenceID": _id_of(outcome) or posted.id})


def _first_of(invalid: ValidationError) -> str:
    error = invalid.errors()[0]
    return f"{'.'.join(map(str, error['loc']))}: {error['msg']}"


def _id_of(outcome: Outcome) -> str:
    for logged in outcome.events:
        if isinstance(logged.event.data, SilenceCreated | SilenceUpdated):
            return logged.event.data.silence.id
    return ""


async def _body(request: Request) -> PostableSilence:
    """The silence of a request with all that is required. Raises Refused (400, 413, 415, 422)."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST:
            raise Refused(problem(413, f"the body is larger than {LARGEST} bytes"))
    if not body:
        raise Refused(problem(602, "silence in body is required", 422))
    if kind != "application/json":
        # Also what keeps pages of other sites out: their browsers ask before they send JSON, and are not answered.
        shown = msgspec.json.encode(kind).decode()
        raise Refused(problem(415, f"unsupported media type {shown}, only [application/json] are allowed"))
    try:
        posted = _posted.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as unreadable:
        raise Refused(problem(400, f'parsing silence body from "" failed, because {unreadable}')) from None
    for name in ("comment", "createdBy", "endsAt", "matchers", "startsAt"):
        if getattr(posted, name) is None:
            raise Refused(problem(602, f"{name} in body is required", 422))
    return posted


def _times(posted: PostableSilence) -> tuple[int, int]:
    try:
        # Go's zero time is a moment like any other here, and a long past one.
        starts_ms, ends_ms = (moment_ms(text or "") or 0 for text in (posted.startsAt, posted.endsAt))
    except ValueError as unreadable:
        raise Refused(problem(400, f'parsing silence body from "" failed, because {unreadable}')) from None
    return starts_ms, ends_ms


def _matchers(posted: PostableSilence) -> Sequence[Matcher]:
    given = posted.matchers or ()
    if not given:
        raise Refused(problem(612, "matchers in body should have at least 1 items", 422))
    return [_matcher(number, one) for number, one in enumerate(given)]


def _matcher(number: int, given: Mapping[str, object]) -> Matcher:
    for name in ("isRegex", "name", "value"):
        if given.get(name) is None:
            raise Refused(problem(602, f"matchers.{number}.{name} in body is required", 422))
    try:
        one = msgspec.convert({name: value for name, value in given.items() if value is not None}, WireMatcher)
    except msgspec.ValidationError as wrong:
        raise Refused(problem(400, f'parsing silence body from "" failed, because {wrong}')) from None
    return Matcher(one.name, _OPERATORS[one.isEqual, one.isRegex], one.value)


def _check(matchers: Sequence[Matcher]) -> None:
    """Raise Refused (400) for matchers that Alertmanager would not take, in its words."""
    for number, one in enumerate(matchers):
        reason = 'invalid label name ""' if not one.name else ""
        if not reason and one.is_regex:
            try:
                check_pattern(one.value)
            except ValueError as wrong:
                reason = f"invalid regular expression {quoted(one.value)}: {wrong}"
        if reason:
            raise Refused(answer(f"invalid silence: invalid label matcher {number} in set 0: {reason}", 400))
    if all(one.is_equal and one.matches("") for one in matchers):  # a matcher that excludes counts as one that selects
        empty = "at least one matcher must not match the empty string"
        raise Refused(answer(f"invalid silence: matcher set 0: {empty}", 400))
