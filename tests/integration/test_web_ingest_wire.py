"""The short way for alerts, on a real socket: what a sender sees, byte by byte."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path

import pytest

from tests.servers.process import PATIENCE_S
from tests.servers.tocsin import Tocsin

ALERT = b'[{"labels":{"alertname":"Down","n":"%d"}}]'
HOST = b"Host: x\r\nAuthorization: Bearer prometheus-token\r\n"


def post(body: bytes, *, extra: bytes = b"", path: bytes = b"/api/v2/alerts") -> bytes:
    """A whole request."""
    return b"POST %b HTTP/1.1\r\n%b%bContent-Length: %d\r\n\r\n%b" % (path, HOST, extra, len(body), body)


class Wire:
    """One connection to Tocsin."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def answer(self) -> tuple[int, bytes]:
        """The next answer: status and body."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), PATIENCE_S)
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        return int(head.split(b" ")[1]), await self.reader.readexactly(int(length.split(b":")[1]))

    async def closed(self) -> bool:
        """Whether Tocsin hangs up."""
        return await asyncio.wait_for(self.reader.read(1), PATIENCE_S) == b""


async def wire(tocsin: Tocsin) -> Wire:
    """A new connection."""
    return Wire(*await asyncio.open_connection("127.0.0.1", tocsin.port))


@pytest.fixture
async def tocsin(tmp_path: Path):  # type: ignore[no-untyped-def] # an async generator of the server
    """A Tocsin with small bodies and one token."""
    async with Tocsin(
        tmp_path,
        sources={"prometheus": {"format": "alertmanager_v2", "token": "prometheus-token"}},
        server={"max_body_bytes": 4096},
    ) as started:
        yield started


async def test_many_requests_of_one_connection_are_answered_in_order(tocsin: Tocsin) -> None:
    """Kept alive, in pieces, pipelined, compressed, chunked: every request has its own answer, in the order sent."""
    one = await wire(tocsin)
    for number in range(3):
        one.writer.write(post(ALERT % number))
        assert await one.answer() == (200, b"")
    whole = post(ALERT % 3)
    for part in (whole[:20], whole[20:150], whole[150:]):
        one.writer.write(part)
        await asyncio.sleep(0.02)
    assert await one.answer() == (200, b"")
    one.writer.write(post(ALERT % 4) + post(b"nonsense") + post(ALERT % 5))
    assert [(await one.answer())[0] for _ in range(3)] == [200, 400, 200]
    one.writer.write(post(gzip.compress(ALERT % 6), extra=b"Content-Encoding: gzip\r\n"))
    assert await one.answer() == (200, b"")
    body = ALERT % 7
    chunked = b"POST /api/v2/alerts HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    one.writer.write(chunked + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
    assert await one.answer() == (200, b"")
    books = (await tocsin.api("/incidents"))["incidents"]
    assert sum(incident["alert_count"] for incident in books) == 8


async def test_who_shows_no_token_is_told_so(tocsin: Tocsin) -> None:
    """401 on the short way's addresses as on any other, and the connection may go on."""
    one = await wire(tocsin)
    one.writer.write(post(ALERT % 1).replace(b"prometheus-token", b"guess"))
    assert (await one.answer())[0] == 401
    one.writer.write(post(ALERT % 1))
    assert (await one.answer())[0] == 200


async def test_a_body_past_the_limit_is_refused(tocsin: Tocsin) -> None:
    """413, whether the length was declared or not, and the connection ends."""
    declared = await wire(tocsin)
    declared.writer.write(post(b"x" * 5000)[:600])
    assert (await declared.answer())[0] == 413
    assert await declared.closed()
    growing = await wire(tocsin)
    growing.writer.write(b"POST /api/v2/alerts HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n")
    growing.writer.write(b"1388\r\n" + b"x" * 5000 + b"\r\n")
    assert (await growing.answer())[0] == 413
    assert await growing.closed()


async def test_a_sender_that_hangs_up_harms_nobody(tocsin: Tocsin) -> None:
    """Half a body and a closed connection: nothing is journalled, the next sender is served."""
    half = await wire(tocsin)
    half.writer.write(post(ALERT % 1)[:-5])
    await half.writer.drain()
    half.writer.close()
    one = await wire(tocsin)
    one.writer.write(post(ALERT % 2))
    assert (await one.answer())[0] == 200
    incidents = (await tocsin.api("/incidents"))["incidents"]
    assert sum(incident["alert_count"] for incident in incidents) == 1


async def test_many_large_bodies_at_once_are_all_taken(tmp_path: Path) -> None:
    """With the settings as they come, forty senders with 100 KB each wait for a commit and none is refused."""
    body = b"[" + b",".join(b'{"labels":{"alertname":"A","n":"%d"},"annotations":{"t":"%b"}}' % (n, b"x" * 1000)
                            for n in range(100)) + b"]"  # fmt: skip
    async with Tocsin(
        tmp_path, sources={"prometheus": {"format": "alertmanager_v2", "token": "prometheus-token"}}
    ) as tocsin:
        senders = [await wire(tocsin) for _ in range(40)]
        for one in senders:
            one.writer.write(post(body))
        assert [(await one.answer())[0] for one in senders] == [200] * 40
