"""One incident from the first ring to the solution, as the person on call handles it."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Locator, Page, expect

from tests.browser import measure
from tests.browser.history import OPERATOR, fire
from tests.browser.visits import DESK, PHONE, Visits
from tests.servers.tocsin import Tocsin

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def incident_of(tocsin: Tocsin, visits: Visits, device: str, service: str) -> Page:
    """The page of a fresh incident of this service, reached through the list."""
    await fire(tocsin, {"alertname": "PaymentsFail", "service": service, "severity": "critical"}, f"{service} fails")
    page = await visits.open(tocsin, device, "/", who=OPERATOR)
    await page.get_by_role("link").filter(has_text=f"{service} fails").click()
    await expect(page.locator("#state")).to_have_text("Triggered")
    return page


async def submit(page: Page, action: str, **fields: str) -> None:
    """Unfold a form among the actions, fill it in, send it; what was done is confirmed."""
    form = page.locator(f"#do-{action}")
    await form.locator("summary").click()
    for name, value in fields.items():
        part = form.locator(f"[name={name}]")
        await (part.select_option(value) if name == "cause_code" else part.fill(value))
    await form.locator("form button").click()
    await expect(page.get_by_role("status")).to_have_text("Done, and on the record.")


def entry(page: Page, text: str) -> Locator:
    """The entries of the timeline that begin with this text."""
    return page.locator(".timeline li").filter(has_text=re.compile(rf"^\s*{text}"))


async def test_an_incident_appears_on_the_open_list(tocsin: Tocsin, visits: Visits, device: str) -> None:
    """Nobody reloads: the event stream tells the page, which fetches its rows."""
    page = await visits.open(tocsin, device)
    await expect(page.locator(".live.is-on")).to_be_visible()
    await page.evaluate("() => { window.notReloaded = true; }")
    labels = {"alertname": "QueueGrows", "service": f"queue-{device}", "severity": "major"}
    await fire(tocsin, labels, f"The queue grows on {device}")
    row = page.locator("a.row").filter(has_text=f"The queue grows on {device}")
    await expect(row).to_be_visible()
    await expect(row).to_contain_text("Triggered")
    assert await page.evaluate("() => window.notReloaded")


async def test_an_incident_is_handled_from_ring_to_solution(tocsin: Tocsin, visits: Visits, device: str) -> None:
    """Acknowledge, assign, note, mitigate, resolve: state and clocks follow, the timeline says who and when."""
    page = await incident_of(tocsin, visits, device, f"pay-{device}")
    response, resolution = page.locator(".clock").nth(0), page.locator(".clock").nth(1)
    await expect(response).to_contain_text(re.compile(r"Response.*min left", re.DOTALL))
    await page.get_by_role("button", name="Acknowledge").click()
    await expect(page.locator("#state")).to_have_text("Acknowledged")
    await expect(response).to_contain_text(re.compile(r"took \d+ (s|min)"))
    await expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)
    await submit(page, "assign", assignee="王芳")
    await expect(page.locator("#head")).to_contain_text("王芳")
    await submit(page, "add_note", text="Rolled back.\n回滚完成 <b>&amp;</b>")
    await submit(page, "mitigate", note="Traffic moved away")
    await expect(page.locator("#state")).to_have_text("Mitigated")
    await submit(page, "resolve", solution="Certificate renewed", cause_code="configuration")
    await expect(page.locator("#state")).to_have_text("Resolved")
    await expect(resolution).to_contain_text("took")
    await expect(page.locator("#facts")).to_contain_text("Certificate renewed")
    for begins, says in (
        ("Acknowledged", ""), ("Assigned", "王芳"), ("Note", "回滚完成 <b>&amp;</b>"),
        ("Mitigated", "Traffic moved away"), ("Resolved", "Certificate renewed"),
    ):  # fmt: skip
        told = entry(page, begins).first
        await expect(told).to_contain_text(says)
        await expect(told.locator(".when")).to_contain_text(
            re.compile(rf"\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d · {OPERATOR}")
        )


async def test_a_colleague_sees_it_without_reloading(tocsin: Tocsin, visits: Visits, device: str) -> None:
    """What one person does appears on the other's open page; a form that is being filled in keeps its text."""
    page = await incident_of(tocsin, visits, device, f"shared-{device}")
    other = await visits.open(tocsin, DESK, page.url)
    await expect(other.locator(".live.is-on")).to_be_visible()
    await other.locator("#do-add_note summary").click()
    await other.locator("#text").fill("half a sent")
    await page.get_by_role("button", name="Acknowledge").click()
    await expect(other.locator("#state")).to_have_text("Acknowledged")
    await expect(entry(other, "Acknowledged").locator(".when")).to_contain_text(OPERATOR)
    await expect(other.locator("#text")).to_have_value("half a sent")


async def test_it_works_without_javascript(tocsin: Tocsin, visits: Visits, device: str) -> None:
    """Plain forms: sign in, find it, acknowledge, resolve."""
    await fire(tocsin, {"alertname": "NoScript", "service": f"plain-{device}", "severity": "major"}, f"plain {device}")
    page = await visits.open(tocsin, device, "/login", who="", java_script_enabled=False)
    await page.locator("#name").fill(OPERATOR)
    await page.locator("#password").fill("Correct-horse-9")
    await page.locator("main form button").click()
    await page.get_by_role("link").filter(has_text=f"plain {device}").click()
    await page.get_by_role("button", name="Acknowledge").click()
    await expect(page.locator("#state")).to_have_text("Acknowledged")
    await submit(page, "resolve", solution="Restarted", cause_code="capacity")
    await expect(page.locator("#state")).to_have_text("Resolved")
    await expect(page.locator(".live").first).to_be_hidden()


async def test_acknowledging_needs_no_mouse(tocsin: Tocsin, visits: Visits) -> None:
    """Tab comes to the button soon, it stands out, and Enter presses it."""
    page = await incident_of(tocsin, visits, DESK, "keyboard")
    for _ in range(25):
        await page.keyboard.press("Tab")
        stop = await measure.focus(page)
        assert measure.stands_out(stop), stop
        if stop["name"].startswith("Acknowledge"):
            break
    await page.keyboard.press("Enter")
    await expect(page.locator("#state")).to_have_text("Acknowledged")


async def test_what_is_seldom_needed_is_behind_more_actions(tocsin: Tocsin, visits: Visits, device: str) -> None:
    """One button leads: Acknowledge, then Resolve; priority, merge and false alarm wait behind "More actions"."""
    page = await incident_of(tocsin, visits, device, f"lead-{device}")
    await expect(page.locator("#actions .lead")).to_have_text("Acknowledge, I take care")
    await expect(page.locator("#do-merge > summary")).to_be_hidden()
    await page.locator("#more-actions > summary").click()
    for action in ("set_priority", "merge", "mark_false_alarm"):
        await expect(page.locator(f"#do-{action} > summary")).to_be_visible()
    await page.locator("#actions .lead button").click()
    await expect(page.locator("#actions .lead > summary")).to_have_text("Resolve")


async def test_a_cited_event_is_unfolded(tocsin: Tocsin, visits: Visits, device: str) -> None:
    """The plumbing of a new incident is one line; a link to one of its events opens it."""
    page = await incident_of(tocsin, visits, device, f"cited-{device}")
    fold = page.locator(".timeline .aside details").last
    await expect(fold.locator("summary")).to_contain_text("technical entries")
    record = fold.locator("li").last
    await expect(record).to_be_hidden()
    await page.goto(f"{page.url}#{await record.get_attribute('id')}")
    await expect(record).to_be_in_viewport()


async def test_acknowledging_is_at_hand(tocsin: Tocsin, visits: Visits) -> None:
    """On a phone the button is on the first screen, as wide as the page allows, at thumb size."""
    page = await incident_of(tocsin, visits, PHONE, "at-hand")
    box = await page.get_by_role("button", name="Acknowledge").bounding_box()
    assert box is not None
    assert box["height"] >= measure.FINGER_PX
    assert box["width"] >= 300
    assert box["y"] + box["height"] <= 844
