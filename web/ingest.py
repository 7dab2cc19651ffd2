"""Where alerts come in over HTTP. The hot path: no pydantic, no dependency injection, raw ASGI under Starlette routes.

The runtime journals the body first and reports what it could not read as PayloadRejected events; here HTTP is only
translated. Nothing is journalled for a sender that does not show its token.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import zlib
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

import msgspec
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from schemas.config import Settings, Source
from schemas.errors import InvalidPayload, Overloaded, StoreUnavailable
from schemas.events import PayloadRejected
from schemas.ports import Outcome, Runtime

NO_HEADERS: Mapping[bytes, bytes] = {}
BODY_TIMEOUT_S = 30
"""A sender that dribbles its body longer than this is let go (408)."""
PROBLEMS_SHOWN = 20

_encode = msgspec.json.encode


class Refused(Exception):
    """The request is answered with `status` and goes no further."""

    def __init__(self, status: int, problem: str, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(problem)
        self.answer = Answer(status, _encode(problem), headers)


class Gone(Exception):
    """The sender hung up before its body was complete; there is nobody to answer."""


V2_ADDRESS = "/api/v2/alerts"


Vouches = Callable[[Scope], Awaitable[bool]]
"""Whether who asks may send although no source's token was shown."""


def receivers(runtime: Runtime, settings: Settings, vouches: Vouches | None = None) -> tuple[Receiver, Receiver]:
    """Who takes `POST /api/v2/alerts` as Alertmanager has it, and who `POST|PUT /hooks/{source}`.

    Whom `vouches` knows counts as the first source of the former: people with `amtool`.
    """
    limit = settings.server.max_body_bytes
    v2 = {name: source for name, source in settings.sources.items() if source.format == "alertmanager_v2"}
    hooks = Receiver(runtime, settings.sources, limit, _hook_answer)
    return Receiver(runtime, v2, limit, _v2_answer, vouches), hooks


def ingest_routes(v2: Receiver, hooks: Receiver) -> list[Route]:
    """The receivers as routes of an application."""
    return [
        Route(V2_ADDRESS, v2, methods=["POST"]),
        Route("/hooks/{source}", hooks, methods=["POST", "PUT"]),
    ]


class Answer(NamedTuple):
    """What a sender is answered."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Receiver:
    """One address for alerts: authenticate, hand the body to the runtime, translate its answer."""

    def __init__(
        self,
        runtime: Runtime,
        sources: Mapping[str, Source],
        limit: int,
        answer: Callable[[Outcome], tuple[int, bytes]],
        vouches: Vouches | None = None,
    ) -> None:
        """`sources` may speak here; `limit` bounds a body in bytes, before and after unpacking."""
        self._runtime, self.limit, self._answer, self._vouches = runtime, limit, answer, vouches
        self._sources = sources
        self._tokens = {
            name: source.token.get_secret_value().encode() if source.token else None for name, source in sources.items()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        try:
            name = await self._sender(scope, headers.get(b"authorization", b""))
            answer = await self.take(name, await read_body(headers, receive, self.limit), headers)
        except Gone:
            return
        except Refused as refused:
            answer = refused.answer
        head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer.body)), *answer.headers]
        await send({"type": "http.response.start", "status": answer.status, "headers": head})
        await send({"type": "http.response.body", "body": answer.body})

    async def _sender(self, scope: Scope, authorization: bytes) -> str:
        try:
            return self.sender(scope["path_params"].get("source"), authorization)
        except Refused as refused:
            if refused.answer.status == 401 and self._vouches is not None and await self._vouches(scope):
                return next(iter(self._sources))
            raise

    async def take(self, name: str, body: bytes, headers: Mapping[bytes, bytes] = NO_HEADERS) -> Answer:
        """Hand the body of source `name` to the runtime; the answer comes after it is on disk."""
        try:
            parser = self._sources[name].format
            if parser == "changes":
                return Answer(*self._answer(await self._runtime.change(name, body)))
            return Answer(*self._answer(await self._runtime.receive(name, parser, binary_event(parser, headers, body))))
        except InvalidPayload as invalid:
            return Answer(400, _encode(str(invalid)))
        except Overloaded as overloaded:
            wait = (b"retry-after", b"%d" % max(1, overloaded.retry_after_s))
            return Answer(503, _encode("overloaded, nothing was accepted, retry later"), (wait,))
        except StoreUnavailable:
            problem = _encode("the store is unavailable, nothing was accepted, retry later")
            return Answer(503, problem, ((b"retry-after", b"5"),))

    def sender(self, named: str | None, authorization: bytes) -> str:
        """The source that a request speaks for; the comparison takes the same time for every wrong token.

        Raises Refused (401, 404).
        """
        if named is not None and named not in self._tokens:
            raise Refused(404, f"no source named {named[:80]!r}")
        if not self._tokens:
            raise Refused(404, "no source for this address is configured")
        candidates = self._tokens if named is None else {named: self._tokens[named]}
        shown = _token_in(authorization)
        found: str | None = None
        for name, token in candidates.items():
            if token is not None and hmac.compare_digest(token, shown) and found is None:
                found = name
        if found is None and (not shown or all(token is None for token in candidates.values())):
            found = next((name for name, token in candidates.items() if token is None), None)
        if found is None:
            raise Refused(401, "wrong or missing token", (b"www-authenticate", b'Bearer realm="tocsin"'))
        return found


def _token_in(authorization: bytes) -> bytes:
    """The token in an Authorization header: the Bearer credential, or the password of Basic."""
    scheme, _, credential = authorization.strip().partition(b" ")
    if scheme.lower() == b"bearer":
        return credential.strip()
    if scheme.lower() == b"basic":
        try:
            return base64.b64decode(credential.strip(), validate=True).partition(b":")[2]
        except binascii.Error:
            return b""
    return b""


async def read_body(headers: Mapping[bytes, bytes], receive: Receive, limit: int) -> bytes:
    """The body, unpacked, of at most `limit` bytes before and after unpacking; raises Refused."""
    encoding = headers.get(b"content-encoding", b"identity").strip().lower()
    if encoding not in (b"identity", b"gzip"):
        raise Refused(415, "Content-Encoding must be gzip or absent")
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and int(declared) > limit:
        raise too_large(limit)
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Gone
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        body = await _read_rest(body, receive, limit)
    if len(body) > limit:
        raise too_large(limit)
    return _unpack(body, limit) if encoding == b"gzip" else body


def binary_event(format: str, headers: Mapping[bytes, bytes], body: bytes) -> bytes:
    """A CloudEvent in binary mode (its attributes are ``ce-`` headers) as a structured one; any other body as it is."""
    if format != "cloudevents" or b"ce-id" not in headers:
        return body
    event: dict[str, object] = {
        name[3:].decode("latin-1"): unquote_to_bytes(value).decode("utf-8", "replace")
        for name, value in headers.items()
        if name.startswith(b"ce-")
    }
    try:
        event["data"] = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        event["data"] = body.decode("utf-8", "replace")
    return _encode(event)


async def _read_rest(first: bytes, receive: Receive, limit: int) -> bytes:
    parts, size, more = [first], len(first), True
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            while more:
                if size > limit:
                    raise too_large(limit)
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Gone
                part = message.get("body", b"")
                parts.append(part)
                size += len(part)
                more = message.get("more_body", False)
    except TimeoutError:
        raise Refused(408, "the body took too long") from None
    return b"".join(parts)


def _unpack(body: bytes, limit: int) -> bytes:
    """Gunzip at most `limit` bytes, so that a small bomb cannot fill the memory."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        plain = unpacker.decompress(body, limit + 1)
    except zlib.error:
        raise Refused(400, "the body is not gzip") from None
    if len(plain) > limit:
        raise too_large(limit)
    if not unpacker.eof:
        raise Refused(400, "the gzip body is cut short")
    return plain


def too_large(limit: int) -> Refused:
    """The refusal (413) of a body of more than `limit` bytes."""
    return Refused(413, f"the body is larger than {limit} bytes", (b"connection", b"close"))


def problems_of(outcome: Outcome) -> list[str]:
    """What of a body was not understood, each with its place."""
    return [*outcome.problems] + [
        f"{logged.event.data.place}: {logged.event.data.reason}"
        for logged in outcome.events
        if isinstance(logged.event.data, PayloadRejected)
    ]


def _v2_answer(outcome: Outcome) -> tuple[int, bytes]:
    """Alertmanager's: 200 and nothing, or 400 and a JSON string although the valid items were stored."""
    problems = problems_of(outcome)
    if not problems:
        return 200, b""
    hidden = len(problems) - PROBLEMS_SHOWN
    shown = "; ".join(problems[:PROBLEMS_SHOWN]) + (f"; and {hidden} more" if hidden > 0 else "")
    return 400, _encode(shown)


def _undecided_answer(outcome: Outcome) -> tuple[int, bytes]:
    place = {"partition": outcome.partition, "offset": outcome.offset}
    answer: dict[str, object] = {"received": outcome.received, "decided": False, **place}
    if outcome.problems:
        answer["problems"] = list(outcome.problems[:PROBLEMS_SHOWN])
    return (400 if outcome.problems and len(outcome.problems) >= outcome.received else 202), _encode(answer)


def _hook_answer(outcome: Outcome) -> tuple[int, bytes]:
    """200 with the count of each disposition; 400 only if nothing was understood, for senders retry no 4xx.

    In a cluster 202: the alerts are kept, and decided a moment later.
    """
    if not outcome.decided:
        return _undecided_answer(outcome)
    dispositions = dict(outcome.dispositions)
    received = sum(dispositions.values())
    problems = problems_of(outcome)
    answer: dict[str, object] = {"received": received, "dispositions": dispositions, "offset": outcome.offset}
    if problems:
        answer["problems"] = problems[:PROBLEMS_SHOWN]
    understood = received - dispositions.get("invalid", 0)
    return (400 if problems and not understood else 200), _encode(answer)
