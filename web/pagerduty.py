"""`POST /v2/enqueue`, as PagerDuty has it: the routing key in the body is the token of a source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from schemas.config import Settings
from schemas.ports import Outcome, Runtime
from schemas.wire.pagerduty import dedup_key
from web.ingest import Answer, Gone, Receiver, Refused, problems_of, read_body

ADDRESS = "/v2/enqueue"

_anything: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Any)


def pagerduty_route(runtime: Runtime, settings: Settings) -> Route:
    """The address for all sources of format ``pagerduty``."""
    sources = {name: source for name, source in settings.sources.items() if source.format == "pagerduty"}
    taken = Receiver(runtime, sources, settings.server.max_body_bytes, _taken)
    return Route(ADDRESS, Enqueue(taken), methods=["POST"])


class Enqueue:
    """Finds the source by the routing key, and answers as PagerDuty does: 202 with the key of the event."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await read_body(dict(scope["headers"]), receive, self._receiver.limit)
            answer = await self._take(body)
        except Gone:
            return
        except Refused as refused:
            answer = refused.answer
        head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer.body)), *answer.headers]
        await send({"type": "http.response.start", "status": answer.status, "headers": head})
        await send({"type": "http.response.body", "body": answer.body})

    async def _take(self, body: bytes) -> Answer:
        event = _read(body)
        key = event.get("routing_key")
        name = self._receiver.sender(None, f"Bearer {key}".encode("utf-8", "replace") if isinstance(key, str) else b"")
        answer = await self._receiver.take(name, body)
        if answer.status != 202:
            return answer
        told = {"status": "success", "message": "Event processed", "dedup_key": dedup_key(event)}
        return Answer(202, msgspec.json.encode(told))


def _read(body: bytes) -> Mapping[str, Any]:
    try:
        event = _anything.decode(body)
    except (ValueError, RecursionError):
        event = None
    if not isinstance(event, dict):
        raise Refused(400, "expected a JSON object with a routing_key")
    return event


def _taken(outcome: Outcome) -> tuple[int, bytes]:
    problems = problems_of(outcome)
    if not problems:
        return 202, b""
    return 400, msgspec.json.encode({"status": "invalid event", "message": problems[0], "errors": problems})
