"""R1.8: the console shows which channels are proven alive, and what each would say about a real incident."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from schemas import commands as c
from tests.integration.web_site import Installation, running


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Installation]:
    """An installation with one incident, whose rules look at channels."""
    async with running(tmp_path) as made:
        await made.fire({"alertname": "HighErrorRate", "service": "billing", "severity": "critical"})
        yield made


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_the_preview_is_the_message_about_a_real_incident(site: Installation, language: str) -> None:
    """Subject and text as the channel would render them, in either language; nothing is sent for it."""
    browser = await site.browser("viewer")
    page = (await browser.get(f"/channels/preview?channel=mail&kind=resolved&language={language}")).text
    none = await browser.get("/channels/preview?channel=mail&incident=INC-999")
    await browser.aclose()
    assert ("[P2 紧急] 已恢复 INC-1" if language == "zh" else "[P2 Critical] Resolved INC-1") in page
    assert "billing" in page
    assert "@" not in page.partition("<pre>")[2]  # addresses of recipients are nobody's business here
    assert none.status_code == 200
    assert "<pre>" not in none.text


async def test_the_page_of_channels_shows_budget_and_last_test(site: Installation) -> None:
    """A test message that was taken is the proof, with its time; the latest attempts stand beside it."""
    await site.runtime.command(c.TestChannel(channel="mail"), actor="user:root", command_id="t1")
    pending = [one async for one in _now(site)]
    for one in pending:
        await site.runtime.attempting(one.delivery, one.attempt)
        outcome = "ok" if one.notice.kind == "test" else "failed"
        await site.runtime.delivered(one.delivery, one.attempt, outcome, vendor_code="250", reason="no")
    await site.runtime.caught_up()
    browser = await site.browser("viewer", "en")
    page = (await browser.get("/channels")).text
    await browser.aclose()
    assert "Last test taken" in page
    assert "Latest attempts" in page
    assert 'href="/channels/preview"' in page


async def _now(site: Installation) -> AsyncIterator:  # type: ignore[type-arg]
    site.runtime.end_deliveries()
    async for one in site.runtime.pending_deliveries():
        yield one
