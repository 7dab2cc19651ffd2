"""The assessment of a period on the console: rating, deducting, appealing, printing (R12)."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path

import openpyxl
import pytest

from tests.integration.web_site import CONFIG, Installation, running, submit

PAGE = "/assessment/demo/2026H1"
CONTRACT = {
    "title": "运维服务合同", "provider": "甲公司", "purchaser": "财政厅", "sum": "1000000",
    "raters": ["operator", "viewer"], "handlers": ["operator"], "providers": ["viewer"],
    "items": [{"id": "patrol", "title": "日常巡检", "content": "每日巡检"}],
    "periods": [{"name": "2026H1", "first": "2026-01-01", "last": "2026-06-30"}],
}  # fmt: skip
RATING = {"support": "60", "quality": "9", "response": "9", "documents": "6", "people": "6"}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Installation]:
    """A Tocsin with one contract."""
    async with running(tmp_path, rules=CONFIG["rules"] | {"contracts": {"demo": CONTRACT}}) as started:
        yield started


async def test_a_deduction_is_proposed_confirmed_appealed_and_printed(site: Installation) -> None:
    """A handler proposes and confirms, the provider appeals, the page says what if, and the annexes hold the score."""
    handler, provider = await site.browser(), await site.browser("viewer")
    assert PAGE in (await handler.get("/assessment")).text
    await submit(handler, PAGE, f"{PAGE}/open_assessment")
    await submit(handler, PAGE, f"{PAGE}/rate_service", **RATING)
    await submit(provider, PAGE, f"{PAGE}/rate_service", **RATING)
    proposal = {"criterion": "一般.6", "evidence": "会议纪要\n工单 7", "reason": "影响办公"}
    await submit(handler, PAGE, f"{PAGE}/propose_deduction", **proposal)
    verdict = {"deduction": "D1", "reason": "属实"}
    await submit(handler, PAGE, f"{PAGE}/decide_deduction", **verdict, verdict="confirm")
    page = (await handler.get(PAGE)).text
    assert '<dd class="big" id="total">75.00</dd>' in page
    assert "其他产生不利后果的事故" in page
    file = await handler.get(f"{PAGE}/annexes.xlsx")
    sheet = openpyxl.load_workbook(io.BytesIO(file.content))["附件4"]
    assert "75.00" in [cell.value for row in sheet.iter_rows() for cell in row]
    await submit(provider, PAGE, f"{PAGE}/decide_deduction", **verdict, verdict="appeal")
    assert "申诉中" in (await handler.get(PAGE)).text
    answer = await submit(handler, PAGE, f"{PAGE}/decide_deduction", **verdict, verdict="uphold_appeal")
    assert "refused=not_allowed" in answer.headers["location"]
    assert "申诉中" in (await handler.get(answer.headers["location"])).text


async def test_raters_do_not_see_each_other_until_all_have_handed_in(site: Installation) -> None:
    """Annex 1 is scored alone: neither page nor file shows what another gave while somebody's form is missing."""
    one, other = await site.browser(), await site.browser("viewer")
    await submit(one, PAGE, f"{PAGE}/open_assessment")
    await submit(one, PAGE, f"{PAGE}/rate_service", **RATING)
    assert "operator: <strong>90</strong>" in (await one.get(PAGE)).text
    assert "operator: <strong>" not in (await other.get(PAGE)).text
    book = openpyxl.load_workbook(io.BytesIO((await other.get(f"{PAGE}/annexes.xlsx")).content))
    assert "附件1 operator" not in book.sheetnames


async def test_what_is_not_there_is_not_found(site: Installation) -> None:
    """Unknown contracts and periods, and formats of annexes that there are not."""
    browser = await site.browser()
    for path in ("/assessment/demo/2031H1", "/assessment/x/2026H1", f"{PAGE}/annexes.exe"):
        assert (await browser.get(path)).status_code == 404
