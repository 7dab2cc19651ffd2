"""The page and the API of who is on call: on a phone and for programs (R1.3)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from icalendar import Calendar

from tests.integration.web_site import CONFIG, Installation, running, submit

NOON = 1_767_585_600_000
PEOPLE = {"li": {"name": "李明", "contacts": ["mail"]}, "wang": {"name": "王芳", "contacts": ["mail"]}}
LAYER = {"name": "weeks", "people": ["li", "wang"], "starts": "2026-01-05T09:00:00"}
ONCALL = {
    "people": PEOPLE,
    "schedules": {"primary": {"name": "主班", "layers": [LAYER]}},
    "policies": {"page": {"steps": [{"schedules": ["primary"]}, {"people": ["wang"]}]}},
}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Installation]:
    """A Tocsin with a schedule, and a policy for everything."""
    rules = CONFIG["rules"] | {"oncall": ONCALL, "routes": [{"policy": "page"}]}
    directory = {"li": {"email": "li@example.com"}, "wang": {"email": "wang@example.com"}}
    async with running(tmp_path, rules=rules, directory=directory) as started:
        yield started


async def test_the_page_shows_who_it_is_and_takes_changes(site: Installation) -> None:
    """Now and the days to come; an override by form is in force at once, names its author, and can be taken back."""
    browser = await site.browser()
    page = (await browser.get("/oncall")).text
    assert "主班" in page
    assert "当前： 李明" in page
    span = {"starts": "2026-01-05T12:00", "ends": "2026-01-05T18:00"}
    answer = await submit(browser, "/oncall", "/oncall/set_override", schedule="primary", person="wang", **span)
    assert answer.headers["location"] == "/oncall?said=done"
    page = (await browser.get("/oncall")).text
    assert "当前： 王芳" in page
    assert "operator" in page.split("调整记录")[1]
    [change] = (await browser.get("/api/v1/oncall/changes")).json()["changes"]
    assert (change["made_by"], change["starts_ms"], change["ends_ms"]) == ("user:operator", NOON, NOON + 21_600_000)
    await submit(browser, "/oncall", "/oncall/remove_oncall_change", id=change["id"])
    assert "当前： 李明" in (await browser.get("/oncall")).text


async def test_what_cannot_be_is_refused_in_words(site: Installation) -> None:
    """An end before the beginning changes nothing, and the page says why."""
    browser = await site.browser()
    span = {"starts": "2026-01-05T18:00", "ends": "2026-01-05T12:00"}
    answer = await submit(browser, "/oncall", "/oncall/set_vacation", person="li", **span)
    assert "refused" in answer.headers["location"]
    assert (await browser.get(answer.headers["location"])).status_code == 200
    assert (await browser.get("/api/v1/oncall/changes")).json()["changes"] == []


async def test_viewers_see_and_cannot_change(site: Installation) -> None:
    """The page has no forms for them; a POST is refused."""
    browser = await site.browser("viewer")
    assert "/oncall/set_override" not in (await browser.get("/oncall")).text
    assert (await browser.post("/oncall/set_vacation", data={"csrf": "x"})).status_code == 403


async def test_programs_ask_who_shifts_gaps_and_calendars(site: Installation) -> None:
    """Who at a moment and why, shifts without holes, gaps, and iCalendar that another library reads."""
    browser = await site.browser()
    at = {"at_ms": NOON + 7 * 86_400_000}
    duty = (await browser.get("/api/v1/oncall", params=at)).json()["oncall"]["primary"]
    assert duty == {"person": "wang", "why": "layer", "by": "weeks", "instead_of": ""}
    found = (await browser.get("/api/v1/oncall/shifts", params={"schedule": "primary", "days": 14})).json()["shifts"]
    assert [one["duty"]["person"] for one in found] == ["li", "wang", "li"]
    assert (await browser.get("/api/v1/oncall/gaps")).json() == {"gaps": []}
    assert (await browser.get("/api/v1/oncall", params={"schedule": "x"})).status_code == 404
    text = (await browser.get("/api/v1/oncall/calendar", params={"schedule": "primary", "person": "wang"})).text
    events = Calendar.from_ical(text).walk("VEVENT")
    assert {str(one["summary"]) for one in events} == {"主班: 王芳"}
    assert events[0].decoded("dtstart").isoformat() == "2026-01-12T01:00:00+00:00"


async def test_the_ticket_says_who_is_paged_and_who_is_next(site: Installation) -> None:
    """Step 1 pages li, the next would be wang; after the acknowledgement it says so."""
    await site.fire({"alertname": "Down", "severity": "critical", "service": "shop"})
    browser = await site.browser()
    page = (await browser.get("/incidents/INC-1")).text
    panel = page.split("正在通知</h2>")[1].split("</section>")[0]
    assert "第 1 步" in panel
    assert "li" in panel.split("下一步")[0]
    assert "wang" in panel.split("下一步")[1]
    assert "升级步骤" in page
    await submit(browser, "/incidents/INC-1", "/incidents/INC-1/acknowledge")
    assert "已有人响应" in (await browser.get("/incidents/INC-1")).text
