"""The webhook: its body, its headers, its one kept connection, and what had left when something breaks."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest
from pydantic import SecretStr

from notifiers.webhook import client as http
from notifiers.webhook.client import Client, address
from notifiers.webhook.notifier import WebhookNotifier
from schemas.config import WebhookChannel
from schemas.deliveries import Receipt
from schemas.errors import ConfigError, DeliveryError
from schemas.events import Notice

NOTICE = Notice("opened", "INC-1", "t", "P1", "critical", "triggered", "s", 0, 0, 1)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Wire(asyncio.Protocol):
    """One connection of a `Peer`: answers each read with the next bytes of the script; None breaks it off."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.lost = asyncio.Event()
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.peer.wires.append(self)

    def data_received(self, data: bytes) -> None:
        self.peer.requests.append(data)
        answer = self.peer.script.pop(0) if self.peer.script else OK
        if answer is None:
            self.transport.abort()
        else:
            self.transport.write(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()


class Peer:
    """A server of bare bytes on a free port, so that every turn of a connection can be staged."""

    def __init__(self, *script: bytes | None, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.script, self.tls, self.port = list(script), tls, port
        self.requests: list[bytes] = []
        self.wires: list[Wire] = []

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(lambda: Wire(self), "127.0.0.1", self.port, ssl=self.tls)
        scheme = "https" if self.tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/in"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        for wire in self.wires:
            wire.transport.abort()
        await self.server.wait_closed()


def hook(url: str, **more: Any) -> WebhookNotifier:
    return WebhookNotifier("hook", WebhookChannel(url=SecretStr(url), timeout_s=1, **more))


async def tell(notifier: WebhookNotifier, delivery: str = "INC-1.1") -> str:
    """One delivery, as the outcome that the outbox would report."""
    try:
        await notifier.deliver(notifier.render(NOTICE), delivery=delivery)
    except DeliveryError as trouble:
        return "unknown" if trouble.maybe_sent else "failed" if trouble.permanent else "retry"
    return "ok"


async def test_the_body_has_every_field_and_the_key_stands_twice() -> None:
    """A program reads all of the notice, defaults too, and can drop a second copy by the body or by the header."""
    async with Peer() as peer:
        notifier = hook(f"{peer.url}?room=a%20b", token=SecretStr("open-sesame"))
        receipt = await notifier.deliver(notifier.render(NOTICE), delivery="INC-1.1 钟\r\n")
        await notifier.close()
    head, _, body = peer.requests[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /in?room=a%20b HTTP/1.1"
    assert {"Authorization: Bearer open-sesame", "Idempotency-Key: INC-1.1%20%E9%92%9F%0D%0A"} <= set(lines)
    assert f"Content-Length: {len(body)}" in lines
    sent = json.loads(body)
    assert set(sent) == {*Notice.__struct_fields__, "delivery"}
    assert (sent["title"], sent["assignee"], sent["delivery"]) == ("t", "", "INC-1.1 钟\r\n")
    assert receipt == Receipt(vendor_code="HTTP 200")


async def test_the_page_shows_the_body_that_is_sent() -> None:
    """The example in docs/formats.md, made a notice and sent, arrives as it stands there, in the same order."""
    page = Path(__file__).resolve().parents[3] / "docs" / "formats.md"
    (shown,) = re.findall(r"^```jsonc webhook\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    fields = json.loads(shown)
    delivery = fields.pop("delivery")
    async with Peer() as peer:
        notifier = hook(peer.url)
        await notifier.deliver(notifier.render(Notice(**fields)), delivery=delivery)
        await notifier.close()
    sent = peer.requests[0].partition(b"\r\n\r\n")[2]
    assert list(json.loads(sent).items()) == list(json.loads(shown).items())


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", "ok"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "ok"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK, "ok"),
        (b"HTTP/1.1 202 Accepted\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 70_000, "ok"),
        (b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", "failed"),
        (b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", "retry"),
        (b"HTTP/1.1 408 Slow\r\nContent-Length: 0\r\n\r\n", "retry"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "unknown"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nx", "unknown"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, "unknown"),
    ],
)
async def test_what_an_answer_means(answer: bytes, expected: str) -> None:
    """The final status alone decides, however the body is framed; what is no HTTP leaves it open."""
    async with Peer(answer) as peer:
        notifier = hook(peer.url)
        assert await tell(notifier) == expected
        await notifier.close()
    assert len(peer.requests) == 1


@pytest.mark.parametrize(("header", "wait_s"), [("7", 7), ("Thu, 01 Jan 1970 00:01:40 GMT", 60), ("soon", None)])
async def test_the_receivers_wish_to_wait_is_passed_on(header: str, wait_s: int | None) -> None:
    """Retry-After reaches the core in seconds, also when it was a date."""
    async with Peer(f"HTTP/1.1 429 Slow\r\nRetry-After: {header}\r\nContent-Length: 0\r\n\r\n".encode()) as peer:
        notifier = WebhookNotifier("hook", WebhookChannel(url=SecretStr(peer.url)), clock=lambda: 40.0)
        with pytest.raises(DeliveryError) as refused:
            await notifier.deliver(notifier.render(NOTICE), delivery="INC-1.1")
        await notifier.close()
    assert (refused.value.retry_after_s, refused.value.permanent) == (wait_s, False)


async def test_one_connection_carries_all_messages() -> None:
    """Messages one after the other share a connection; two at once have one each."""
    async with Peer() as peer:
        notifier = hook(peer.url)
        assert [await tell(notifier, f"INC-1.{number}") for number in range(5)] == ["ok"] * 5
        assert len(peer.wires) == 1
        assert list(await asyncio.gather(tell(notifier), tell(notifier))) == ["ok", "ok"]
        assert len(peer.wires) == 2
        await notifier.close()


@pytest.mark.parametrize("leave", [lambda wire: wire.transport.close(), lambda wire: wire.transport.abort()])
async def test_a_connection_closed_while_at_rest_costs_nothing(leave: Callable[[Wire], None]) -> None:
    """The peer's end is seen before anything is written: the message goes out once, over a new connection."""
    async with Peer() as peer:
        notifier = hook(peer.url)
        assert await tell(notifier, "INC-1.1") == "ok"
        leave(peer.wires[0])
        await peer.wires[0].lost.wait()
        assert await tell(notifier, "INC-1.2") == "ok"
        await notifier.close()
    assert len(peer.wires) == len(peer.requests) == 2


async def test_a_kept_connection_that_breaks_after_writing_may_have_delivered() -> None:
    """The peer read the request and dropped the kept connection: it is not sent again on our own account."""
    async with Peer(OK, None) as peer:
        notifier = hook(peer.url)
        assert [await tell(notifier, f"INC-1.{number}") for number in (1, 2, 3)] == ["ok", "unknown", "ok"]
        await notifier.close()
    assert len(peer.requests) == 3


@pytest.mark.parametrize(
    "last",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        OK + b"HTTP/1.1 500 Unasked\r\n\r\n",
    ],
)
async def test_a_connection_that_is_at_its_end_is_not_kept(last: bytes) -> None:
    """Connection: close, HTTP/1.0 and bytes that nobody asked for: the next message has a new connection."""
    async with Peer(last) as peer:
        notifier = hook(peer.url)
        assert [await tell(notifier), await tell(notifier)] == ["ok", "ok"]
        await notifier.close()
    assert len(peer.wires) == 2


async def test_a_connection_that_rested_too_long_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the peer's own limit runs out we let go, so that no request crosses with the closing."""
    monkeypatch.setattr(http, "IDLE_S", -1.0)
    async with Peer() as peer:
        notifier = hook(peer.url)
        assert [await tell(notifier), await tell(notifier)] == ["ok", "ok"]
        await notifier.close()
    assert len(peer.wires) == 2


@pytest.mark.parametrize("seen_before_writing", [True, False])
async def test_a_reset_that_the_loop_has_not_seen_costs_nothing(
    seen_before_writing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen by a look at the socket, or by the send that fails at once: nothing had left, so it goes out once more."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)

        async def serve() -> tuple[socket.socket, bytes]:
            accepted, _ = await loop.sock_accept(listener)
            request = await loop.sock_recv(accepted, 65_536)
            await loop.sock_sendall(accepted, OK)
            return accepted, request

        notifier = hook(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        serving = asyncio.create_task(serve())
        assert await tell(notifier, "INC-1.1") == "ok"
        first, _ = await serving
        serving = asyncio.create_task(serve())
        if not seen_before_writing:
            monkeypatch.setattr(http._Connection, "fit", lambda _: True)
        first.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        first.close()  # a reset, and no turn of the loop between it and the next message
        assert await tell(notifier, "INC-1.2") == "ok"
        second, request = await serving
        second.close()
        await notifier.close()
    assert b"INC-1.2" in request


def test_another_event_loop_begins_anew() -> None:
    """A notifier that was used in a loop that has ended works in the next one."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    notifier = hook(f"http://127.0.0.1:{port}/")

    async def once() -> str:
        async with Peer(port=port):
            return await tell(notifier)

    assert [asyncio.run(once()), asyncio.run(once())] == ["ok", "ok"]


async def test_tls_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate that is trusted carries the message; one that is not gets none of it."""
    made = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=127.0.0.1 "
        "-addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out cert.pem"
    )
    subprocess.run(made.split(), cwd=tmp_path, check=True, capture_output=True)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    async with Peer(tls=serving) as peer:
        assert await tell(hook(peer.url)) == "retry"
        assert peer.requests == []
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        notifier = hook(peer.url)
        assert [await tell(notifier), await tell(notifier)] == ["ok", "ok"]
        assert len(peer.wires) == 1
        await notifier.close()


@pytest.mark.parametrize(
    "url",
    [
        "ftp://h.test/secretsecret", "/secretsecret", "http:///secretsecret", "http://h.test:port/secretsecret",
        "http://user:secretsecret@h.test/", "http://h.test/secretsecret\r\nX: 1", "http://h.test/secret secret",
        "http://警.test/secretsecret",
    ],
)  # fmt: skip
def test_urls_that_cannot_be_used_are_refused_without_being_shown(url: str) -> None:
    """The error names the key and what was expected, and not the URL, which is a credential."""
    with pytest.raises(ConfigError, match=r"channels\.hook\.url: ") as refused:
        hook(url)
    assert "secret" not in str(refused.value)


def test_a_token_that_is_no_header_value_is_refused() -> None:
    """A line break in a token cannot become a header."""
    with pytest.raises(ConfigError, match=r"channels\.hook\.token"):
        hook("http://h.test/", token=SecretStr("a\r\nX: 1"))


@pytest.mark.parametrize(
    ("url", "host", "port", "target"),
    [
        ("https://h.test", "h.test", 443, "/"),
        ("http://h.test:81?a=b#c", "h.test", 81, "/?a=b"),
        ("http://[::1]:8080/x", "::1", 8080, "/x"),
    ],
)
def test_parts_of_an_address(url: str, host: str, port: int, target: str) -> None:
    """Default ports, an empty path, IPv6; a fragment is not sent."""
    to = address(url)
    assert (to.host, to.port, to.target) == (host, port, target)


async def test_a_silent_receiver_is_not_waited_for_beyond_the_time_out() -> None:
    """The connection is given up with the attempt, and the next message has its own."""
    async with Peer(b"", OK) as peer:
        client = Client(address(peer.url), {})
        with pytest.raises(DeliveryError) as trouble:
            await client.post(b"{}", b"", 0.05)
        assert trouble.value.maybe_sent
        assert (await client.post(b"{}", b"", 1)).status == 200
        await client.close()
    assert len(peer.wires) == 2
