"""Uvicorn's fast HTTP protocol with a limit on the head of a request, which it does not have by itself.

Without one, whoever reaches the port can fill the memory with headers that never end, before any token is looked at.
"""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024
"""Request line and headers together, give or take what one read of the socket brings; browsers send a few KB."""


class BoundedHead(HttpToolsProtocol):
    """Answers 400 and hangs up when the head of a request goes on past MAX_HEAD_BYTES."""

    _in_head = True
    _head_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Read on, unless the head that these bytes belong to is too large already."""
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")

    def on_message_begin(self) -> None:
        """A request begins."""
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its head is complete."""
        self._in_head = False
        super().on_headers_complete()
