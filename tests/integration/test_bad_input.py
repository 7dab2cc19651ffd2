"""Bad input on a real `tocsin serve`: a clear refusal or `invalid`, kept if it was authentic, and the service stays up.

One server for the whole file: whatever an earlier test sent, the later ones still find it well.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from schemas.records import Received
from tests.servers.process import PATIENCE_S as LONG_S
from tests.servers.tocsin import SOURCES, Tocsin, webhook

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMIT = 5 * 1024 * 1024
ALERT = {"alertname": "DiskFull", "service": "pay", "severity": "critical"}
PATIENCE_S = 30
"""How long Tocsin waits for the rest of a body (web.ingest)."""
END_OF_HEAD = b"\r\n\r\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tocsin(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Tocsin]:
    """One Tocsin on SQLite, and at the end the proof that everything in its journal can be judged again."""
    async with Tocsin(tmp_path_factory.mktemp("bad-input")) as server:
        yield server
        assert await server.terminate() == 0, server.process.tail()
    assert "Traceback" not in server.process.tail()


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def still_well(tocsin: Tocsin) -> AsyncIterator[None]:
    """After each test the same process still takes a good alert, and knows it again."""
    pid = tocsin.process.pid
    yield
    answer = await tocsin.send("alertmanager", webhook({"alertname": "StillWell"}))
    assert answer.status_code == 200, answer.text
    assert (tocsin.process.pid, tocsin.process.exit_code) == (pid, None), tocsin.process.tail()


def kept(tocsin: Tocsin) -> list[bytes]:
    """Every body in the journal, in order."""
    with tocsin.store() as store:
        return [record.body for _, record in store.journal() if isinstance(record, Received)]


def at(hours: float) -> str:
    """A time so many hours from now, as senders write it."""
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat().replace("+00:00", "Z")


def v2(*alerts: dict[str, Any]) -> bytes:
    """A body as Prometheus posts it."""
    return json.dumps(list(alerts)).encode()


MALFORMED = {
    "empty": b"",
    "cut short": webhook(ALERT)[:-40],
    "not JSON": b"<html>login</html>",
    "not UTF-8": webhook(ALERT).replace(b"DiskFull", b"Disk\xff\xfe"),
    "UTF-16": webhook(ALERT).decode().encode("utf-16"),
    "a number": b"42",
    "alerts of a wrong type": b'{"version": "4", "alerts": {"labels": {}}}',
    "no alerts at all": b'{"version": "4"}',
    "labels of a wrong type": b'{"version": "4", "alerts": [{"status": "firing", "labels": [1, 2]}]}',
    "a label of a wrong type": b'{"version": "4", "alerts": [{"status": "firing", "labels": {"a": {"b": 1}}}]}',
    "missing labels": b'{"version": "4", "alerts": [{"status": "firing", "startsAt": "2026-01-05T04:00:00Z"}]}',
    "no time": b'{"version": "4", "alerts": [{"status": "firing", "labels": {"a": "b"}, "startsAt": "yesterday"}]}',
    "a lone surrogate": b'{"version": "4", "alerts": [{"status": "firing", "labels": {"a": "\\ud800"}}]}',
    "deeply nested": b'{"alerts":' + b"[" * 100_000,
    "NaN": b'{"version": "4", "alerts": NaN}',
}


@pytest.mark.parametrize("what", MALFORMED)
async def test_what_cannot_be_understood_is_refused_with_a_reason_and_kept(tocsin: Tocsin, what: str) -> None:
    """400 with place and reason; the authentic body is in the journal byte for byte, and counts as invalid."""
    body = MALFORMED[what]
    answer = await tocsin.send("alertmanager", body)
    assert answer.status_code == 400, answer.text
    told = answer.json()
    assert told["problems"][0].startswith("$")
    assert told["dispositions"] == {"invalid": 1}
    assert kept(tocsin)[-1] == body


async def test_prometheus_is_told_the_same_in_its_own_format(tocsin: Tocsin) -> None:
    """`/api/v2/alerts`: 400 with a JSON string for a bad body; good items among bad ones are taken."""
    for body in (b"{}", b"[", b"\xff", b"[7]"):
        answer = await tocsin.send("prometheus", body)
        assert answer.status_code == 400
        assert isinstance(answer.json(), str)
        assert kept(tocsin)[-1] == body
    mixed = v2({"labels": {"alertname": "Mixed"}}, {"labels": "none"}, {"annotations": {}})
    answer = await tocsin.send("prometheus", mixed)
    assert answer.status_code == 400
    assert "$[1]" in answer.json()
    assert "$[2]" in answer.json()
    again = await tocsin.send("prometheus", v2({"labels": {"alertname": "Mixed"}}))
    assert again.status_code == 200
    with tocsin.store() as store:
        titles = [logged.event.data.title for logged in store.log(limit=10_000) if logged.type == "incident_opened"]
    assert sum("Mixed" in title for title in titles) == 1


async def test_unknown_fields_are_no_reason_to_lose_an_alert(tocsin: Tocsin) -> None:
    """Fields of later versions are ignored, and kept in the journal with the rest."""
    body = json.loads(webhook({"alertname": "FromTheFuture"}))
    body["version"], body["mood"], body["alerts"][0]["colour"] = "7", {"deep": [1, None]}, 3.5
    raw = json.dumps(body).encode()
    answer = await tocsin.send("alertmanager", raw)
    assert (answer.status_code, answer.json()["dispositions"]) == (200, {"opened": 1})
    assert kept(tocsin)[-1] == raw


def blocking_send(tocsin: Tocsin, body: bytes | Iterator[bytes]) -> httpx2.Response:
    """Like `send`, on a blocking socket: an answer that comes before the body is sent is then read all the same."""
    headers = {"Authorization": f"Bearer {SOURCES['alertmanager']['token']}"}
    return httpx2.post(f"{tocsin.url}/hooks/alertmanager", content=body, headers=headers, timeout=LONG_S)


async def test_ten_megabytes_are_refused_and_the_largest_allowed_body_is_not(tocsin: Tocsin) -> None:
    """Over the limit: 413, nothing kept. Just below it, thousands of alerts: taken, each with a disposition."""
    before = len(kept(tocsin))
    whole = b" " * (10 * 1024 * 1024)
    parts = (whole[:65_536] for _ in range(160))
    for body in (whole, parts):  # with Content-Length, and in chunks without
        answer = await asyncio.to_thread(blocking_send, tocsin, body)
        assert answer.status_code == 413
        assert str(LIMIT) in answer.text
    assert len(kept(tocsin)) == before
    count = 12_000
    many = webhook(*({"alertname": "Flood", "service": "flood", "instance": f"host-{i:06}"} for i in range(count)))
    large = many + b" " * (LIMIT - len(many))
    answer = await tocsin.send("alertmanager", large)
    assert answer.status_code == 200, answer.text[:300]
    assert answer.json()["dispositions"] == {"opened": 1, "attached": count - 1}


@pytest.mark.parametrize("hours", [-24, 24])
async def test_a_clock_that_is_a_day_off_changes_no_order(tocsin: Tocsin, hours: int) -> None:
    """A sender whose clock is a day early or late: its alerts open, repeat and resolve all the same."""
    labels = {"alertname": f"Skewed{hours}"}
    for status, fate in (("firing", "opened"), ("firing", "repeated"), ("resolved", "resolved")):
        body = json.loads(webhook(labels, status=status, starts=at(hours)))
        if status == "resolved":
            body["alerts"][0]["endsAt"] = at(hours + 0.1)
        answer = await tocsin.send("alertmanager", json.dumps(body).encode())
        assert (answer.status_code, answer.json()["dispositions"]) == (200, {fate: 1})


async def test_prometheus_with_a_clock_a_day_off_is_taken_at_its_word(tocsin: Tocsin) -> None:
    """`/api/v2/alerts`: an end a day ago means resolved, one a day ahead means firing; neither is an error."""
    late = {"labels": {"alertname": "Late"}, "startsAt": at(-25), "endsAt": at(-24)}
    early = {"labels": {"alertname": "Early"}, "startsAt": at(24), "endsAt": at(24.1)}
    assert (await tocsin.send("prometheus", v2(late, early))).status_code == 200
    with tocsin.store() as store:
        titles = [logged.event.data.title for logged in store.log(limit=10_000) if logged.type == "incident_opened"]
    assert any("Early" in title for title in titles)
    assert not any("Late" in title for title in titles)


async def test_deliveries_that_come_twice_or_overtake_each_other_open_one_incident(tocsin: Tocsin) -> None:
    """The same body three times is one alert; a firing overtaken by its own resolution opens nothing."""
    body = webhook({"alertname": "Thrice"})
    fates = [(await tocsin.send("alertmanager", body)).json()["dispositions"] for _ in range(3)]
    assert fates == [{"opened": 1}, {"repeated": 1}, {"repeated": 1}]
    overtaken = {"alertname": "Overtaken"}
    first = await tocsin.send("alertmanager", webhook(overtaken, status="resolved"))
    second = await tocsin.send("alertmanager", webhook(overtaken))
    assert first.json()["dispositions"] == {"resolved": 1}
    assert second.json()["dispositions"] == {"repeated": 1}


async def test_strangers_leave_no_trace(tocsin: Tocsin) -> None:
    """A wrong token is 401, an unknown source 404, another method 405; the journal holds nothing of theirs."""
    before = len(kept(tocsin))
    body = webhook({"alertname": "Forged"})
    for token in ("Bearer wrong", "Bearer", "Basic !", "Bearer \xff".encode("latin-1")):
        answer = await tocsin.send("alertmanager", body, headers={"Authorization": token})
        assert answer.status_code == 401
        assert "Bearer" in answer.headers["www-authenticate"]
    prometheus = f"Bearer {SOURCES['prometheus']['token']}"
    assert (await tocsin.send("alertmanager", body, headers={"Authorization": prometheus})).status_code == 401
    assert b" 404 " in await raw(tocsin, request(body, path="/hooks/nobody"))
    assert b" 404 " in await raw(tocsin, request(body, path="/hooks/..%2f..%2fetc%2fpasswd"))
    assert b" 405 " in await raw(tocsin, request(b"", method="DELETE"))
    assert len(kept(tocsin)) == before


# --- on the wire --------------------------------------------------------------------------------------------------


def request(body: bytes, *, method: str = "POST", path: str = "/hooks/alertmanager", **headers: str) -> bytes:
    """One HTTP/1.1 request as bytes; `headers` replace or join the usual ones."""
    usual = {
        "Host": "t",
        "Authorization": f"Bearer {SOURCES['alertmanager']['token']}",
        "Content-Length": str(len(body)),
    }
    usual |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in usual.items() if value)
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body


async def raw(tocsin: Tocsin, *parts: bytes, answers: int = 1, wait_s: float = LONG_S) -> bytes:
    """Write `parts`, and read until so many answers have come, the server closes or has said nothing for `wait_s`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", tocsin.port)
    said = b""
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        while said.count(END_OF_HEAD) < answers and (more := await asyncio.wait_for(reader.read(65_536), wait_s)):
            said += more
    except (TimeoutError, ConnectionError):
        pass
    finally:
        writer.close()
    return said


async def test_pipelined_requests_are_answered_in_order(tocsin: Tocsin) -> None:
    """Three requests in one packet: three answers, in their order, and three bodies in the journal."""
    bodies = [webhook({"alertname": f"Pipe{number}"}) for number in range(2)]
    said = await raw(tocsin, request(bodies[0]) + request(b"{") + request(bodies[1]), answers=3)
    assert re.findall(rb"HTTP/1\.1 (\d+)", said) == [b"200", b"400", b"200"]
    assert kept(tocsin)[-3:] == [bodies[0], b"{", bodies[1]]


async def test_half_a_request_leaves_nothing(tocsin: Tocsin) -> None:
    """A sender that hangs up in its headers or in its body was not heard."""
    before = len(kept(tocsin))
    whole = request(webhook({"alertname": "Half"}))
    for cut in (10, whole.index(END_OF_HEAD), len(whole) - 5):
        _, writer = await asyncio.open_connection("127.0.0.1", tocsin.port)
        writer.write(whole[:cut])
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.close()
        await writer.wait_closed()
    await asyncio.sleep(0.2)
    assert len(kept(tocsin)) == before


@pytest.mark.parametrize(
    "wrong",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64,
        b"POST / HTTP/9.9\r\n\r\n",
        b"\r\n\r\n\r\n\x00\x00",
        request(b"", Content_Length="-5"),
        request(b"{}", Content_Length="2, 3"),
        request(b"zz\r\nnot a chunk", Content_Length="", Transfer_Encoding="chunked"),
        request(b"", Big="x" * 2_000_000),
    ],
    ids=["TLS", "version", "noise", "negative length", "two lengths", "bad chunk", "huge header"],
)
async def test_what_is_no_http_is_turned_away(tocsin: Tocsin, wrong: bytes) -> None:
    """TLS on the plain port, broken framing, endless headers: a 4xx or a closed connection, never an acceptance."""
    before = len(kept(tocsin))
    said = await raw(tocsin, wrong, wait_s=3)
    assert said == b"" or said.split()[1].startswith(b"4"), said[:200]
    assert len(kept(tocsin)) == before


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def endless(tocsin: Tocsin) -> AsyncIterator[list[asyncio.Task[bytes]]]:
    """Twenty senders that stop in the middle of their bodies, waiting for an answer while the other tests run."""
    cut = request(webhook({"alertname": "Endless"}))[:-20]
    senders = [asyncio.create_task(raw(tocsin, cut, wait_s=PATIENCE_S + LONG_S)) for _ in range(20)]
    yield senders
    for sender in senders:
        sender.cancel()


async def test_a_slow_body_is_taken_if_it_comes_in_time_and_delays_nobody(tocsin: Tocsin) -> None:
    """Dribbled, with twenty other senders served between its pieces, it is taken."""
    whole = request(webhook({"alertname": "Slow"}))
    reader, writer = await asyncio.open_connection("127.0.0.1", tocsin.port)
    writer.write(whole[:-100])
    for number, place in enumerate(range(len(whole) - 100, len(whole), 5)):
        await writer.drain()
        answer = await tocsin.send("alertmanager", webhook({"alertname": f"Quick{number}"}))
        assert answer.status_code == 200
        writer.write(whole[place : place + 5])
    head = await asyncio.wait_for(reader.readuntil(END_OF_HEAD), LONG_S)
    writer.close()
    assert b" 200 " in head


async def test_a_body_that_never_ends_is_let_go(endless: list[asyncio.Task[bytes]]) -> None:
    """Senders that fall silent within a body get 408 after PATIENCE_S; nothing of theirs is kept."""
    answers = await asyncio.gather(*endless)
    assert all(b" 408 " in said for said in answers), set(answers)
