"""Every page with real data, on a desk and on a phone, by day and by night, with texts that mean harm."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from tests.browser import measure
from tests.browser.history import LONG_NAME, OPERATOR, WORD
from tests.browser.visits import DESK, DEVICES, PHONE, Visits
from tests.servers.tocsin import Tocsin

pytestmark = pytest.mark.asyncio(loop_scope="package")

PAGES = (
    "/", "/?state=all", "/incidents/INC-1", "/report", "/sla", "/trends?days=90", "/ledger", "/assessment",
    "/rules", "/noise", "/explain?subject=INC-1", "/channels", "/users", "/account", "/api/docs",
)  # fmt: skip


async def hostile_incident(page: Page) -> str:
    """The address of the incident whose texts mean harm."""
    await page.goto("/?state=all&q=onerror")
    address = await page.locator("a.row").first.get_attribute("href")
    assert address is not None
    return address


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_every_page_is_fit_to_be_read(tocsin: Tocsin, visits: Visits, device: str, language: str) -> None:
    """Unfolded, nothing is too wide, small for a finger, faint by day or night, or turned by a text beside it."""
    page = await visits.open(tocsin, device, language=language)
    faults = {}
    for path in (*PAGES, await hostile_incident(page)):
        await page.goto(path)
        await measure.unfold(page)
        if found := await faults_of(page, device):
            faults[path] = found
        assert await page.title() != "owned"
    assert faults == {}


async def faults_of(page: Page, device: str) -> list[str]:
    """What is wrong with the looks of a page, by day and by night."""
    width = await measure.width(page)
    found = [f"{width} px wide"] if width > DEVICES[device]["viewport"]["width"] else []
    found += [f"turned: {text}" for text in await measure.mirrored(page)]
    if device == PHONE:
        found += [f"small: {control}" for control in await measure.small_targets(page)]
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)
        found += [f"faint, {scheme}: {text}" for text in await measure.faint_texts(page)]
        if (await measure.ground(page) < 0.05) is not (scheme == "dark"):
            found.append(f"not {scheme}")
    return found


async def test_the_menu_of_a_phone_is_made_for_fingers(tocsin: Tocsin, visits: Visits) -> None:
    """It unfolds over the page, every link large enough, and the last one is in sight."""
    page = await visits.open(tocsin, PHONE)
    await page.locator("header .menu summary").click()
    assert await measure.small_targets(page) == []
    await expect(page.locator("header .menu").get_by_role("button", name="Sign out")).to_be_in_viewport(ratio=1)


async def test_a_phone_shows_the_first_incident_at_once(tocsin: Tocsin, visits: Visits) -> None:
    """The filters are folded, so that the first incident is whole on the first screen; one in force is open."""
    page = await visits.open(tocsin, PHONE)
    await expect(page.locator("a.row").first).to_be_in_viewport(ratio=1)
    await expect(page.locator("[name=q]")).to_be_hidden()
    await page.locator("#filters > summary").click()
    await page.locator("[name=service]").fill("shop")
    await page.get_by_role("button", name="Find").click()
    await expect(page.locator("[name=service]")).to_have_value("shop")
    await expect(page.locator("[name=service]")).to_be_visible()
    desk = await visits.open(tocsin, DESK)
    await expect(desk.locator("[name=service]")).to_be_visible()


async def test_markup_in_a_report_is_only_text(tocsin: Tocsin, visits: Visits, device: str) -> None:
    """A title without a gap and a description with a script are shown as they were written."""
    page = await visits.open(tocsin, device, "/report", who=OPERATOR)
    await page.locator("#title").fill(WORD[:500])
    await page.locator("#description").fill(f"<script>document.title='owned'</script>{WORD}")
    await page.locator("main form button").click()
    await expect(page.locator("#facts dd.wide, #facts .wide dd")).to_contain_text("<script>document.title='owned'")
    assert await measure.width(page) <= DEVICES[device]["viewport"]["width"]
    assert "owned" not in await page.title()


async def test_a_report_by_hand_opens_an_incident(tocsin: Tocsin, visits: Visits, device: str) -> None:
    """Title, service, severity and origin arrive on the page of the new incident."""
    page = await visits.open(tocsin, device, "/report", who=OPERATOR)
    await page.locator("#title").fill("客户投诉：结算页面打不开")
    await page.locator("#service").fill("checkout")
    await page.locator("#severity").select_option("critical")
    await page.locator("#origin").select_option("user_report")
    await page.locator("main form button").click()
    await expect(page.locator("h1")).to_have_text("客户投诉：结算页面打不开")
    await expect(page.locator("#head")).to_contain_text("checkout")
    await expect(page.locator("#facts")).to_contain_text("User report")
    await expect(page.locator(".clock").first).to_contain_text("Response")


async def test_the_trends_name_every_bar(tocsin: Tocsin, visits: Visits, device: str) -> None:
    """Each bar has a title for those who point at it or hear it; the legend adds up."""
    page = await visits.open(tocsin, device, "/trends?days=30")
    bars = page.locator("section svg[role=img]:visible rect")
    assert await bars.count() >= 13
    assert await bars.count() == await page.locator("section svg[role=img]:visible rect > title").count()
    titles = await page.locator("section svg[role=img]:visible title").all_text_contents()
    p2 = sum(int(title.rpartition(": ")[2]) for title in titles if "P2" in title)
    await expect(page.locator(".legend")).to_contain_text(f"P2 · {p2}")
    await expect(page.locator("tbody tr")).not_to_have_count(0)


async def test_the_reports_show_what_happened(tocsin: Tocsin, visits: Visits, device: str) -> None:
    """Books that balance, broken promises, the proposed deduction with its evidence, channels with their last word."""
    page = await visits.open(tocsin, device, "/ledger")
    await expect(page.locator("#difference")).to_have_text("0")
    await expect(page.locator("main")).to_contain_text("startsAt")
    await page.goto("/sla")
    await expect(page.locator("section").nth(1)).to_contain_text("took 15 min, too long")
    await page.goto("/assessment")
    await expect(page.locator("#deduction")).to_have_text("−15")
    await expect(page.locator("main")).to_contain_text("cannot run normally for more than 8 hours")
    await expect(page.locator("main")).to_contain_text("本项目财政业务系统不能正常运行时间超过8小时")
    await page.locator("dd a").filter(has_text="Accident proposed").click()
    await expect(page.locator(".timeline")).to_contain_text("Accident proposed")
    await page.goto("/channels")
    await expect(page.locator("section").first).to_contain_text("Healthy")
    await page.get_by_role("button", name="Send test message").last.click()
    await expect(page.get_by_role("status")).to_be_visible()


async def test_who_may_only_look_is_offered_nothing_else(tocsin: Tocsin, visits: Visits, device: str) -> None:
    """A viewer, of a very long name, sees incidents and no action, no form, no user administration."""
    page = await visits.open(tocsin, device, "/incidents/INC-1", who=LONG_NAME)
    await expect(page.locator(".timeline li").first).to_be_visible()
    await expect(page.locator("main form")).to_have_count(0)
    await expect(page.locator("a[href='/users']")).to_have_count(0)
    assert await measure.width(page) <= DEVICES[device]["viewport"]["width"]
    if device == DESK:
        await expect(page.locator("header nav.desk").get_by_role("button", name="Sign out")).to_be_in_viewport()
