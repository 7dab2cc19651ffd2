"""The channel's peer: takes any POST, answers 200 at once, and can tell when it saw which alert.

python -m bench.sink PORT
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from typing import cast

import uvloop

Seen = Callable[[bytes, float], None]
"""`seen(body, at_s)`: a request's head and body have come, at this `time.perf_counter`."""


class Sink(asyncio.Protocol):
    """One connection; requests with Content-Length only, as Tocsin's and Alertmanager's webhooks send them."""

    def __init__(self, seen: Seen) -> None:
        self._seen, self._read = seen, b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Answer every complete request."""
        self._read += data
        while (end := self._complete()) > 0:
            self._seen(self._read[:end], time.perf_counter())
            self._read = self._read[end:]
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    def _complete(self) -> int:
        """The length of the first request, 0 while it is not all there."""
        head = self._read.find(b"\r\n\r\n") + 4
        if head < 4:
            return 0
        length = 0
        for line in self._read[:head].lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        return head + length if len(self._read) >= head + length else 0


async def listen(port: int, seen: Seen) -> asyncio.Server:
    """A sink on 127.0.0.1."""
    return await asyncio.get_running_loop().create_server(lambda: Sink(seen), "127.0.0.1", port)


async def _serve(port: int) -> None:
    server = await listen(port, lambda _body, _at: None)
    print("listening", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
