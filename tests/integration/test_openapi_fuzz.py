"""Generated requests against a real `tocsin serve`: every call of the OpenAPI document, and noise at its ingest.

One server for the whole file; the seeds are fixed, so that a run can be repeated. Nothing may answer 5xx, end the
process or leave a connection without an answer.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation

from tests.servers.tocsin import Tocsin, webhook

PROMISES = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance,
]  # fmt: skip
MODES = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
NEVER_WRONG = {
    "GET /api/v1/incidents/{incident}",
    "GET /api/v1/ledger",
    "GET /api/v1/oncall/changes",
    "GET /api/v1/rules/hits",
    "GET /api/v1/rules/shadow",
}
"""Calls that take nothing, or any text at all: there is no request that their document forbids."""
FIRST_INCIDENT = "INC-1"
PATIENCE_S = 60
"""An answer, or the end of the connection, comes sooner than that even on a busy machine."""
RECORDED = [path.read_bytes() for path in sorted((Path(__file__).parents[1] / "payloads").glob("*/*.json"))]

AnyCase = Case[Any]
Operation = APIOperation[Any, Any, Any, Any]
Headers = list[tuple[bytes, bytes]]


def bounded(examples: int) -> settings:
    """So many examples from a fixed seed, without a deadline and without a memory between runs."""
    return settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture(scope="module")
def tocsin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tocsin]:
    """One Tocsin that knows a few incidents, and at the end the proof that nothing broke inside it."""
    server = Tocsin(tmp_path_factory.mktemp("openapi"))
    try:
        asyncio.run(server.start())
        asyncio.run(server.token())
        for number in range(3):
            body = webhook({"alertname": f"Down{number}", "service": f"pay{number}"})
            assert asyncio.run(server.send("alertmanager", body)).status_code == 200
        yield server
    finally:
        server.process.stop()
    assert server.process.exit_code == 0, server.process.tail()
    assert "Traceback" not in server.process.tail()


@pytest.fixture(autouse=True)
def still_well(tocsin: Tocsin) -> Iterator[None]:
    """After each test the same process is ready, takes an alert, and has poisoned nothing."""
    pid = tocsin.process.pid
    yield
    answer = asyncio.run(tocsin.send("alertmanager", webhook({"alertname": "StillWell"})))
    assert answer.status_code == 200, answer.text
    assert requests.get(f"{tocsin.url}/-/ready", timeout=PATIENCE_S).status_code == 200
    assert (tocsin.process.pid, tocsin.process.exit_code) == (pid, None), tocsin.process.tail()


def operations(tocsin: Tocsin) -> list[Operation]:
    """Every call that the application's own document describes."""
    document = schemathesis.openapi.from_url(f"{tocsin.url}/api/openapi.json")
    results = list(document.get_all_operations())
    found = [result.ok() for result in results if isinstance(result, Ok)]
    assert len(found) == len(results), "the document describes a call in a way that cannot be read"
    assert {operation.label for operation in found} >= {"POST /api/v1/commands", "GET /api/v1/incidents"}
    return found


def ask(tocsin: Tocsin, case: AnyCase, token: str) -> Any:
    """Send a generated request, with this token whatever it had generated as its own."""
    return case.call(base_url=tocsin.url, headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE_S)


def check(case: AnyCase, answer: Any) -> tuple[str, int]:
    """Hold an answer to the document; what was asked, and the status of the answer."""
    given_answer = (case.operation.label, int(answer.status_code))
    case.validate_response(answer, checks=PROMISES)
    return given_answer


def aimed(case: AnyCase) -> AnyCase:
    """The same request about an incident that exists, where it is about one: else nearly all would end at 404."""
    if isinstance(case.body, dict) and "incident" in case.body:
        case.body = case.body | {"incident": FIRST_INCIDENT}
    if case.path_parameters and "incident" in case.path_parameters:
        case.path_parameters = case.path_parameters | {"incident": FIRST_INCIDENT}
    return case


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
def test_every_call_answers_as_its_document_says(tocsin: Tocsin, mode: GenerationMode) -> None:
    """Valid and invalid requests of every operation: no 5xx, and no status, type or body but the declared ones."""
    token = asyncio.run(tocsin.token())
    seen: Counter[tuple[str, int]] = Counter()

    def try_out(operation: Operation) -> None:
        @seed(20260105)
        @bounded(25)
        @given(case=operation.as_strategy(generation_mode=mode), aim=st.booleans())
        def one(case: AnyCase, aim: bool) -> None:
            answer = ask(tocsin, aimed(case) if aim else case, token)
            seen[check(case, answer)] += 1

        one()

    every = operations(tocsin)
    for operation in every:
        if mode is GenerationMode.POSITIVE or operation.label not in NEVER_WRONG:
            try_out(operation)
    never_asked = {operation.label for operation in every} - {label for label, _ in seen}
    assert never_asked == (set() if mode is GenerationMode.POSITIVE else NEVER_WRONG)
    if mode is GenerationMode.POSITIVE:
        assert {("GET /api/v1/incidents/{incident}", 200), ("POST /api/v1/commands", 200)} <= seen.keys()


def test_no_call_answers_a_stranger(tocsin: Tocsin) -> None:
    """With a token that nobody issued every operation of the document answers 401, whatever else is asked."""

    def try_out(operation: Operation) -> None:
        @seed(20260105)
        @bounded(5)
        @given(case=operation.as_strategy())
        def one(case: AnyCase) -> None:
            assert ask(tocsin, case, "guess").status_code == 401, operation.label

        one()

    for operation in operations(tocsin):
        try_out(operation)


# --- ingest -------------------------------------------------------------------------------------------------------

SENDERS = st.one_of(
    st.sampled_from(
        [(b"/api/v2/alerts", b"Bearer prom-token"), (b"/hooks/alertmanager", b"Bearer am-token"),
         (b"/hooks/script", b"Bearer script-token")]
    ),
    st.tuples(
        st.sampled_from([b"/api/v2/alerts", b"/hooks/script", b"/hooks/nobody", b"/hooks/", b"/hooks/script?a=%00"]),
        st.sampled_from([b"Bearer prom-token", b"bearer script-token", b"Basic Og==", b"Basic x", b"Bearer \xff", b""]),
    ),
)  # fmt: skip
VALUES = st.one_of(
    st.sampled_from(
        [b"", b"gzip", b"identity", b"100-continue", b"close", b"keep-alive", b"upgrade", b"websocket", b"h2c"]
    ),
    st.binary(max_size=20).map(lambda raw: raw.translate(None, b"\r\n\0")),
)
NAMES = st.sampled_from(
    [b"Content-Encoding", b"Expect", b"Connection", b"Upgrade", b"Content-Type", b"Cookie", b"Accept", b"X-Request-Id",
     b"Host", b"Forwarded", b"X-Forwarded-For", b"Authorization", b"Range", b"Idempotency-Key"]
)  # fmt: skip
BODIES = st.one_of(
    st.binary(max_size=300),
    st.sampled_from(RECORDED),
    st.sampled_from(RECORDED).map(gzip.compress),
    st.builds(
        lambda body, at, put: body[:at] + put + body[at:], st.sampled_from(RECORDED), st.integers(0, 900), st.binary()
    ),
)


def connect(tocsin: Tocsin) -> socket.socket:
    """A new connection on which nothing may take longer than PATIENCE_S."""
    return socket.create_connection(("127.0.0.1", tocsin.port), timeout=PATIENCE_S)


def next_answer(wire: socket.socket) -> int | None:
    """The status of the next answer, its body read; None when the other side has hung up instead."""
    with wire.makefile("rb") as stream:
        while True:
            first = stream.readline()
            if not first:
                return None
            status, length = int(first.split(b" ")[1]), 0
            while (line := stream.readline().lower()) not in (b"\r\n", b""):
                if line.startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            stream.read(length)
            if status >= 200:  # 100 Continue is no answer yet
                return status


def framed(method: bytes, path: bytes, headers: Headers, body: bytes, chunked: bool) -> bytes:
    """A request whose end can be known: by its length, or in one chunk."""
    lines = [b"%b: %b\r\n" % header for header in headers]
    if chunked:
        lines.append(b"Transfer-Encoding: chunked\r\n")
        body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
    else:
        lines.append(b"Content-Length: %d\r\n" % len(body))
    return b"%b %b HTTP/1.1\r\nHost: x\r\n%b\r\n%b" % (method, path, b"".join(lines), body)


def next_sender_is_served(tocsin: Tocsin) -> None:
    """A good alert on a connection of its own is taken."""
    good = json.dumps([{"labels": {"alertname": "Next"}}]).encode()
    with connect(tocsin) as wire:
        wire.sendall(framed(b"POST", b"/api/v2/alerts", [(b"Authorization", b"Bearer prom-token")], good, False))
        assert next_answer(wire) == 200


def test_any_headers_and_body_at_the_ingest_addresses_are_answered(tocsin: Tocsin) -> None:
    """A whole request, whatever its headers and bytes, gets 2xx or 4xx at once, and the next sender is served."""
    seen: set[int | None] = set()

    @seed(20260105)
    @bounded(400)
    @given(
        method=st.sampled_from([b"POST", b"POST", b"PUT", b"GET"]),
        sender=SENDERS,
        headers=st.lists(st.tuples(NAMES, VALUES), max_size=3),
        body=BODIES,
        chunked=st.booleans(),
    )
    def one(method: bytes, sender: tuple[bytes, bytes], headers: Headers, body: bytes, chunked: bool) -> None:
        path, token = sender
        with connect(tocsin) as wire:
            wire.sendall(framed(method, path, [(b"Authorization", token), *headers], body, chunked))
            status = next_answer(wire)
            seen.add(status)
            assert status is not None
            assert 200 <= status < 300 or 400 <= status < 500
        next_sender_is_served(tocsin)

    one()
    assert seen >= {200, 400, 401, 404}


def test_bytes_that_are_no_request_end_their_connection_only(tocsin: Tocsin) -> None:
    """Noise, or a request with bytes lost and added anywhere: 2xx, 4xx or the end, and the next sender is served."""
    whole = framed(b"POST", b"/api/v2/alerts", [(b"Authorization", b"Bearer prom-token")], RECORDED[0], False)
    broken = st.builds(
        lambda at, cut, put: whole[:at] + put + whole[at + cut :], st.integers(0, 150), st.integers(0, 40), st.binary()
    )

    @seed(20260105)
    @bounded(300)
    @given(noise=st.one_of(broken, st.binary(max_size=200)))
    def one(noise: bytes) -> None:
        with connect(tocsin) as wire:
            wire.sendall(noise)
            wire.shutdown(socket.SHUT_WR)
            try:
                while (status := next_answer(wire)) is not None:
                    assert 200 <= status < 300 or 400 <= status < 500
            except ConnectionResetError:
                pass  # it hung up while bytes of ours were unread: an end, too
        next_sender_is_served(tocsin)

    one()
