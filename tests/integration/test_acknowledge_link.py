"""Acknowledge from a phone on which nobody has signed in: one button, once, for a limited time (R1.8)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from notifiers.outbox import Outbox
from notifiers.registry import build_all
from schemas.links import Permit, Signer
from tests.integration.test_web_oncall import ONCALL
from tests.integration.web_site import CONFIG, Installation, running
from tests.peers.smtp import SmtpPeer
from tests.servers.process import PATIENCE_S

DOWN = {"alertname": "Down", "severity": "critical", "service": "shop"}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Installation]:
    """A Tocsin that pages by a policy, with a key for links."""
    rules = CONFIG["rules"] | {"oncall": ONCALL, "routes": [{"policy": "page"}], "external_url": "http://tocsin.test"}
    directory = {"li": {"email": "li@example.com"}, "wang": {"email": "wang@example.com"}}
    links = {"key": "a key of 16 chars"}
    async with running(tmp_path, rules=rules, directory=directory, links=links) as started:
        yield started


def link(site: Installation, *, incident: str = "INC-1", until_ms: int | None = None) -> str:
    """The address in a page to li."""
    signer = Signer(site.settings.links, "")
    until = site.clock.now_ms() + 3_600_000 if until_ms is None else until_ms
    return "/a/" + signer.token(Permit(incident, "li", f"{incident}.1", until))


async def test_looking_changes_nothing_and_the_button_acknowledges_once(site: Installation) -> None:
    """GET as often as a chat program likes; POST acknowledges in li's name; a second POST does nothing."""
    await site.fire(DOWN)
    async with site.client() as phone:
        address = link(site)
        for _ in range(3):
            page = await phone.get(address)
            assert page.status_code == 200
            assert '<form method="post"><button' in page.text
        assert page.headers["referrer-policy"] == "same-origin"  # no other site learns the address
        assert "待响应" in page.text
        assert "已响应，由您负责处理" in (await phone.post(address)).text
        assert "已有人响应" in (await phone.post(address)).text
        assert "<form method" not in (await phone.get(address)).text.split("<main")[1].split("</main>")[0]
    browser = await site.browser()
    story = (await browser.get("/api/v1/incidents/INC-1")).json()["timeline"]
    assert [one["actor"] for one in story if one["type"] == "incident_acknowledged"] == ["person:li"]
    assert [one["data"]["reason"] for one in story if one["type"] == "escalation_ended"] == ["acknowledged"]


async def test_a_used_link_does_not_answer_for_what_came_back(site: Installation) -> None:
    """Reopened after its acknowledgement, the incident needs a new answer: the old link gives none."""
    await site.fire(DOWN)
    async with site.client() as phone:
        await phone.post(link(site))
        await site.fire(DOWN, status="resolved")
        site.clock.move(minutes=1)
        await site.fire(DOWN)
        await phone.post(link(site))
    browser = await site.browser()
    assert (await browser.get("/api/v1/incidents/INC-1")).json()["incident"]["state"] == "triggered"


async def test_forged_old_and_foreign_links_are_void(site: Installation) -> None:
    """One changed character, an hour too late, an incident that is not there, no token at all: 404 and no facts."""
    await site.fire(DOWN)
    good = link(site)
    swapped = good[:-3] + ("A" if good[-3] != "A" else "B") + good[-2:]
    other = Signer(site.settings.links.model_copy(update={"key": None}), "")
    bad = [swapped, link(site, until_ms=site.clock.now_ms()), link(site, incident="INC-9"), "/a/x", "/a/" + "A" * 60]
    bad.append("/a/" + other.token(Permit("INC-1", "li", "INC-1.1", 2**50)))
    async with site.client() as phone:
        for address in bad:
            for answer in (await phone.get(address), await phone.post(address)):
                assert answer.status_code == 404, address
                assert "INC-1" not in answer.text
    browser = await site.browser()
    assert (await browser.get("/api/v1/incidents/INC-1")).json()["incident"]["state"] == "triggered"


async def test_a_page_shows_no_numbers_and_no_mailboxes(site: Installation) -> None:
    """Whoever holds the phone sees what it is about, but no personal data that a title may carry."""
    labels = DOWN | {"alertname": "call 13812345678 or li@example.com"}
    await site.fire(labels)
    async with site.client() as phone:
        page = (await phone.get(link(site))).text
    assert "13812345678" not in page
    assert "li@example.com" not in page


async def test_the_mail_to_a_person_carries_the_link(tmp_path: Path) -> None:
    """By SMTP to li's own address, and to nobody else's; its link opens the page."""
    base = {"external_url": "http://tocsin.test", "oncall": ONCALL, "routes": [{"policy": "page"}]}
    directory = {"li": {"email": "li@example.com"}, "wang": {"email": "wang@example.com"}}
    async with SmtpPeer() as peer:
        mail = {"type": "email", "host": "127.0.0.1", "port": peer.port, "sender": "t@example.com", "to": ["a@b.cn"]}
        more = {"channels": {"mail": mail}, "directory": directory, "links": {"key": "a key of 16 chars"}}
        async with running(tmp_path, rules=CONFIG["rules"] | base, **more) as site:
            notifiers = build_all(site.settings.channels, None, site.settings.directory)
            signer = Signer(site.settings.links, site.settings.rules.external_url)
            carrying = asyncio.create_task(Outbox(site.runtime, notifiers, signer=signer).run())
            await site.fire(DOWN)
            async with asyncio.timeout(PATIENCE_S):
                while not peer.messages:
                    await asyncio.sleep(0.02)
            [message] = peer.messages
            assert message["To"] == "li@example.com"
            body = message.get_body(("plain",))
            assert body is not None
            [address] = set(re.findall(r"http://tocsin\.test(/a/[\w-]+)", body.get_content()))
            async with site.client() as phone:
                assert "已响应" in (await phone.post(address)).text
            site.runtime.end_deliveries()
            carrying.cancel()
            await asyncio.gather(carrying, return_exceptions=True)
