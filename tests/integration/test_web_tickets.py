"""What people say of an incident, on the console, over the API and by the command line's way (R1.4, R1.5)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from tests.integration.web_site import CONFIG, Installation, add_account, running, submit

RULES = {**CONFIG["rules"], "classification": {"module_labels": ["component"]}}


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Installation]:
    """A Tocsin with three incidents, of two of which a label suggests the module."""
    async with running(tmp_path, rules=RULES) as site:
        await site.fire({"alertname": "DiskFull", "service": "pay", "severity": "critical", "component": "cart"})
        await site.fire({"alertname": "Slow", "service": "web", "severity": "warning", "component": "cart"})
        await site.fire({"alertname": "Down", "service": "db", "severity": "warning"})
        yield site


async def api(site: Installation, path: str, command: dict[str, Any] | None = None) -> Any:
    """One answer of the API, as an operator's token gets it."""
    if "robot" not in [user.name for user in site.accounts.users()]:
        add_account(site, "robot", "operator")
    robot = next(user for user in site.accounts.users() if user.name == "robot")
    async with site.client(token=site.accounts.issue_api_token(robot, "test")) as client:
        answer = await (client.get(path) if command is None else client.post(path, json=command))
        assert answer.status_code == 200, answer.text
        return answer.json()


async def test_a_suggestion_is_confirmed_by_form_and_narrows_the_list(site: Installation) -> None:
    """The ticket shows a suggestion as one; confirmed, it is a fact, on the timeline, and a filter in the address."""
    browser = await site.browser("operator", "en")
    page = (await browser.get("/incidents/INC-1")).text
    assert "suggested" in page
    assert 'value="cart"' in page
    said = {"module": "cart", "organisation": "A & B", "problem_type": "disk"}
    answer = await submit(browser, "/incidents/INC-1", "/incidents/INC-1/classify", **said)
    assert "said=done" in answer.headers["location"]
    page = (await browser.get("/incidents/INC-1")).text
    assert "cart · A &amp; B · disk" in page
    assert '<span class="tag">suggested</span>' not in page
    listed = (await browser.get("/?module=cart&organisation=A+%26+B")).text
    assert "/incidents/INC-1" in listed
    assert "/incidents/INC-2" not in listed
    assert "/counts?module=cart&amp;organisation=A+%26+B" in listed


async def test_a_ticket_is_claimed_handed_over_split_linked_and_verified_by_forms(site: Installation) -> None:
    """Every step is a form without JavaScript, and the whole story stands on the ticket."""
    await site.fire({"alertname": "Swap", "service": "pay", "severity": "warning", "component": "cart"})
    browser = await site.browser("operator", "en")
    page = (await browser.get("/incidents/INC-1")).text
    boxes = re.findall(r'name="alerts" value="([0-9a-f]{16})"', page)
    assert len(boxes) == 2
    steps: list[tuple[str, dict[str, str]]] = [
        ("claim", {}),
        ("split", {"alerts": boxes[0], "reason": "another disk"}),
        ("hand_over", {"assignee": "wu", "note": "my shift is over"}),
        ("link", {"other": "INC-2", "relation": "caused_by"}),
        ("resolve", {"solution": "cleaned up"}),
    ]
    for action, fields in steps:
        answer = await submit(browser, "/incidents/INC-1", f"/incidents/INC-1/{action}", **fields)
        assert "said=done" in answer.headers["location"], (action, answer.headers["location"])
    answer = await submit(browser, "/incidents/INC-1", "/incidents/INC-1/verify")
    assert "refused=verify_own_work" in answer.headers["location"]
    other = await site.browser("admin", "en")
    await submit(other, "/incidents/INC-1", "/incidents/INC-1/verify", note="graphs are flat")
    page = (await other.get("/incidents/INC-1")).text
    for words in ("my shift is over", "another disk", "INC-4", "Caused by", "graphs are flat", "Verified"):
        assert words in page, words
    assert "Cause of" in (await other.get("/incidents/INC-2")).text
    assert "/incidents/INC-1" in (await other.get("/incidents/INC-4")).text


async def test_counts_lead_to_the_incidents_behind_them(site: Installation) -> None:
    """Each figure is a link to the list narrowed alike; what is not known is counted, too."""
    browser = await site.browser("viewer", "en")
    page = (await browser.get("/counts?state=all&by=module")).text
    assert "/?state=all&amp;module=cart" in page
    assert "not known" in page
    assert (await browser.get("/counts?by=no-such-part")).status_code == 200


async def test_the_api_classifies_filters_and_counts(site: Installation) -> None:
    """Programs do what people can do."""
    said = {"type": "classify", "incident": "INC-3", "module": "storage"}
    (event,) = (await api(site, "/api/v1/commands", said))["events"]
    assert event["type"] == "incident_classified"
    (found,) = (await api(site, "/api/v1/incidents?module=storage"))["incidents"]
    assert (found["incident"], found["classified_by"]) == ("INC-3", "user:robot")
    counts = (await api(site, "/api/v1/incident-counts?by=module"))["counts"]
    assert counts == [{"value": "cart", "total": 2, "open": 2}, {"value": "storage", "total": 1, "open": 1}]
