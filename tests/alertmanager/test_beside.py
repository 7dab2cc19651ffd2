"""Asked over HTTP, Tocsin answers what Alertmanager answers: status and JSON, but for ids, times and Go's own words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.alertmanager.pair import Pair, masked_json
from tests.alertmanager.suite import release
from tests.servers.process import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

FAR = "2096-01-05T04:00:00Z"
ALERTS = [
    {"labels": {"alertname": "Slow", "team": "web", "severity": "warning"}, "annotations": {"summary": "slow"}},
    {"labels": {"alertname": "Slow", "team": "web", "severity": "critical"}, "generatorURL": "http://x.example/g"},
    {"labels": {"alertname": "Full", "team": "night", "job": "b"}, "startsAt": "2026-01-05T04:00:00Z", "endsAt": FAR},
    {"labels": {"alertname": "Full", "team": "night", "job": "a", "empty": ""}, "endsAt": FAR},
    {"labels": {"alertname": "Over", "team": "west"}, "endsAt": "2026-01-05T04:00:00Z"},
    {"labels": {"alertname": "Ünïcode 🙂", "team": "west", "dotted.name": "ok"}},
]


def silence(**other: Any) -> dict[str, Any]:
    """A silence that is fine, but for `other`."""
    matchers = [{"name": "team", "value": "west", "isRegex": False}]
    fine = {"matchers": matchers, "startsAt": "2026-01-05T04:00:00Z", "endsAt": FAR, "createdBy": "li", "comment": "c"}
    return {key: value for key, value in (fine | other).items() if value is not None}


NIGHT = [{"name": "team", "value": "night|day", "isRegex": True}, {"name": "x", "value": "", "isRegex": False}]
UNKNOWN = "00000000-0000-4000-8000-000000000000"
EXACT: list[tuple[str, str, Any]] = [
    ("GET", "/api/v2/alerts", None),
    ("GET", "/api/v2/alerts?filter=team%3Dweb&filter=severity!%3Dcritical", None),
    ("GET", "/api/v2/alerts?filter=%22dotted.name%22%3D~%22o.%22", None),
    ("GET", "/api/v2/alerts?filter=nothing%3D%22%22&filter=job%3D~%22.%2B%22", None),
    ("GET", "/api/v2/alerts?receiver=web", None),
    ("GET", "/api/v2/alerts?receiver=we", None),
    ("GET", "/api/v2/alerts?receiver_matchers=name%3D~%22n.*%22", None),
    ("GET", "/api/v2/alerts?active=false", None),
    ("GET", "/api/v2/alerts?inhibited=false&unprocessed=x", None),
    ("GET", "/api/v2/alerts?filter=foo", None),
    ("GET", "/api/v2/alerts?filter=", None),
    ("GET", "/api/v2/receivers", None),
    ("GET", "/api/v2/receivers?receiver_matchers=name%3Dweb", None),
    ("GET", "/api/v2/receivers?receiver_matchers=x", None),
    ("GET", "/api/v2/alerts/groups", None),
    ("GET", "/api/v2/alerts/groups?receiver=everybody&filter=alertname%3DSlow", None),
    ("GET", "/api/v2/alerts/groups?muted=false", None),
    ("POST", "/api/v2/silences", silence()),
    ("POST", "/api/v2/silences", silence(matchers=NIGHT, startsAt="2095-01-05T04:00:00.123456+08:00", comment="later")),
    ("POST", "/api/v2/silences", silence(matchers=[{"name": "a", "value": "b", "isRegex": False, "isEqual": False}])),
    ("POST", "/api/v2/silences", silence(comment="", annotations={"k": "v"})),
    ("POST", "/api/v2/silences", silence(matchers=[])),
    ("POST", "/api/v2/silences", silence(comment=None)),
    ("POST", "/api/v2/silences", silence(matchers=[{"name": "a", "value": "b"}])),
    ("POST", "/api/v2/silences", silence(matchers=[{"name": "", "value": "b", "isRegex": False}])),
    ("POST", "/api/v2/silences", silence(matchers=[{"name": "a", "value": "", "isRegex": False}])),
    ("POST", "/api/v2/silences", silence(endsAt="2026-01-05T04:00:00Z")),
    ("POST", "/api/v2/silences", silence(endsAt="2026-01-06T04:00:00Z")),
    ("POST", "/api/v2/silences", silence(id=UNKNOWN)),
    ("POST", "/api/v2/silences", silence(id="nonsense")),
    ("GET", "/api/v2/silences", None),
    ("GET", "/api/v2/silences?filter=team%3Dwest", None),
    ("GET", "/api/v2/silences?active=false", None),
    ("GET", "/api/v2/silences?filter=x", None),
    ("GET", f"/api/v2/silence/{UNKNOWN}", None),
    ("GET", "/api/v2/silence/nonsense", None),
    ("DELETE", f"/api/v2/silence/{UNKNOWN}", None),
    ("DELETE", "/api/v2/silence/nonsense", None),
    ("GET", "/api/v2/alerts?silenced=false", None),
    ("GET", "/api/v2/alerts/groups?silenced=false", None),
    ("GET", "/api/v2/nonsense", None),
    ("POST", "/api/v1/alerts", []),
    ("POST", "/api/v2/alerts", []),
    ("POST", "/-/reload", None),
]
STATUS_ONLY: list[tuple[str, str, Any]] = [
    ("GET", "/api/v2/alerts?receiver=(", None),
    ("GET", "/api/v2/alerts?filter=a%3D~%22(%22", None),
    ("POST", "/api/v2/silences", "nonsense"),
    ("POST", "/api/v2/silences", []),
    ("POST", "/api/v2/silences", silence(startsAt="yesterday")),
    ("POST", "/api/v2/silences", silence(matchers=[{"name": "a", "value": "(", "isRegex": True}])),
    ("POST", "/api/v2/alerts", {}),
    ("POST", "/api/v2/alerts", [{"labels": {"a": 1}}]),
    ("POST", "/api/v2/alerts", [{"labels": {}}]),
    ("POST", "/api/v2/alerts", [{"labels": {"a": "b"}, "startsAt": FAR, "endsAt": "2026-01-05T04:00:00Z"}]),
    ("PUT", "/api/v2/alerts", None),
    ("DELETE", "/api/v2/silences", None),
    ("GET", "/-/healthy", None),
    ("GET", "/-/ready", None),
    ("HEAD", "/-/ready", None),
    ("GET", "/-/reload", None),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    """Both servers with the same alerts, told of them for the first time."""
    async with Pair(tmp_path_factory.mktemp("pair"), str(release() / "alertmanager")) as running:
        for server in (running.real, running.ours):
            assert await server.ask("POST", "/api/v2/alerts", ALERTS) == (200, None)

        async def same() -> bool:
            asked = ("GET", "/api/v2/alerts/groups?muted=false")
            real, ours = await running.real.ask(*asked), await running.ours.ask(*asked)
            return masked_json(list(real)) == masked_json(list(ours))

        await eventually(same, "both to have grouped the alerts, and muted those of the night")
        yield running


async def test_answers_are_equal(pair: Pair) -> None:
    """Each question has the same status and the same JSON, whatever was asked before."""
    for asked in EXACT:
        real, ours = await pair.real.ask(*asked), await pair.ours.ask(*asked)
        assert masked_json(list(ours)) == masked_json(list(real)), asked


async def test_refusals_in_gos_own_words_have_the_same_status(pair: Pair) -> None:
    """Where Alertmanager quotes its JSON reader or its regular expressions, the status is the same."""
    for asked in STATUS_ONLY:
        real, ours = await pair.real.ask(*asked), await pair.ours.ask(*asked)
        assert ours[0] == real[0], (asked, ours, real)


async def test_a_silence_can_be_asked_for_changed_and_ended(pair: Pair) -> None:
    """One silence through its life: shown, given a later end, ended, and made anew by changing the ended one."""
    told = []
    for server in (pair.real, pair.ours):
        said: list[Any] = []
        matchers = [{"name": "life", "value": "long", "isRegex": False}]
        _, made = await server.ask("POST", "/api/v2/silences", silence(matchers=matchers))
        path = f"/api/v2/silence/{made['silenceID']}"
        said.append(await server.ask("GET", path))
        changed = silence(matchers=matchers, id=made["silenceID"], comment="longer", endsAt="2097-01-05T04:00:00Z")
        _, same = await server.ask("POST", "/api/v2/silences", changed)
        said += [same == made, await server.ask("GET", path), await server.ask("DELETE", path)]
        said += [await server.ask("GET", path), await server.ask("DELETE", path)]
        _, again = await server.ask("POST", "/api/v2/silences", changed)
        said += [again != made, await server.ask("GET", f"/api/v2/silence/{again['silenceID']}")]
        other = changed | {"id": again["silenceID"], "matchers": [{"name": "life", "value": "short", "isRegex": False}]}
        _, replaced = await server.ask("POST", "/api/v2/silences", other)
        said += [replaced != again, await server.ask("GET", f"/api/v2/silence/{again['silenceID']}")]
        told.append(masked_json(said))
    assert told[1] == told[0]


async def test_the_shape_of_the_status_is_the_same(pair: Pair) -> None:
    """Every field of Alertmanager's status is there, of the same kind."""

    def shape(content: Any) -> Any:
        if isinstance(content, dict):
            return {key: shape(value) for key, value in content.items() if key not in ("peers", "name")}
        return type(content).__name__

    (_, real), (_, ours) = [await server.ask("GET", "/api/v2/status") for server in (pair.real, pair.ours)]
    assert shape(ours) == shape(real)
    assert ours["cluster"]["peers"] == [{"name": "tocsin", "address": pair.ours.url.removeprefix("http://")}]
    assert ours["versionInfo"]["version"] == real["versionInfo"]["version"]
