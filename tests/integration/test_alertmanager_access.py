"""Who may ask Alertmanager's API, where it is served, and what it tells where there is no tree of routes."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.integration.web_site import Installation, add_account, running

HERE = "http://127.0.0.1:8080"
SILENCE = {
    "matchers": [{"name": "team", "value": "web", "isRegex": False}],
    "startsAt": "2026-01-05T04:00:00Z", "endsAt": "2096-01-05T04:00:00Z", "createdBy": "li", "comment": "known",
}  # fmt: skip
READS = ("alerts", "alerts/groups", "silences", "receivers", "status")


@pytest.fixture
async def closed(tmp_path: Path) -> AsyncIterator[Installation]:
    """An installation whose API wants a token, as by default."""
    async with running(tmp_path) as site:
        yield site


@pytest.fixture
async def open_(tmp_path: Path) -> AsyncIterator[Installation]:
    """An installation whose API is open on a loopback address, below a path as well."""
    async with running(tmp_path, server={"alertmanager_api": "open", "route_prefix": "/am"}) as site:
        yield site


def token_of(site: Installation, role: Any) -> str:
    """The API token of somebody with this role."""
    add_account(site, role, role)
    user = next(user for user in site.accounts.users() if user.name == role)
    return site.accounts.issue_api_token(user, "amtool")


async def ask(site: Installation, method: str, path: str, **options: Any) -> httpx2.Response:
    """One request to the API, addressed to the machine by its number unless a Host is given."""
    headers = {"Host": "127.0.0.1:8080"} | options.pop("headers", {})
    async with site.client() as client:
        return await client.request(method, f"{HERE}{path}", headers=headers, **options)


@pytest.mark.parametrize("path", READS)
async def test_without_a_token_nothing_is_told(closed: Installation, path: str) -> None:
    """By default reading needs a user's token; 401 says how to show one."""
    refused = await ask(closed, "GET", f"/api/v2/{path}")
    assert refused.status_code == 401
    assert "Bearer" in refused.headers["www-authenticate"]
    wrong = await ask(closed, "GET", f"/api/v2/{path}", headers={"Authorization": "Bearer am-secret"})
    assert wrong.status_code == 401


async def test_a_viewer_reads_and_does_not_silence(closed: Installation) -> None:
    """A viewer's token opens the lists, as Bearer or as the password of Basic; silences take an operator."""
    token = token_of(closed, "viewer")
    basic = base64.b64encode(f"anybody:{token}".encode()).decode()
    for shown in (f"Bearer {token}", f"Basic {basic}"):
        for path in READS:
            assert (await ask(closed, "GET", f"/api/v2/{path}", headers={"Authorization": shown})).status_code == 200
        refused = await ask(closed, "POST", "/api/v2/silences", json=SILENCE, headers={"Authorization": shown})
        assert refused.status_code == 403
        ended = await ask(closed, "DELETE", f"/api/v2/silence/{'0' * 32}", headers={"Authorization": shown})
        assert ended.status_code == 403
    assert closed.runtime.live().silences() == []


async def test_an_operator_silences_under_their_name_and_sends_alerts(closed: Installation) -> None:
    """What an operator does by `amtool` is in the log under their name; only administrators reload."""
    headers = {"Authorization": f"Bearer {token_of(closed, 'operator')}"}
    made = await ask(closed, "POST", "/api/v2/silences", json=SILENCE, headers=headers)
    assert made.status_code == 200
    logged = closed.store.log(after=-1, limit=1000)
    assert [one.event.actor for one in logged if one.type == "silence_created"] == ["user:operator"]
    sent = await ask(closed, "POST", "/api/v2/alerts", json=[{"labels": {"alertname": "A"}}], headers=headers)
    assert sent.status_code == 200
    (alert,) = closed.runtime.live().alerts()
    assert alert.source == "prometheus"
    assert (await ask(closed, "POST", "/-/reload", headers=headers)).status_code == 403


async def test_where_it_is_open_everybody_on_the_machine_may_ask(open_: Installation) -> None:
    """As with Alertmanager: no token is needed to read, to silence or to send, also below the prefix."""
    for path in READS:
        assert (await ask(open_, "GET", f"/am/api/v2/{path}")).status_code == 200
    assert (await ask(open_, "POST", "/am/api/v2/silences", json=SILENCE)).status_code == 200
    assert (await ask(open_, "POST", "/am/api/v2/alerts", json=[{"labels": {"team": "web"}}])).status_code == 200
    assert (await ask(open_, "GET", "/api/v2/alerts?silenced=false")).json() == []
    assert (await ask(open_, "GET", "/am/-/ready")).status_code == 200
    assert (await ask(open_, "GET", "/am/incidents")).status_code == 404


@pytest.mark.parametrize(
    "headers",
    [{"Host": "rebound.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}],
    ids=["another name", "another site", "a neighbour"],
)
async def test_pages_of_other_sites_may_not_ask(open_: Installation, headers: dict[str, str]) -> None:
    """A browser on the machine does not lend strangers its way in: names that point here, and pages of other sites."""
    assert (await ask(open_, "GET", "/api/v2/alerts", headers=headers)).status_code == 403
    assert (await ask(open_, "POST", "/api/v2/silences", json=SILENCE, headers=headers)).status_code == 403
    plain = await ask(open_, "POST", "/api/v2/silences", content=b"{}", headers={"Content-Type": "text/plain"})
    assert plain.status_code == 415
    assert open_.runtime.live().silences() == []


async def test_without_routes_incidents_are_the_groups(open_: Installation) -> None:
    """An installation that tells of incidents shows them where karma and Grafana look for groups."""
    alerts = [{"labels": {"alertname": name, "service": service}} for name, service in (("A", "x"), ("B", "y"))]
    assert (await ask(open_, "POST", "/api/v2/alerts", json=alerts)).status_code == 200
    groups = (await ask(open_, "GET", "/api/v2/alerts/groups")).json()
    assert [group["labels"] for group in groups] == [
        {"incident": "INC-1", "service": "x"},
        {"incident": "INC-2", "service": "y"},
    ]
    assert {group["receiver"]["name"] for group in groups} == {"tocsin"}
    assert [len(group["alerts"]) for group in groups] == [1, 1]


async def test_alerts_come_in_pages_and_as_a_whole(open_: Installation) -> None:
    """Pages by `limit` and `after` join to the whole list; more alerts than one piece come in one array."""
    alerts = [{"labels": {"alertname": "A", "number": str(number)}} for number in range(700)]
    assert (await ask(open_, "POST", "/api/v2/alerts", json=alerts)).status_code == 200
    whole = (await ask(open_, "GET", "/api/v2/alerts")).json()
    assert len(whole) == 700
    pages: list[Any] = []
    while page := (
        await ask(open_, "GET", f"/api/v2/alerts?limit=300&after={pages[-1]['fingerprint'] if pages else ''}")
    ).json():
        assert len(page) <= 300
        pages += page
    assert pages == whole
    grouped = (await ask(open_, "GET", "/api/v2/alerts/groups")).json()
    assert sum(len(group["alerts"]) for group in grouped) == 700
    assert (await ask(open_, "GET", "/api/v2/alerts?limit=0")).status_code == 400
