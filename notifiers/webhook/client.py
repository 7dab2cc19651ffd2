"""HTTP/1.1 for one purpose: POST a small body to one address, again and again, and know what had left when it fails.

A general client costs many times the CPU (httpx2, pooled: 0.6 ms a POST on uvloop and 0.75 on asyncio; a delivery here,
rendering included: 0.11), and hides whether anything had been written.
The parsing is httptools', the same parser that the web server uses.
"""

from __future__ import annotations

import asyncio
import select
import ssl
from typing import cast
from urllib.parse import SplitResult, urlsplit

import httptools
import msgspec

from schemas.errors import DeliveryError

IDLE_S = 4.0
"""A connection that rested longer is not used again: many servers close after 5 s, and a request that crosses with
the closing may have arrived or not, which would end the delivery."""
ANSWER_BYTES = 65_536
"""More of an answer is not read: only its status and one header count."""


class Address(msgspec.Struct, frozen=True):
    """Where to POST. `target` is path and query; it may be a credential: never log it."""

    host: str
    port: int
    tls: bool
    netloc: str
    target: str


class Answer(msgspec.Struct, frozen=True):
    """What counts of an answer."""

    status: int
    retry_after: str


def address(url: str) -> Address:
    """The parts of an http or https URL. Raises ValueError, whose words do not repeat the URL."""
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("expected a URL in printable ASCII without spaces (percent-encode the rest)")
    try:
        parts: SplitResult = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("not a URL: its host or port cannot be read") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("expected http://HOST/… or https://HOST/…")
    if "@" in parts.netloc:
        raise ValueError("expected no user or password in the URL: give token")
    tls = parts.scheme == "https"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Address(parts.hostname, port or (443 if tls else 80), tls, parts.netloc, target)


class Client:
    """Keeps at most one connection between requests; several at once make connections of their own.

    It belongs to the event loop in which it is used; used in another one, it begins anew there.
    """

    def __init__(self, to: Address, headers: dict[str, str], *, tls: ssl.SSLContext | None = None) -> None:
        """`headers` go with each request; names and values must be clean (no line breaks). `tls`: other trust."""
        self._to = to
        self._tls = (tls or ssl.create_default_context()) if to.tls else None
        fixed = {"Host": to.netloc, "User-Agent": "tocsin", "Accept": "*/*", **headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fixed.items())
        self._head = f"POST {to.target} HTTP/1.1\r\n{lines}".encode("ascii")
        self._idle: _Connection | None = None

    async def post(self, body: bytes, headers: bytes, timeout_s: float) -> Answer:
        """One request, sent at most once; `headers` are whole lines of this request.

        Raises DeliveryError, with `maybe_sent` from the moment at which any of it may have left this machine.
        """
        request = b"%b%bContent-Length: %d\r\n\r\n%b" % (self._head, headers, len(body), body)
        connection = self._rested()
        written = False
        try:
            async with asyncio.timeout(timeout_s):
                if connection is None or not connection.write(request):
                    connection = await self._connect()
                    if not connection.write(request):
                        raise ConnectionError
                written = True
                await connection.over
        except (OSError, TimeoutError) as trouble:  # a broken connection after writing ends `over`, it raises nothing
            if not written:
                raise DeliveryError(f"no connection: {type(trouble).__name__}") from None
        finally:
            self._put_back(connection)
        assert connection is not None
        if connection.answer is None:
            raise DeliveryError(f"no answer: {connection.trouble or 'TimeoutError'}", maybe_sent=True)
        return connection.answer

    async def close(self) -> None:
        """Close the resting connection, if there is one; the client can still be used."""
        if (connection := self._idle) is not None:
            self._idle = None
            connection.drop()
            await asyncio.sleep(0)  # the loop closes the socket in its next round

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_Connection, self._to.host, self._to.port, ssl=self._tls)
        return connection

    def _rested(self) -> _Connection | None:
        """The resting connection, taken out, if it is surely still of use."""
        connection, self._idle = self._idle, None
        if connection is None or connection.loop is not asyncio.get_running_loop():
            return None
        if connection.fit():
            return connection
        connection.drop()
        return None

    def _put_back(self, connection: _Connection | None) -> None:
        if connection is None:
            return
        if connection.reusable and self._idle is None:
            connection.rested_s = connection.loop.time()
            self._idle = connection
        else:
            connection.drop()


class _Connection(asyncio.Protocol):
    """One connection and, while a request is under way, its answer. `over` is done when nothing more is awaited."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.answer: Answer | None = None
        self.trouble = ""
        self.reusable = False
        self.rested_s = 0.0
        self.over: asyncio.Future[None] = self.loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._read = 0
        self._retry_after = ""

    def write(self, request: bytes) -> bool:
        """Hand over the whole request; False if surely not one byte of it was taken."""
        assert self._transport is not None
        if self._transport.is_closing():
            return False
        self.answer, self.trouble, self.reusable, self._read = None, "", False, 0
        self.over = self.loop.create_future()
        self._parser = httptools.HttpResponseParser(self)
        self._transport.write(request)
        return not self._transport.is_closing()  # the one send failed at once: the system took nothing

    def fit(self) -> bool:
        """Whether it has not rested too long, and the peer has neither closed it nor said anything unasked."""
        assert self._transport is not None
        if self._transport.is_closing() or self.loop.time() - self.rested_s > IDLE_S:
            return False
        poll = select.poll()  # the loop has perhaps not yet seen the peer's end: look before writing
        poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not poll.poll(0)

    def drop(self) -> None:
        """Close at once."""
        self.reusable = False
        if self._transport is not None and not self.loop.is_closed():
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Called by the loop. What comes unasked, or is no HTTP, ends the connection."""
        self._read += len(data)
        if self._parser is None:
            self._end("bytes that nobody asked for")
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._end("the answer is not HTTP")
        if self._read > ANSWER_BYTES:
            self._end("too long an answer")

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        self._end(type(exc).__name__ if exc else "the connection was closed")

    def on_message_begin(self) -> None:
        """Called by the parser."""
        self._retry_after = ""

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        if name.lower() == b"retry-after":
            self._retry_after = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Called by the parser. From here the answer is known, whatever becomes of its body."""
        assert self._parser is not None
        status = self._parser.get_status_code()
        if status >= 200:  # 1xx: the real one follows
            self.answer = Answer(status, self._retry_after)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        assert self._parser is not None
        if self.answer is not None and not self.over.done():
            self.reusable = self._parser.should_keep_alive()
            self._parser = None  # whatever follows came unasked
            self.over.set_result(None)

    def _end(self, trouble: str) -> None:
        self.trouble = self.trouble or trouble
        self.drop()
        if not self.over.done():
            self.over.set_result(None)
