"""What the addresses of receivers do beside parsing: PagerDuty's, binary CloudEvents, change events (R1.1, R9)."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.testclient import TestClient

from schemas.config import Settings
from schemas.ports import Outcome
from web.ingest import ingest_routes, receivers
from web.pagerduty import pagerduty_route

SETTINGS = Settings.model_validate(
    {
        "sources": {
            "pd": {"format": "pagerduty", "token": "R0UT1NGK3Y"},
            "ce": {"format": "cloudevents", "token": "t"},
            "releases": {"format": "changes", "token": "t"},
        }
    }
)


class Recorder:
    """Takes what it is given, and remembers it."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, ...]] = []
        self.problems: tuple[str, ...] = ()

    async def receive(self, source: str, format: str, body: bytes) -> Outcome:
        """As the runtime does."""
        self.taken.append((source, format, body.decode()))
        return Outcome(0, 1, (), {"opened": 1}, problems=self.problems)

    async def change(self, source: str, body: bytes) -> Outcome:
        """As the runtime does."""
        self.taken.append((source, "change", body.decode()))
        return Outcome(0, 2, (), {})


def _served() -> tuple[Recorder, TestClient]:
    runtime: Any = Recorder()
    routes = [*ingest_routes(*receivers(runtime, SETTINGS)), pagerduty_route(runtime, SETTINGS)]
    return runtime, TestClient(Starlette(routes=routes))


def test_the_routing_key_finds_the_source() -> None:
    """PagerDuty's address answers 202 with the key; a wrong routing key is refused and nothing is journalled."""
    runtime, http = _served()
    event = {"routing_key": "R0UT1NGK3Y", "event_action": "resolve", "dedup_key": "disk/db1"}
    answer = http.post("/v2/enqueue", json=event)
    assert (answer.status_code, answer.json()["dedup_key"]) == (202, "disk/db1")
    assert [taken[:2] for taken in runtime.taken] == [("pd", "pagerduty")]
    for wrong in ({**event, "routing_key": "other"}, {"event_action": "resolve"}):
        assert http.post("/v2/enqueue", json=wrong).status_code == 401
    assert http.post("/v2/enqueue", content=b"[]").status_code == 400
    assert len(runtime.taken) == 1


def test_what_is_wrong_with_an_event_is_said_as_pagerduty_says_it() -> None:
    """An event that is kept but not understood gets 400 with its problems."""
    runtime, http = _served()
    runtime.problems = ("$.payload.severity: expected critical, error, warning or info",)
    answer = http.post("/v2/enqueue", json={"routing_key": "R0UT1NGK3Y", "event_action": "trigger"})
    assert (answer.status_code, answer.json()["status"]) == (400, "invalid event")


def test_a_binary_cloudevent_is_journalled_as_a_structured_one() -> None:
    """The ce- headers become attributes, percent-encoded text is decoded, and the body becomes the data."""
    runtime, http = _served()
    headers = {
        "Authorization": "Bearer t", "ce-id": "1", "ce-source": "/s", "ce-type": "a.b", "ce-specversion": "1.0",
        "ce-subject": "%E5%A4%87%E4%BB%BD",
    }  # fmt: skip
    assert http.post("/hooks/ce", content=b'{"severity":"critical"}', headers=headers).status_code == 200
    assert msgspec.json.decode(runtime.taken[0][2]) == {
        "id": "1", "source": "/s", "type": "a.b", "specversion": "1.0", "subject": "备份",
        "data": {"severity": "critical"},
    }  # fmt: skip


def test_a_release_is_journalled_as_a_change() -> None:
    """A source of format `changes` gives change records, not alerts."""
    runtime, http = _served()
    body = '{"title":"pay 1.2","service":"pay","version":"1.2"}'
    answer = http.post("/hooks/releases", content=body, headers={"Authorization": "Bearer t"})
    assert answer.status_code == 200
    assert runtime.taken == [("releases", "change", body)]
