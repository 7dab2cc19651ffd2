"""Alerts over HTTP: who may send, what is refused before it is journalled, and what the sender is told."""

from __future__ import annotations

import base64
import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
import pytest_asyncio

from schemas.errors import Overloaded, StoreUnavailable
from tests.integration.web_site import Installation, running, webhook

ALERT = {"alertname": "DiskFull", "service": "pay", "severity": "critical"}
V2 = msgspec.json.encode([{"labels": ALERT, "generatorURL": "http://p/"}])


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Installation]:
    """A Tocsin that takes bodies of up to 4,096 bytes."""
    async with running(tmp_path, server={"max_body_bytes": 4096}) as site:
        yield site


def journalled(site: Installation) -> int:
    """How many records the journal holds."""
    with site.store.engine.connect() as conn:
        return int(conn.exec_driver_sql("select count(*) from journal").scalar() or 0)


async def post(site: Installation, path: str, body: bytes, **headers: str) -> httpx2.Response:
    """One request of a sender."""
    async with site.client() as sender:
        return await sender.post(path, content=body, headers={k.replace("_", "-"): v for k, v in headers.items()})


async def test_prometheus_is_told_200_and_nothing(site: Installation) -> None:
    """`POST /api/v2/alerts` answers as Alertmanager does: 200 with an empty body."""
    answer = await post(site, "/api/v2/alerts", V2, Authorization="Bearer prom-secret")
    assert (answer.status_code, answer.content) == (200, b"")
    assert site.runtime.dispositions() == {"prometheus": {"opened": 1}}


async def test_v2_stores_the_valid_items_and_reports_the_others(site: Installation) -> None:
    """One bad item makes it 400 with a JSON string that names its place; the good one is stored."""
    body = msgspec.json.encode([{"labels": ALERT}, {"labels": {}}, {"labels": 7}])
    answer = await post(site, "/api/v2/alerts", body, Authorization="Bearer prom-secret")
    assert answer.status_code == 400
    told = answer.json()
    assert isinstance(told, str)
    assert "$[1]" in told
    assert "$[2]" in told
    assert site.runtime.dispositions() == {"prometheus": {"opened": 1, "invalid": 2}}


@pytest.mark.parametrize(
    "authorization", ["", "Bearer wrong", "Bearer am-secret", "Basic !!!", "Bearer", "Digest prom-secret"]
)
async def test_without_the_source_s_own_token_nothing_is_journalled(site: Installation, authorization: str) -> None:
    """A wrong, missing or other source's token is 401, and the body leaves no trace."""
    before = journalled(site)
    for path in (
        ("/api/v2/alerts",) if authorization == "Bearer am-secret" else ("/api/v2/alerts", "/hooks/alertmanager")
    ):
        answer = await post(site, path, V2, **({"Authorization": authorization} if authorization else {}))
        assert answer.status_code == 401
        assert "Bearer" in answer.headers["www-authenticate"]
    assert journalled(site) == before


async def test_basic_with_the_token_as_password_is_as_good_as_bearer(site: Installation) -> None:
    """Senders that know only basic_auth can show their token, too."""
    basic = "Basic " + base64.b64encode(b"anybody:am-secret").decode()
    answer = await post(site, "/hooks/alertmanager", webhook(ALERT), Authorization=basic)
    assert answer.status_code == 200


async def test_a_hook_counts_what_became_of_the_alerts(site: Installation) -> None:
    """`/hooks/{source}` answers received, dispositions and the journal's offset, by POST and by PUT."""
    async with site.client(token="am-secret") as sender:
        first = await sender.post("/hooks/alertmanager", content=webhook(ALERT, {**ALERT, "alertname": "DiskSlow"}))
        again = await sender.put("/hooks/alertmanager", content=webhook(ALERT))
    assert first.json()["received"] == 2
    assert sum(first.json()["dispositions"].values()) == 2
    assert again.json()["dispositions"] == {"repeated": 1}
    assert again.json()["offset"] == first.json()["offset"] + 1


@pytest.mark.parametrize("body", [b"", b"{", b"[1", b"\xff\xfe", b"null", b'{"alerts": 7}', b"[[[[" * 200])
async def test_what_nobody_understands_is_400_with_a_reason_and_kept(site: Installation, body: bytes) -> None:
    """A body from which nothing can be read is journalled, counted as invalid and answered 400 without a traceback."""
    before = journalled(site)
    answer = await post(site, "/hooks/alertmanager", body, Authorization="Bearer am-secret")
    assert answer.status_code == 400
    assert answer.json()["problems"]
    assert "Traceback" not in answer.text
    assert journalled(site) == before + 1


async def test_an_unknown_source_is_404(site: Installation) -> None:
    """There is no hook for a source that is not configured."""
    assert (await post(site, "/hooks/nobody", b"{}")).status_code == 404


async def test_a_source_without_a_token_takes_anybody(site: Installation) -> None:
    """Where no token is configured, none is asked for."""
    body = msgspec.json.encode({"title": "disk full"})
    answer = await post(site, "/hooks/script", body)
    assert answer.status_code == 200, answer.text


async def test_a_declared_size_over_the_limit_is_refused_unread(site: Installation) -> None:
    """Content-Length over the limit is 413 before a byte of the body is asked for."""
    asked = 0

    async def body() -> Any:
        nonlocal asked
        asked += 1
        return {"type": "http.request", "body": b"x", "more_body": True}

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"authorization", b"Bearer am-secret"), (b"content-length", b"5000")]
    scope = {"type": "http", "method": "POST", "path": "/hooks/alertmanager", "headers": headers, "query_string": b""}
    await site.app({**scope, "app": site.app, "root_path": "", "http_version": "1.1", "scheme": "http"}, body, send)
    assert sent[0]["status"] == 413
    assert asked == 0


async def test_an_undeclared_flood_is_cut_off_at_the_limit(site: Installation) -> None:
    """A body without Content-Length is read no further than one part beyond the limit."""
    given = 0

    async def flood() -> AsyncIterator[bytes]:
        nonlocal given
        while given < 1000:
            given += 1
            yield b"x" * 1024

    async with site.client(token="am-secret") as sender:
        answer = await sender.post("/hooks/alertmanager", content=flood())
    assert answer.status_code == 413
    assert given < 10


async def test_gzip_is_understood_and_a_bomb_is_not(site: Installation) -> None:
    """A packed body is unpacked; one that would unpack beyond the limit is 413, rubbish is 400."""
    token = "Bearer am-secret"
    good = gzip.compress(webhook(ALERT))
    assert (await post(site, "/hooks/alertmanager", good, Authorization=token, Content_Encoding="gzip")).is_success
    bomb = gzip.compress(b" " * 1_000_000)
    assert len(bomb) < 4096
    for body, status in ((bomb, 413), (b"rubbish", 400), (good[:-9], 400)):
        answer = await post(site, "/hooks/alertmanager", body, Authorization=token, Content_Encoding="gzip")
        assert answer.status_code == status
    answer = await post(site, "/hooks/alertmanager", good, Authorization=token, Content_Encoding="br")
    assert answer.status_code == 415


@pytest.mark.parametrize("error", [Overloaded(7), StoreUnavailable("disk full at /secret/path")])
async def test_what_could_not_be_accepted_is_503(
    site: Installation, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full queue or an absent store is 503 with Retry-After, so that senders try again, and tells no internals."""

    async def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(site.runtime, "receive", refuse)
    for path, token in (("/api/v2/alerts", "prom-secret"), ("/hooks/alertmanager", "am-secret")):
        answer = await post(site, path, V2, Authorization=f"Bearer {token}")
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert "secret" not in answer.text


async def test_get_on_a_hook_changes_nothing(site: Installation) -> None:
    """A link preview that fetches a hook is told 405; the list of alerts needs a user's token, not a sender's."""
    before = journalled(site)
    async with site.client(token="am-secret") as sender:
        assert (await sender.get("/hooks/alertmanager")).status_code == 405
        assert (await sender.get("/api/v2/alerts")).status_code == 401
    assert journalled(site) == before


async def test_without_a_v2_source_the_v2_path_is_404(tmp_path: Path) -> None:
    """Prometheus sending to a Tocsin that knows no such source is told so."""
    async with running(tmp_path, sources={}) as site:
        answer = await post(site, "/api/v2/alerts", V2)
    assert answer.status_code == 404
