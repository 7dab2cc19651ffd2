"""The first minutes with Tocsin: set it up, sign out and in, change the language, all of it by keyboard if need be."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page, expect

from tests.browser import measure
from tests.browser.history import set_up_link
from tests.browser.visits import DESK, PHONE, Visits, sign_in
from tests.servers.tocsin import Tocsin

pytestmark = pytest.mark.asyncio(loop_scope="package")

PASSWORD = "Night-watch 7"


async def sign_out(page: Page, device: str) -> None:
    """Use the menu as it is on this device."""
    menu = page.locator("header nav.desk")
    if device == PHONE:
        await page.locator("header .menu summary").click()
        menu = page.locator("header .menu nav")
    await menu.get_by_role("button", name="Sign out").click()


async def test_the_printed_link_makes_the_first_administrator_once(fresh: Tocsin, visits: Visits, device: str) -> None:
    """Set up with the link, find the calm list, sign out, sign in again; the link is spent."""
    link = urlsplit(set_up_link(fresh))
    page = await visits.open(fresh, device, f"{link.path}?{link.query}", who="")
    await sign_in(page, "王芳", PASSWORD)
    await expect(page.locator("#rows")).to_contain_text("Nothing open right now")
    assert urlsplit(page.url).path == "/"
    await sign_out(page, device)
    await expect(page).to_have_url(f"{fresh.url}/login")
    await page.goto("/")
    assert urlsplit(page.url).path == "/login", "signed out, the list is not shown"
    await sign_in(page, "王芳", PASSWORD)
    await expect(page.locator("#rows")).to_contain_text("Nothing open right now")
    visits.complaints.clear()
    answer = await page.goto(f"{link.path}?{link.query}")
    assert answer is not None
    assert answer.status == 404
    assert [said for said in visits.complaints if "404" not in said] == []
    visits.complaints.clear()  # Chromium itself reports the 404


async def test_a_wrong_password_is_told_and_the_name_is_kept(tocsin: Tocsin, visits: Visits, device: str) -> None:
    """The form comes back with the reason and the name; the password is not in the page."""
    page = await visits.open(tocsin, device, "/login", who="")
    await sign_in(page, "nobody", "wrong-secret")
    await expect(page.get_by_role("alert")).to_have_text("User name or password is wrong.")
    await expect(page.locator("#name")).to_have_value("nobody")
    assert "wrong-secret" not in await page.content()
    assert [said for said in visits.complaints if "401" not in said] == []
    visits.complaints.clear()  # Chromium itself reports the 401


async def test_a_visitor_is_led_to_where_the_link_pointed(tocsin: Tocsin, visits: Visits, device: str) -> None:
    """Who opens the link of a notification signs in and is there."""
    page = await visits.open(tocsin, device, "/incidents/INC-3", who="")
    assert urlsplit(page.url).path == "/login"
    await sign_in(page, "root")
    await expect(page).to_have_url(f"{tocsin.url}/incidents/INC-3")


async def test_the_language_switch_keeps_the_page(tocsin: Tocsin, visits: Visits, device: str) -> None:
    """Chinese first, then English and back, on the same page with the same filter; the page states its language."""
    page = await visits.open(tocsin, device, "/?state=all&priority=P2", language="")
    for language, title, other in (("zh-CN", "事件", "English"), ("en", "Incidents", "中文"), ("zh-CN", "事件", "")):
        await expect(page.locator("h1")).to_have_text(title)
        await expect(page.locator("html")).to_have_attribute("lang", language)
        assert page.url == f"{tocsin.url}/?state=all&priority=P2"
        if other:
            await page.locator("footer button").filter(has_text=other).click()


async def test_the_form_can_be_used_without_a_mouse(tocsin: Tocsin, visits: Visits) -> None:
    """Name, Tab, password, Tab, Enter; each stop is seen."""
    page = await visits.open(tocsin, DESK, "/login", who="")
    for place, keys in (("name", "root"), ("password", "Correct-horse-9"), ("Sign in", "")):
        stop = await measure.focus(page)
        assert stop["name"] == place
        assert measure.stands_out(stop), stop
        if keys:
            await page.keyboard.type(keys)
            await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(f"{tocsin.url}/")
