"""The proxy of deploy/, for real: nginx with our file before a running Tocsin, reached by TLS."""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from collections.abc import AsyncIterator
from typing import NamedTuple

import httpx2
import pytest
import pytest_asyncio

from tests.deploy.places import DEPLOY, make_secrets
from tests.servers import free_port, require
from tests.servers.process import Process
from tests.servers.tocsin import PASSWORD, Tocsin, webhook


class Site(NamedTuple):
    """One Tocsin behind nginx, and a client that trusts the certificate of `deploy/make-secrets`."""

    tocsin: Tocsin
    client: httpx2.AsyncClient


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """Both are started, on ports of their own, with the files of deploy/ but for addresses and paths."""
    tmp_path = tmp_path_factory.mktemp("proxy")
    secrets, port = make_secrets(tmp_path / "secrets"), free_port()
    url = f"https://localhost:{port}"
    tocsin = Tocsin(tmp_path / "tocsin", server={"behind_tls_proxy": True}, rules={"external_url": url})
    text = (DEPLOY / "nginx" / "nginx.conf").read_text("utf-8")
    places = {
        "/tmp/": f"{tmp_path}/",  # first: what follows may lie in /tmp, too
        "/run/secrets": str(secrets),
        "listen 8443": f"listen 127.0.0.1:{port}",
        "tocsin:8080": f"127.0.0.1:{tocsin.port}",
        "worker_processes auto": "worker_processes 1",
    }
    for old, new in places.items():
        assert old in text, old
        text = text.replace(old, new)
    as_root = "user root;\n" if os.geteuid() == 0 else ""  # else its workers could not enter the test's folder
    (tmp_path / "nginx.conf").write_text(f"daemon off;\n{as_root}{text}")
    command = [require("nginx"), "-c", str(tmp_path / "nginx.conf"), "-e", "stderr"]
    proxy = Process("nginx", command, tmp_path / "nginx.log")
    trusted = ssl.create_default_context(cafile=str(secrets / "tls.crt"))
    async with tocsin, httpx2.AsyncClient(base_url=url, verify=trusted, timeout=60) as client:

        async def answers() -> bool:
            try:
                return (await client.get("/proxy/healthy")).status_code == 200
            except httpx2.TransportError:
                return False

        proxy.start()
        try:
            await proxy.answers(answers)
            yield Site(tocsin, client)
        finally:
            proxy.stop()


async def test_people_and_senders_come_through_the_proxy(site: Site) -> None:
    """An alert is taken; a person signs in with a Secure cookie; the open page learns at once what has changed."""
    await site.tocsin.token()
    assert (await site.client.get("/-/ready")).status_code == 200
    token = {"Authorization": "Bearer am-token"}

    async def send(name: str) -> None:
        answer = await site.client.post("/hooks/alertmanager", content=webhook({"alertname": name}), headers=token)
        assert answer.status_code == 200, answer.text

    page = await site.client.get("/login")
    assert page.headers["strict-transport-security"]
    form = dict(re.findall(r'name="([\w-]+)"[^>]*value="([^"]*)"', page.text))
    origin = {"Origin": str(site.client.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    signed_in = await site.client.post("/login", data=form | {"name": "li", "password": PASSWORD}, headers=origin)
    assert signed_in.status_code == 303, signed_in.text
    assert "Secure" in signed_in.headers["set-cookie"]
    async with site.client.stream("GET", "/events", timeout=120) as events:
        assert events.status_code == 200
        assert events.headers["content-type"].startswith("text/event-stream")
        lines = events.aiter_lines()
        sending = asyncio.create_task(send("WhileThePageIsOpen"))
        async with asyncio.timeout(120):
            async for line in lines:
                if line.startswith("event:") or line.startswith("data:"):
                    break
        await sending


async def test_the_metrics_stay_inside(site: Site) -> None:
    """What Prometheus reads inside is not shown to the outside."""
    assert (await site.client.get("/metrics")).status_code == 404


async def test_what_is_too_large_is_refused_for_good(site: Site) -> None:
    """A body above server.max_body_bytes is answered by 413, and not by a 5xx that would make its sender try again."""
    headers = {"Authorization": "Bearer am-token"}
    largest = 5 * 2**20
    for size, status in ((largest, 400), (largest + 1, 413)):
        answer = await site.client.post("/hooks/alertmanager", content=b" " * size, headers=headers)
        assert answer.status_code == status
