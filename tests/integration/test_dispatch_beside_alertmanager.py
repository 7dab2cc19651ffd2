"""Tocsin beside a real Alertmanager: the same file, the same alerts, and the same messages to the same receivers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest
import pytest_asyncio
import yaml

from tests.peers.receivers import Receivers
from tests.servers.process import PATIENCE_S, eventually
from tests.servers.prometheus import AlertmanagerBy
from tests.servers.tocsin import Tocsin

EXTERNAL_URL = "http://alerts.example.org/am"
SINCE_0_26 = ("notification_reason", "routeLabels")
"""Fields that Debian's Alertmanager (0.25) does not send yet."""
START, END = "2026-01-05T04:00:00.5Z", "2026-01-05T04:30:00Z"
UNREACHED = {"group_interval": "1s", "repeat_interval": "24h"}


def config(port: int) -> dict[str, Any]:
    """Three receivers: of a group by name, of all alerts cut at one, and of what is repeated at once."""

    def hook(path: str, **more: Any) -> dict[str, Any]:
        return {"name": f"team.{path}", "webhook_configs": [{"url": f"http://127.0.0.1:{port}/{path}", **more}]}

    basic = {"basic_auth": {"username": "am", "password": "secret-word"}}
    bearer = {"authorization": {"credentials": "bearer-word"}}
    below = [
        {"match": {"team": "a"}, "receiver": "team.named", "continue": True, "group_by": ["alertname", "zone"]},
        {"matchers": ['team=~"a|b"', 'alertname!="Never"'], "receiver": "team.cut", "group_by": []},
        {"match_re": {"team": "r|s"}, "receiver": "team.again", "group_by": ["..."], "repeat_interval": "1s"},
    ]
    return {
        "route": {"receiver": "team.rest", "group_wait": "1s", **UNREACHED, "routes": below},
        "receivers": [
            hook("rest"), hook("named", http_config=basic), hook("cut", max_alerts=1, http_config=bearer),
            hook("again", send_resolved=False),
        ],
    }  # fmt: skip


class Pair(NamedTuple):
    """The two servers, and who takes their messages."""

    servers: tuple[tuple[str, str], tuple[str, str]]
    peer: Receivers
    ours: Receivers

    async def post(self, *, over: bool = False, **labels: str) -> None:
        """One alert to both, with its start stated, and its end if it is `over`."""
        notes = {"summary": f"<{labels['alertname']}> & more", "runbook": "http://x"}
        times = {"startsAt": START, "endsAt": END} if over else {"startsAt": START}
        alert = {"labels": labels, "annotations": notes, "generatorURL": "http://prometheus/graph", **times}
        async with httpx2.AsyncClient(timeout=PATIENCE_S) as client:
            for url, token in self.servers:
                headers = {"Authorization": f"Bearer {token}"}
                answer = await client.post(f"{url}/api/v2/alerts", json=[alert], headers=headers)
                assert answer.status_code == 200, answer.text

    async def same(self, receiver: str, number: int) -> list[dict[str, Any]]:
        """So many messages to a receiver, and each as Alertmanager's in every field that its release has."""
        theirs, ours = await asyncio.gather(self.peer.have(receiver, number), self.ours.have(receiver, number))
        for theirs_one, ours_one in zip(theirs[:number], ours[:number], strict=True):
            body = dict(ours_one.body)
            for name in SINCE_0_26:
                assert name in body
                del body[name]
            assert body == theirs_one.body
            assert ours_one.authorization == theirs_one.authorization
        return [one.body for one in ours[:number]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    """Both servers by the same file, but for the port of the receivers."""
    folder = tmp_path_factory.mktemp("dispatch")
    async with Receivers() as theirs, Receivers() as ours:
        files: dict[str, Path] = {}
        for name, receivers in (("peer", theirs), ("ours", ours)):
            files[name] = folder / f"{name}.yml"
            files[name].write_text(yaml.safe_dump(config(receivers.port)))
        options = ("--alertmanager-config", str(files["ours"]), "--external-url", EXTERNAL_URL)
        async with (
            AlertmanagerBy(folder / "am", files["peer"], external_url=EXTERNAL_URL) as peer,
            Tocsin(folder / "tocsin", options=options) as tocsin,
        ):
            servers = ((f"http://127.0.0.1:{peer.port}", "none"), (tocsin.url, "prom-token"))
            yield Pair(servers, theirs, ours)


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_group_lives_as_with_alertmanager(pair: Pair) -> None:
    """Fires, grows, heals in part, heals: four messages, equal in every field, times of the alerts included."""
    await pair.post(alertname="Down", team="a", zone="z1", instance="b")
    [first] = await pair.same("named", 1)
    assert first["groupKey"] == '{}/{team="a"}:{alertname="Down", zone="z1"}'
    await pair.post(alertname="Down", team="a", zone="z1", instance="a", job="x")
    await pair.same("named", 2)
    await pair.post(over=True, alertname="Down", team="a", zone="z1", instance="b")
    await pair.same("named", 3)
    await pair.post(over=True, alertname="Down", team="a", zone="z1", instance="a", job="x")
    bodies = await pair.same("named", 4)
    assert [one["status"] for one in bodies] == ["firing", "firing", "firing", "resolved"]
    assert [one["notification_reason"] for one in bodies] == [
        "first notification", "new alerts added", "some alerts resolved", "all alerts resolved",
    ]  # fmt: skip
    cut = await pair.same("cut", 4)
    assert [one["truncatedAlerts"] for one in cut] == [0, 1, 1, 0]


async def test_what_no_route_takes_goes_to_the_root(pair: Pair) -> None:
    """Labels with quotes, spaces and Chinese are written as Go writes them."""
    await pair.post(alertname='Odd "name"', disk="a\\b", zone="上海\t<1>")
    [one] = await pair.same("rest", 1)
    assert one["groupLabels"] == {}
    assert one["groupKey"] == "{}:{}"


async def test_an_unchanged_group_is_told_again(pair: Pair) -> None:
    """`repeat_interval` shorter than `group_interval`: at each look; and without `send_resolved` not of the end."""
    await pair.post(alertname="Again", team="r")
    bodies = await pair.same("again", 3)
    assert [one["notification_reason"] for one in bodies[1:]] == ["repeat interval elapsed"] * 2
    await pair.post(over=True, alertname="Again", team="r")
    await pair.post(alertname="Fresh", team="s")

    async def fresh() -> bool:
        return all(
            any(one.body["commonLabels"]["alertname"] == "Fresh" for one in side.taken["again"])
            for side in (pair.peer, pair.ours)
        )

    await eventually(fresh, "the next alert's messages")
    for side in (pair.peer, pair.ours):
        assert {one.body["status"] for one in side.taken["again"]} == {"firing"}
