"""The console without JavaScript: every page, both languages, every action, and nothing dangerous in any of them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio

from projections.trends import DayTrend
from tests.integration.web_site import Installation, running, submit
from web.reports import weekly
from web.texts import LANGUAGES, TEXTS

PAGES = ("/", "/?state=all", "/incidents/INC-1", "/report", "/ledger", "/trends", "/sla", "/assessment", "/channels",
         "/account", "/users", "/counts", "/api/docs")  # fmt: skip
NASTY = """<script>alert(1)</script>"'><img src=x onerror=alert(2)>{{7*7}}"""
WEB = Path(__file__).parents[2] / "web"


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Installation]:
    """A Tocsin with one incident of two alerts whose labels are hostile."""
    async with running(tmp_path) as site:
        await site.fire(
            {"alertname": NASTY, "service": "pay", "severity": "critical", "note": NASTY},
            {"alertname": "DiskFull", "service": "pay", "severity": "warning"},
        )
        yield site


class Markup(HTMLParser):
    """What a page would make a browser do."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember one tag."""
        self.tags.append((tag, dict(attrs)))


def dangers(page: str) -> list[str]:
    """Inline script or style, handlers, or anything loaded from elsewhere."""
    found = []
    for tag, attributes in Markup(page).tags:
        if tag == "style" or (tag == "script" and "src" not in attributes) or tag in ("iframe", "object", "base"):
            found.append(tag)
        for name, value in attributes.items():
            if name.startswith(("on", "hx-on")) or name == "style":
                found.append(f"{tag}[{name}]")
            elsewhere = re.match(r"(?i)\s*([a-z]+:|//)", value or "")
            if name in ("src", "href", "action", "hx-get", "sse-connect") and elsewhere:
                outward = tag == "a" and (value or "").startswith(("http://", "https://"))
                found += [] if outward else [f"{tag}[{name}={value}]"]
    return found


@pytest.mark.parametrize("language", LANGUAGES)
async def test_every_page_renders_safely_in_both_languages(site: Installation, language: str) -> None:
    """Each page is complete HTML in its language, with no inline script and nothing from another host."""
    browser = await site.browser("admin", language)
    for path in PAGES:
        answer = await browser.get(path)
        assert answer.status_code == 200, path
        assert f'<html lang="{"zh-CN" if language == "zh" else "en"}">' in answer.text
        assert dangers(answer.text) == [], path
        assert TEXTS["zh" if language == "zh" else "en"]["nav.incidents"] in answer.text
        assert "<script>alert" not in answer.text
        assert "<img src=x" not in answer.text
        assert NASTY not in answer.text
        assert ("{{7*7}}" in answer.text) == (path in ("/", "/?state=all", "/incidents/INC-1", "/sla")), path
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
    await browser.aclose()


async def test_login_and_setup_render_in_both_languages(site: Installation) -> None:
    """The pages for those who are not in yet, by the installation's language and by the switch."""
    token = site.accounts.first_run_token()
    async with site.client() as browser:
        for path in ("/login", f"/setup?token={token}"):
            assert dangers((await browser.get(path)).text) == []
        assert "登录" in (await browser.get("/login")).text
        switched = await browser.post("/language", data={"language": "en", "next": "/login"})
        assert (switched.status_code, switched.headers["location"]) == (303, "/login")
        assert "Sign in" in (await browser.get("/login")).text


def test_both_languages_have_the_same_texts_with_the_same_names() -> None:
    """No key is missing on either side, and no text forgets a value or invents one."""
    zh, en = TEXTS["zh"], TEXTS["en"]
    assert sorted(zh) == sorted(en)
    for key, words in zh.items():
        assert sorted(re.findall(r"{(\w+)}", words)) == sorted(re.findall(r"{(\w+)}", en[key])), key


def test_templates_and_code_use_only_known_texts() -> None:
    """Every literal key is in the locale files, and every prefix that a key is joined to has texts."""
    sources = [*WEB.glob("templates/*.html"), *WEB.glob("*.py")]
    used = {
        key
        for file in sources
        for key in re.findall(r"""\b(?:t|words\(request\))\(\s*['"]([\w.]+)['"]\s*[,)]""", file.read_text())
    }
    used |= {
        key
        for file in WEB.glob("templates/*.html")
        for either in re.findall(r"\bt\('([\w.]+)' if .*? else '([\w.]+)'", file.read_text())
        for key in either
    }
    assert len(used) > 100
    assert used - set(TEXTS["en"]) == set()
    prefixes = {kind for file in sources for kind in re.findall(r"""\btell\(\s*['"](\w+)['"]""", file.read_text())}
    assert {kind for kind in prefixes if not any(key.startswith(f"{kind}.") for key in TEXTS["en"])} == set()


async def test_an_incident_goes_through_its_life_by_forms_alone(site: Installation) -> None:
    """Acknowledge, assign, diagnose, note, mitigate, resolve, review, close, reopen: each offered when legal (R1.4)."""
    browser = await site.browser()
    page = "/incidents/INC-1"

    async def do(action: str, **fields: str) -> str:
        answer = await submit(browser, page, f"{page}/{action}", **fields)
        assert (answer.status_code, answer.headers["location"]) == (303, f"{page}?said=done")
        return (await browser.get(page)).text

    assert "已响应" in await do("acknowledge")
    assert f"{page}/acknowledge" not in (await browser.get(page)).text
    assert "王五" in await do("assign", assignee="王五")
    assert "分析中" in await do("start_diagnosis")
    assert "看到了 &lt;b&gt;" in await do("add_note", text="看到了 <b>")
    assert "已止损" in await do("mitigate", note="切走流量")
    assert "扩容" in await do("resolve", solution="扩容", cause_code="capacity")
    assert "复盘中" in await do("start_review")
    assert "已关闭" in await do("close", note="")
    assert "待响应" in await do("reopen", reason="又来了")
    text = await do("mark_false_alarm", reason="演练")
    assert "误报" in text
    assert re.search(r"\b0-\d+-\d+\b", text), "event ids are shown"
    await browser.aclose()


async def test_a_refused_action_says_why(site: Installation) -> None:
    """Somebody was faster, or the form is incomplete: the page says so and stays."""
    browser = await site.browser()
    page = "/incidents/INC-1"
    await submit(browser, page, f"{page}/resolve")
    stale = await submit(browser, page, f"{page}/reopen", reason=" ")
    assert "refused=invalid" in stale.headers["location"]
    assert 'role="alert"' in (await browser.get(stale.headers["location"])).text
    assert "reason:" in (await browser.get(stale.headers["location"])).text
    forged = await browser.get(f"{page}?refused=rejected&reason=call+this+number&seal=x")
    assert "call this number" not in forged.text
    csrf = {"csrf": re.findall(r'name="csrf" value="(\w+)"', (await browser.get(page)).text)[0]}
    late = await browser.post(f"{page}/acknowledge", data=csrf)
    assert late.headers["location"] == f"{page}?refused=not_allowed_in_state"
    missing = await browser.post("/incidents/INC-99/acknowledge", data=csrf)
    assert missing.headers["location"] == "/incidents/INC-99?refused=not_found"
    assert (await browser.get("/incidents/INC-99")).status_code == 404
    assert (await browser.post(f"{page}/explode", data=csrf)).status_code == 404
    await browser.aclose()


async def test_get_changes_nothing(site: Installation) -> None:
    """A chat client that fetches links to preview them acknowledges and sends nothing."""
    browser = await site.browser("admin")
    before = site.store.engine.connect().exec_driver_sql("select count(*) from journal").scalar()
    for path in ("/incidents/INC-1/acknowledge", "/channels/mail/test", "/logout", "/language"):
        assert (await browser.get(path)).status_code in (404, 405)
    for path in PAGES:
        await browser.get(path)
    assert site.store.engine.connect().exec_driver_sql("select count(*) from journal").scalar() == before
    await browser.aclose()


async def test_a_person_reports_trouble(site: Installation) -> None:
    """The manual report (人工上报) opens an incident, with its outage, and leads there (R1.4)."""
    browser = await site.browser()
    fields = {"title": "支付全断", "service": "pay", "severity": "critical", "impact": "1", "outage": "business"}
    answer = await submit(browser, "/report", "/report", **fields, origin="user_report", description="<i>很多</i>")
    shown = await browser.get(answer.headers["location"])
    for words in ("支付全断", "业务系统中断", "用户反馈", "&lt;i&gt;很多&lt;/i&gt;", "P1"):
        assert words in shown.text
    await browser.aclose()


async def test_the_list_filters_and_pages(site: Installation) -> None:
    """State, priority, service and text narrow the list; addresses keep the filters; odd pages do no harm."""
    await site.fire(*[{"alertname": f"A{n}", "service": f"svc-{n:02}", "severity": "info"} for n in range(40)])
    browser = await site.browser()
    assert len(rows(await browser.get("/"))) == 30
    assert len(rows(await browser.get("/?page=2"))) == 11
    for page in ("0", "-1", "999", "x", "99999999999999999999", "²"):
        assert (await browser.get("/", params={"page": page})).status_code == 200
    assert rows(await browser.get("/?service=pay")) == ["INC-1"]
    assert len(rows(await browser.get("/?q=svc-3"))) == 10
    assert len(rows(await browser.get("/?q=%25"))) == 0
    assert len(rows(await browser.get("/?priority=P1"))) <= 1
    fragment = await browser.get("/?service=pay", headers={"HX-Request": "true"})
    assert rows(fragment) == ["INC-1"]
    assert "<html" not in fragment.text
    await browser.aclose()


def rows(page: httpx2.Response) -> list[str]:
    """The incidents that a list shows."""
    return re.findall(r'class="row [^"]*" href="/incidents/([^"]+)"', page.text)


async def test_a_channel_test_is_a_command(site: Installation) -> None:
    """The button asks the engine, which orders a delivery through that channel (R1.8)."""
    browser = await site.browser()
    answer = await submit(browser, "/channels", "/channels/mail/test")
    assert answer.headers["location"] == "/channels?said=test_sent"
    shown = (await browser.get("/channels")).text
    assert "测试" in shown
    assert "mail" in shown
    await browser.aclose()


async def test_the_books_show_what_came_and_that_they_balance(site: Installation) -> None:
    """The ledger has a row for each source, difference 0, and names the last payloads nobody understood."""
    async with site.client(token="am-secret") as sender:
        await sender.post("/hooks/alertmanager", content=b"<html>")
    site.clock.move(minutes=2)
    await site.fire({"alertname": "DiskFull", "service": "pay", "severity": "warning"})
    browser = await site.browser()
    shown = (await browser.get("/ledger")).text
    assert re.search(r'id="difference">0<', shown)
    assert "alertmanager" in shown
    await browser.aclose()


async def test_the_plumbing_of_an_incident_is_folded(site: Installation) -> None:
    """Of a new incident only its opening stands open; each event keeps its anchor and its id, to be cited."""
    browser = await site.browser("operator", "en")
    page = (await browser.get("/incidents/INC-1")).text
    opened = re.findall(r'<li id="e([\d-]+)" class="[^"]*"><strong>([^<]+)<', page)
    assert [words for _, words in opened] == ["Incident opened"]
    (count,) = re.findall(r"(\d+) technical entries", page)
    ids = re.findall(r'<li id="e(\d+-\d+-\d+)"', page)
    assert len(ids) == int(count) + 1
    assert all(page.count(one) >= 2 for one in ids)
    await browser.aclose()


async def test_service_targets_have_one_card_for_each_incident(site: Installation) -> None:
    """A card names title and priority and holds both clocks; an incident under way is not listed as over too."""
    site.clock.move(minutes=30)
    await site.fire({"alertname": "Late", "service": "other", "severity": "warning"})
    browser = await site.browser("operator", "en")
    cards = re.findall(r'<article class="promise.*?</article>', (await browser.get("/sla")).text, re.DOTALL)
    assert len(cards) == 2
    for card in cards:
        assert "Response" in card
        assert "Resolution" in card
        assert re.search(r">P[1-4]<", card)
    assert "20 min late" in cards[0]
    await browser.aclose()


async def test_channels_show_what_failed_first(site: Installation) -> None:
    """A lost delivery stands above the fifteen newest, with the vendor's words; the older ones are a page away."""
    await lose_delivery(site, "INC-1.1")
    browser = await site.browser()
    for _ in range(16):
        await submit(browser, "/channels", "/channels/mail/test")
    first, second = [(await browser.get(f"/channels?page={page}")).text for page in (1, 2)]
    assert first.index("异常") < first.index("近 7 天未送达") < first.rindex("no such user") < first.index("最近的投递")
    assert first.count("INC-1</a>") == 1, "the lost one is the oldest, so not among the newest"
    assert 'href="/channels?page=2#recent"' in first
    assert "近 7 天未送达" not in second
    assert second.count("INC-1</a>") == 1
    for page in ("0", "99", "x", "²"):
        assert (await browser.get(f"/channels?page={page}")).status_code == 200
    await browser.aclose()


async def lose_delivery(site: Installation, delivery: str) -> None:
    """Let the only channel refuse a delivery for good."""
    assert await site.runtime.attempting(delivery, 1)
    await site.runtime.delivered(delivery, 1, "failed", reason="no such user")
    await site.runtime.caught_up()


async def test_a_delivery_that_arrived_is_one_calm_line(site: Installation) -> None:
    """Whom, through what and when, in one line that folds nothing away."""
    assert await site.runtime.attempting("INC-1.1", 1)
    await site.runtime.delivered("INC-1.1", 1, "ok", vendor_code="250")
    await site.runtime.caught_up()
    browser = await site.browser()
    (line,) = re.findall(r'<li id="[^"]*" class="calm">(.*?)</li>', (await browser.get("/incidents/INC-1")).text)
    assert re.sub(r"<[^>]+>", "", line) == "已通知 oncall · 邮件 · 12:00"
    await browser.aclose()


def test_weeks_are_the_sums_of_their_days() -> None:
    """From Monday to Sunday, named by the first day on which something happened."""
    days = [DayTrend(day, "", *range(9)) for day in ("2026-01-04", "2026-01-05", "2026-01-11", "2026-01-12")]
    weeks = weekly(days)
    assert [(week.day, week.resolved, week.resolve_count) for week in weeks] == [
        ("2026-01-04", 1, 8), ("2026-01-05", 2, 16), ("2026-01-12", 1, 8),
    ]  # fmt: skip


async def test_reasons_and_empty_pages_are_in_plain_words(site: Installation) -> None:
    """What a sender did wrong is told in the reader's language; a list without rows says what to do next."""
    async with site.client(token="prom-secret") as sender:
        await sender.post("/api/v2/alerts", content=b'[{"labels": {"alertname": 5}}, {}]')
    await site.runtime.caught_up()
    browser = await site.browser("operator")
    shown = (await browser.get("/ledger")).text
    assert "应为文本，收到的是整数" in shown
    assert "缺少必填项“labels”" in shown
    assert "换个关键词" in (await browser.get("/?q=nothing-like-it")).text
    await submit(browser, "/incidents/INC-1", "/incidents/INC-1/resolve")
    calm = (await browser.get("/")).text
    assert "现在没有未处理的事件" in calm
    assert 'href="/report"' in calm
    await browser.aclose()


async def test_static_files_are_kept_for_ever_under_their_content_s_name(site: Installation) -> None:
    """Names carry the hash; packed when the browser wants; no name leads out of the folder."""
    async with site.client() as browser:
        page = (await browser.get("/login")).text
        for url in re.findall(r'"(/static/[^"]+)"', page):
            answer = await browser.get(url)
            assert answer.status_code == 200
            assert "immutable" in answer.headers["cache-control"]
            assert answer.headers["content-encoding"] == "gzip"
        for path in ("/static/console.css", "/static/..%2fapp.py", "/static/../app.py", "/static/x.000000000000.js"):
            assert (await browser.get(path)).status_code == 404


async def test_a_broken_page_tells_no_internals_and_keeps_its_headers(
    site: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of ours is 500 with a calm page, the security headers, and no traceback."""
    browser = await site.browser()

    def explode(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("projections.tickets.count_tickets", explode)
    answer = await browser.get("/")
    assert answer.status_code == 500
    assert "secret detail" not in answer.text
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    await browser.aclose()
