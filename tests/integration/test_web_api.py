"""The HTTP API, live events, metrics and health, as programs use them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio
import uvicorn

from schemas.errors import Overloaded
from tests.integration.web_site import Installation, add_account, csrf_in, running
from tests.servers.process import PATIENCE_S
from web.accounts import Role
from web.live import PENDING_MAX, Live

CALLS = [
    "assessment/proposals",
    "commands",
    "deliveries",
    "explain",
    "incident-counts",
    "incidents",
    "incidents/{incident}",
    "ledger",
    "noise",
    "oncall",
    "oncall/calendar",
    "oncall/changes",
    "oncall/gaps",
    "oncall/shifts",
    "reports/{period}",
    "rules",
    "rules/history",
    "rules/hits",
    "rules/shadow",
    "rules/whatif",
    "trends",
]
"""What the API offers, below /api/v1/."""
CRITICAL = {"alertname": "DiskFull", "service": "pay", "severity": "critical"}


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Installation]:
    """A Tocsin with one incident, INC-1."""
    async with running(tmp_path) as site:
        await site.fire(CRITICAL)
        yield site


def program(site: Installation, role: Role = "operator") -> httpx2.AsyncClient:
    """A program with an API token of a user of this role."""
    if role not in [user.name for user in site.accounts.users()]:
        add_account(site, role, role)
    user = next(user for user in site.accounts.users() if user.name == role)
    return site.client(token=site.accounts.issue_api_token(user, "test"))


async def test_a_command_answers_with_the_events_it_caused(site: Installation) -> None:
    """After the commit: offset and events, each with id, type, subject, time, actor and data."""
    async with program(site) as api:
        answer = await api.post("/api/v1/commands", json={"type": "acknowledge", "incident": "INC-1"})
        assert answer.status_code == 200
        body = answer.json()
        first = body["events"][0]
        assert (first["type"], first["subject"], first["actor"]) == (
            "incident_acknowledged", "incident/INC-1", "user:operator",
        )  # fmt: skip
        assert first["id"] == f"0-{body['offset']}-0"
        assert first["data"] == {"type": "incident_acknowledged", "incident": "INC-1", "by": "user:operator"}
        again = await api.post("/api/v1/commands", json={"type": "acknowledge", "incident": "INC-1"})
        assert again.json()["events"] == [] or again.status_code == 409


async def test_the_same_idempotency_key_is_decided_once(site: Installation) -> None:
    """A note sent twice with one key is one note; the same key of another user is another command."""
    note = {"type": "add_note", "incident": "INC-1", "text": "once"}
    async with program(site) as api, program(site, "manager") as other:
        for client in (api, api, other):
            await client.post("/api/v1/commands", json=note, headers={"Idempotency-Key": "k1"})
        shown = (await api.get("/api/v1/incidents/INC-1")).json()
    assert [entry["actor"] for entry in shown["timeline"] if entry["type"] == "note_added"] == [
        "user:manager", "user:operator",
    ]  # fmt: skip


async def test_refusals_carry_a_stable_code(site: Installation) -> None:
    """404 for what is not there, 409 for what is not possible now, 422 for what is malformed."""
    async with program(site) as api:
        cases = [
            ({"type": "acknowledge", "incident": "INC-99"}, 404, "not_found"),
            ({"type": "close", "incident": "INC-1"}, 409, "not_allowed_in_state"),
            ({"type": "explode"}, 422, "invalid"),
            ({"type": "assign", "incident": "INC-1"}, 422, "invalid"),
            ({"type": "acknowledge", "incident": "INC-1", "more": 1}, 422, "invalid"),
        ]
        for body, status, code in cases:
            answer = await api.post("/api/v1/commands", json=body)
            assert (answer.status_code, answer.json()["code"]) == (status, code)
            assert answer.json()["reason"]
        broken = await api.post("/api/v1/commands", content=b"{", headers={"Content-Type": "application/json"})
        assert broken.status_code == 422


async def test_the_api_asks_who_you_are(site: Installation) -> None:
    """No token or a wrong one is 401; a viewer reads but commands nothing; a cookie needs the form token."""
    command = {"type": "acknowledge", "incident": "INC-1"}
    for client in (site.client(), site.client(token="tocsin_wrong")):
        assert (await client.get("/api/v1/incidents")).status_code == 401
        assert (await client.post("/api/v1/commands", json=command)).status_code == 401
    async with program(site, "viewer") as viewer:
        assert (await viewer.get("/api/v1/incidents")).status_code == 200
        assert (await viewer.post("/api/v1/commands", json=command)).status_code == 403
    browser = await site.browser()
    assert (await browser.post("/api/v1/commands", json=command)).status_code == 403
    csrf = csrf_in((await browser.get("/")).text)
    assert (await browser.post("/api/v1/commands", json=command, headers={"X-CSRF-Token": csrf})).status_code == 200
    await browser.aclose()


async def test_an_overload_is_503(site: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the engine could not take is to be tried again."""

    async def refuse(*_: object, **__: object) -> None:
        raise Overloaded(3)

    monkeypatch.setattr(site.runtime, "command", refuse)
    async with program(site) as api:
        answer = await api.post("/api/v1/commands", json={"type": "acknowledge", "incident": "INC-1"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "3")


async def test_incidents_are_found_by_state_priority_service_and_text(site: Installation) -> None:
    """Filters narrow, paging counts all, the single incident brings everything known of it."""
    await site.fire(*[{"alertname": f"A{n}", "service": f"s{n}", "severity": "info"} for n in range(5)])
    async with program(site) as api:
        page = (await api.get("/api/v1/incidents", params={"limit": 2, "offset": 2})).json()
        assert (page["total"], len(page["incidents"])) == (6, 2)
        assert (await api.get("/api/v1/incidents?service=pay")).json()["total"] == 1
        assert (await api.get("/api/v1/incidents?state=closed")).json()["total"] == 0
        assert (await api.get("/api/v1/incidents?state=open&state=closed")).json()["total"] == 6
        assert (await api.get("/api/v1/incidents?state=nonsense")).status_code == 422
        one = (await api.get("/api/v1/incidents/INC-1")).json()
        assert one["incident"]["service"] == "pay"
        assert one["alerts"][0]["labels"]["alertname"] == "DiskFull"
        assert {clock["clock"] for clock in one["clocks"]} == {"response", "resolution"}
        assert one["timeline"][-1]["type"] == "incident_opened"
        assert one["deliveries"][0]["channel"] == "mail"
        assert (await api.get("/api/v1/incidents/INC-9")).status_code == 404


async def test_the_other_reads_answer(site: Installation) -> None:
    """Ledger, trends, proposals and deliveries, each in its own words."""
    async with program(site, "viewer") as api:
        books = (await api.get("/api/v1/ledger")).json()
        assert books["difference"] == 0
        assert books["now"] == {"alertmanager": {"opened": 1}}
        days = (await api.get("/api/v1/trends?by=priority")).json()["days"]
        assert sum(day["opened"] for day in days) == 1
        assert (await api.get("/api/v1/assessment/proposals")).json() == {"points": 0, "lines": []}
        assert (await api.get("/api/v1/deliveries")).json()["deliveries"][0]["incident"] == "INC-1"


async def test_the_description_of_the_api_is_complete(site: Installation) -> None:
    """OpenAPI names every call of /api/v1 and no page of the console."""
    async with site.client() as anybody:
        document = (await anybody.get("/api/openapi.json")).json()
        docs = (await anybody.get("/api/docs")).text
    assert set(document["paths"]) == {f"/api/v1/{path}" for path in CALLS}
    assert all(path.startswith("/api/v1/") for path in document["paths"])
    assert all(path in docs for path in document["paths"])


async def test_metrics_health_and_readiness(site: Installation) -> None:
    """What Prometheus scrapes: alerts by disposition, open incidents, requests; and the two probes."""
    async with site.client() as probe:
        await probe.get("/login")
        metrics = (await probe.get("/metrics")).text
        assert 'tocsin_alerts_total{disposition="opened",source="alertmanager"} 1.0' in metrics
        assert "tocsin_open_incidents{priority=" in metrics
        assert 'tocsin_http_requests_total{area="login",method="GET",status="200"} 1.0' in metrics
        assert (await probe.get("/-/healthy")).status_code == 200
        assert (await probe.get("/-/ready")).json()["ready"] is True


@contextlib.asynccontextmanager
async def served(site: Installation) -> AsyncIterator[str]:
    """The application on a real socket, because events stream; its address."""
    server = uvicorn.Server(uvicorn.Config(site.app, port=0, log_level="warning", lifespan="off"))
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    site.app.state.site.live.close()
    server.should_exit = True
    await asyncio.wait_for(task, PATIENCE_S)


async def test_open_pages_hear_of_changes_and_end_at_shutdown(site: Installation) -> None:
    """A page about one incident hears only of that one; the list hears of all; closing ends both at once."""
    browser = await site.browser()
    cookies = dict(browser.cookies)
    heard: dict[str, list[str]] = {"/events": [], "/events?incident=INC-1": []}

    async def listen(address: str, path: str, ready: asyncio.Event) -> None:
        async with (
            httpx2.AsyncClient(cookies=cookies, timeout=PATIENCE_S) as client,
            client.stream("GET", address + path) as stream,
        ):
            assert stream.headers["content-type"].startswith("text/event-stream")
            async for line in stream.aiter_lines():
                heard[path].append(line)
                ready.set()

    async with served(site) as address:
        ready = {path: asyncio.Event() for path in heard}
        listening = [asyncio.create_task(listen(address, path, ready[path])) for path in heard]
        await asyncio.gather(*(event.wait() for event in ready.values()))
        await site.fire({"alertname": "Other", "service": "other", "severity": "info"})
        async with asyncio.timeout(PATIENCE_S):
            while "data: INC-2" not in heard["/events"]:
                await asyncio.sleep(0.02)
        async with program(site) as api:
            await api.post("/api/v1/commands", json={"type": "acknowledge", "incident": "INC-1"})
        async with asyncio.timeout(PATIENCE_S):
            while "data: INC-1" not in heard["/events?incident=INC-1"]:
                await asyncio.sleep(0.02)
    await asyncio.wait_for(asyncio.gather(*listening), PATIENCE_S)
    assert "event: incident" in heard["/events?incident=INC-1"]
    assert not any("INC-2" in line for line in heard["/events?incident=INC-1"])
    await browser.aclose()


async def test_a_stream_beats_and_ends_with_the_session(site: Installation) -> None:
    """A quiet stream sends a heartbeat; when its session is over it ends instead."""
    live, allowed = Live(site.runtime, heartbeat_s=0.01, gather_s=0), [True, True, False]

    async def still_allowed() -> bool:
        return allowed.pop(0)

    assert [part[:7] async for part in live.stream(None, still_allowed)] == [b"retry: ", b": still", b": still"]
    assert live.subscribers == 0


async def test_a_page_that_missed_too_much_is_told_to_reload(site: Installation) -> None:
    """Nothing grows without bound for a slow page: it hears `reload` instead of hundreds of names."""
    live = Live(site.runtime, heartbeat_s=5, gather_s=0)

    async def still_allowed() -> bool:
        return True

    stream = live.stream(None, still_allowed)
    await anext(stream)
    live.tell({f"INC-{n}" for n in range(PENDING_MAX + 1)})
    assert (await anext(stream)).startswith(b"event: reload")
    live.tell({"INC-1"})
    assert await anext(stream) == b"event: incidents\ndata: INC-1\n\n"
    await stream.aclose()


async def test_events_are_for_those_who_signed_in(site: Installation) -> None:
    """A stranger cannot listen."""
    async with site.client() as stranger:
        assert (await stranger.get("/events")).status_code == 401
