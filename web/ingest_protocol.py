"""The short way for alerts: a plain request to an ingest address is answered by the connection itself.

An ASGI task with its scope, queue and middleware costs more than judging a batch of alerts. So requests that have
nothing special about them go straight from the HTTP parser to the receiver; all others (gzip, pipelined, expecting
100-continue, HTTP/1.0) take the ordinary way through the application, with the same receiver and the same answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from web.head_limit import BoundedHead
from web.ingest import BODY_TIMEOUT_S, V2_ADDRESS, Answer, Receiver, Refused, too_large

if TYPE_CHECKING:
    from asyncio import Task, TimerHandle

_HOOKS = b"/hooks/"

Measure = Callable[[str, str, int, float], None]
"""`measure(area, method, status, seconds)` of one answered request."""


class _Exchange:
    """One request on the short way. It stands where uvicorn keeps its cycle, and looks like one to it."""

    def __init__(self, receiver: Receiver, source: str, method: str) -> None:
        self.receiver, self.source, self.method = receiver, source, method
        self.parts: list[bytes] = []
        self.size = 0
        self.began = perf_counter()
        self.response_complete = False
        self.disconnected = False
        self.keep_alive = True
        self.message_event = asyncio.Event()


class IngestProtocol(BoundedHead):
    """Uvicorn's protocol with the short way. Use `protocol_for`, which makes a subclass that knows the receivers."""

    v2: Receiver
    hooks: Receiver
    measure: Measure
    v2_addresses: frozenset[bytes] = frozenset((V2_ADDRESS.encode(),))

    _exchange: _Exchange | None = None
    _waiting: TimerHandle | None = None
    _task: Task[None] | None = None

    def on_headers_complete(self) -> None:
        """Take the short way if this request can."""
        exchange = self._short_way()
        if exchange is None:
            super().on_headers_complete()
            return
        self._in_head = False
        self._exchange = exchange
        self.cycle = cast("RequestResponseCycle", exchange)

    def _short_way(self) -> _Exchange | None:
        if self.url in self.v2_addresses:
            receiver, named = self.v2, None
        elif self.url.startswith(_HOOKS):
            receiver, named = self.hooks, self.url[len(_HOOKS) :].decode("ascii", "replace")
        else:
            return None
        method = self.parser.get_method()
        plain = method == b"POST" or (method == b"PUT" and named is not None)
        idle = self.cycle is None or self.cycle.response_complete
        if not (plain and idle) or self.expect_100_continue or not self.parser.should_keep_alive():
            return None
        authorization, declared = b"", b""
        for name, value in self.headers:
            if name == b"authorization":
                authorization = value
            elif name == b"content-length":
                declared = value
            elif name in (b"content-encoding", b"upgrade", b"ce-id"):
                return None
        try:
            if declared.isdigit() and int(declared) > receiver.limit:
                raise too_large(receiver.limit)
            return _Exchange(receiver, receiver.sender(named, authorization), method.decode())
        except Refused:
            return None  # the ordinary way says why

    def on_body(self, body: bytes) -> None:
        """Gather the body, within its limit and its time."""
        exchange = self._exchange
        if exchange is None or cast("object", self.cycle) is not exchange:
            super().on_body(body)
            return
        exchange.parts.append(body)
        exchange.size += len(body)
        if exchange.size > exchange.receiver.limit:
            self._refuse(exchange, too_large(exchange.receiver.limit).answer)
        elif self._waiting is None:
            self._waiting = self.loop.call_later(BODY_TIMEOUT_S, self._body_late, exchange)

    def _body_late(self, exchange: _Exchange) -> None:
        self._refuse(exchange, Refused(408, "the body took too long").answer)

    def _refuse(self, exchange: _Exchange, answer: Answer) -> None:
        exchange.keep_alive = False
        self._answer(exchange, answer)

    def on_message_complete(self) -> None:
        """The body is whole: hand it over."""
        exchange = self._exchange
        if exchange is None or cast("object", self.cycle) is not exchange:
            super().on_message_complete()
            return
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        if not exchange.response_complete:
            body = exchange.parts[0] if len(exchange.parts) == 1 else b"".join(exchange.parts)
            self._task = self.loop.create_task(self._take(exchange, body))
            self.tasks.add(self._task)
            self._task.add_done_callback(self.tasks.discard)

    async def _take(self, exchange: _Exchange, body: bytes) -> None:
        try:
            self._answer(exchange, await exchange.receiver.take(exchange.source, body))
        finally:
            if not exchange.response_complete:  # a bug, or the end of the server: never leave the sender waiting
                self.transport.close()

    def _answer(self, exchange: _Exchange, answer: Answer) -> None:
        if exchange.response_complete:
            return
        exchange.response_complete = True
        area = "alerts" if exchange.receiver is self.v2 else "hooks"
        self.measure(area, exchange.method, answer.status, perf_counter() - exchange.began)
        if exchange.disconnected or self.transport.is_closing():
            return
        head = [STATUS_LINE[answer.status]]
        for name, value in (*self.server_state.default_headers, *answer.headers):
            head += (name, b": ", value, b"\r\n")
        head.append(b"content-type: application/json\r\ncontent-length: %d\r\n" % len(answer.body))
        head.append(b"\r\n" if exchange.keep_alive else b"connection: close\r\n\r\n")
        head.append(answer.body)
        self.transport.write(b"".join(head))
        if not exchange.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The sender hung up; what it sent whole is judged all the same."""
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        super().connection_lost(exc)


def protocol_for(receivers: tuple[Receiver, Receiver], measure: Measure, prefix: str = "") -> type[IngestProtocol]:
    """The protocol class for uvicorn that knows these receivers (`web.ingest.receivers`), also below `prefix`."""
    v2, hooks = receivers
    addresses = frozenset(f"{before}{V2_ADDRESS}".encode() for before in ("", prefix))
    members: dict[str, Any] = {"v2": v2, "hooks": hooks, "measure": staticmethod(measure), "v2_addresses": addresses}
    return type("TocsinProtocol", (IngestProtocol,), members)
