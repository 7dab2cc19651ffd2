"""The second factor: enrolling, codes after the password, recovery codes, lock-out, reset, roles that must have one."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from sqlalchemy import select

from tests.integration.web_site import PASSWORD, Installation, add_account, csrf_in, running, submit
from web.account_tables import audit, recovery_codes
from web.accounts import Role
from web.totp import STEP_MS, code_at

PAGE = "/account/second-factor"


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Installation]:
    """A Tocsin where nobody has to have a second factor."""
    async with running(tmp_path) as site:
        yield site


@pytest_asyncio.fixture
async def strict(tmp_path: Path) -> AsyncIterator[Installation]:
    """One where operators and administrators must."""
    async with running(tmp_path, server={"second_factor_for": ["operator", "admin"]}) as site:
        yield site


def audited(site: Installation) -> list[tuple[str, str, str, str]]:
    """(actor, action, object, result) of everything in the audit."""
    columns = (audit.c.actor, audit.c.action, audit.c.object, audit.c.result)
    with site.store.engine.connect() as conn:
        return [tuple(row) for row in conn.execute(select(*columns).order_by(audit.c.id))]


async def enrol(site: Installation, browser: httpx2.AsyncClient) -> tuple[str, list[str]]:
    """Enrol as a person does; the secret and the recovery codes. Moves to the next step, so that codes are fresh."""
    shown = (await browser.get(PAGE)).text
    found = re.search(r'<code id="secret">([A-Z2-7 ]+)</code>', shown)
    assert found
    secret = found.group(1).replace(" ", "")
    done = await browser.post(PAGE, data={"csrf": csrf_in(shown), "code": code_at(secret, site.clock.now_ms())})
    assert done.status_code == 200, done.text
    site.clock.move(minutes=0.5)
    return secret, re.findall(r"<li><code>([a-z2-7-]+)</code></li>", done.text)


async def pass_word(browser: httpx2.AsyncClient, name: str) -> str:
    """Give the right password; the secret of the form that asks for the code."""
    asked = await browser.post("/login", data={"name": name, "password": PASSWORD, "next": "/ledger"})
    found = re.search(r'name="pending" value="([^"]+)"', asked.text)
    assert asked.status_code == 200
    assert found
    assert not browser.cookies
    return html.unescape(found.group(1))


async def give(browser: httpx2.AsyncClient, pending: str, code: str) -> httpx2.Response:
    """Give the code."""
    return await browser.post("/login/code", data={"pending": pending, "code": code, "next": "/ledger"})


async def test_without_a_factor_the_password_signs_in_as_before(site: Installation) -> None:
    """Nobody who has not enrolled is asked for anything more (R13)."""
    browser = await site.browser()
    assert (await browser.get("/")).status_code == 200
    await browser.aclose()


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_enrolling_shows_a_qr_code_and_a_sign_in_then_wants_the_code(site: Installation, language: str) -> None:
    """The page carries the code as SVG without styles; afterwards the password alone opens nothing (8.1.4.1 d)."""
    first = await site.browser(language=language)
    shown = (await first.get(PAGE)).text
    assert re.search(r'<svg [^>]*class="qr"', shown)
    assert "style=" not in shown
    secret, codes = await enrol(site, first)
    assert len(set(codes)) == 10
    assert secret not in (await first.get(PAGE)).text
    async with site.client() as second:
        pending = await pass_word(second, "operator")
        assert (await second.get("/")).status_code == 303
        assert (await give(second, pending, "000000")).status_code == 401
        entered = await give(second, pending, code_at(secret, site.clock.now_ms()))
        assert (entered.status_code, entered.headers["location"]) == (303, "/ledger")
        assert (await second.get("/")).status_code == 200
    await first.aclose()


async def test_a_wrong_first_code_changes_nothing(site: Installation) -> None:
    """Who scanned wrongly is told so, sees the same secret, and can still sign in with the password."""
    browser = await site.browser()
    before = (await browser.get(PAGE)).text
    refused = await submit(browser, PAGE, PAGE, code="12345")
    assert refused.status_code == 400
    assert re.findall(r'id="secret">[^<]+', before) == re.findall(r'id="secret">[^<]+', refused.text)
    await (await site.browser()).aclose()
    await browser.aclose()


async def test_a_code_opens_once(site: Installation) -> None:
    """A code that was looked at over the shoulder is refused, within its 30 seconds too; so is an older one."""
    browser = await site.browser()
    secret, _ = await enrol(site, browser)
    code, older = code_at(secret, site.clock.now_ms()), code_at(secret, site.clock.now_ms() - STEP_MS)
    async with site.client() as one, site.client() as two:
        assert (await give(one, await pass_word(one, "operator"), code)).status_code == 303
        pending = await pass_word(two, "operator")
        assert (await give(two, pending, code)).status_code == 401
        assert (await give(two, pending, older)).status_code == 401
        site.clock.move(minutes=0.5)
        assert (await give(two, pending, code_at(secret, site.clock.now_ms()))).status_code == 303
        assert (await give(two, pending, code_at(secret, site.clock.now_ms() + STEP_MS))).status_code == 401
    await browser.aclose()


async def test_a_recovery_code_opens_once_and_is_kept_as_a_digest(site: Installation) -> None:
    """Each stands in for the phone one time, with or without its dashes; the audit tells of it."""
    browser = await site.browser()
    _, codes = await enrol(site, browser)
    with site.store.engine.connect() as conn:
        kept = str(conn.execute(select(recovery_codes)).all())
    assert not any(code in kept or code.replace("-", "") in kept for code in codes)
    async with site.client() as other:
        assert (await give(other, await pass_word(other, "operator"), codes[0])).status_code == 303
        other.cookies.clear()
        assert (await give(other, await pass_word(other, "operator"), codes[0])).status_code == 401
        assert (await give(other, await pass_word(other, "operator"), codes[1].replace("-", " "))).status_code == 303
    assert site.accounts.second_factor.codes_left("operator") == 8
    assert ("user:operator", "use_recovery_code", "user/operator", "ok") in audited(site)
    await browser.aclose()


async def test_wrong_codes_lock_and_the_right_password_between_them_does_not_help(site: Installation) -> None:
    """Five wrong codes shut the account for 30 minutes, to the right code too (8.1.4.1 b)."""
    browser = await site.browser()
    secret, _ = await enrol(site, browser)
    async with site.client() as other:
        for _ in range(5):
            assert (await give(other, await pass_word(other, "operator"), "12345")).status_code == 401
        locked = await other.post("/login", data={"name": "operator", "password": PASSWORD})
        assert locked.status_code == 429
        site.clock.move(minutes=31)
        pending = await pass_word(other, "operator")
        assert (await give(other, pending, code_at(secret, site.clock.now_ms()))).status_code == 303
    assert audited(site).count(("user:operator", "sign_in", "user/operator", "wrong_code")) == 5
    await browser.aclose()


async def test_a_pending_sign_in_ends(site: Installation) -> None:
    """After five minutes, or once the account is disabled, the right code opens nothing; nor does a made-up secret."""
    browser = await site.browser()
    secret, _ = await enrol(site, browser)
    root = next(user for user in site.accounts.users() if user.name == "root")
    async with site.client() as other:
        late = await pass_word(other, "operator")
        site.clock.move(minutes=5)
        assert (await give(other, late, code_at(secret, site.clock.now_ms()))).status_code == 401
        assert (await give(other, "made-up", code_at(secret, site.clock.now_ms()))).status_code == 401
        pending = await pass_word(other, "operator")
        site.accounts.change_user("operator", role="operator", enabled=False, by=root)
        assert (await give(other, pending, code_at(secret, site.clock.now_ms()))).status_code == 401
    await browser.aclose()


async def test_an_administrator_resets_a_lost_factor(site: Installation) -> None:
    """Sessions end, the password signs in again, the audit names who did it; others may not do it."""
    browser, admin = await site.browser(), await site.browser("admin")
    await enrol(site, browser)
    own = await browser.get(PAGE)
    forbidden = await browser.post("/users/admin/second-factor/reset", data={"csrf": csrf_in(own.text)})
    assert forbidden.status_code == 403
    done = await submit(admin, "/users", "/users/operator/second-factor/reset")
    assert done.headers["location"] == "/users?said=second_factor_reset"
    assert (await browser.get("/")).status_code == 303
    assert ("user:admin", "reset_second_factor", "user/operator", "ok") in audited(site)
    await (await site.browser()).aclose()
    await browser.aclose()
    await admin.aclose()


async def test_renewing_and_turning_off_want_a_code(site: Installation) -> None:
    """An open browser alone takes nobody's factor away; new recovery codes void the old."""
    browser = await site.browser()
    _, codes = await enrol(site, browser)
    for action in ("renew", "remove"):
        assert (await submit(browser, PAGE, f"{PAGE}/{action}", code="12345")).status_code == 400
    renewed = await submit(browser, PAGE, f"{PAGE}/renew", code=codes[0])
    fresh = re.findall(r"<li><code>([a-z2-7-]+)</code></li>", renewed.text)
    assert len(fresh) == 10
    assert not set(fresh) & set(codes)
    assert (await submit(browser, PAGE, f"{PAGE}/remove", code=codes[1])).status_code == 400
    assert (await submit(browser, PAGE, f"{PAGE}/remove", code=fresh[0])).status_code == 303
    await (await site.browser()).aclose()
    done = [action for _, action, _, _ in audited(site)]
    assert {"enrol_second_factor", "renew_recovery_codes", "remove_second_factor"} <= set(done)
    await browser.aclose()


async def test_enrolling_ends_the_sessions_that_a_password_alone_opened(site: Installation) -> None:
    """Only the browser that enrolled stays."""
    first, second = await site.browser(), await site.browser()
    await enrol(site, first)
    assert (await first.get("/")).status_code == 200
    assert (await second.get("/")).status_code == 303
    await first.aclose()
    await second.aclose()


@pytest.mark.parametrize(("role", "confined"), [("operator", True), ("viewer", False)])
async def test_a_role_that_must_enrol_signs_in_and_does_that_first(
    strict: Installation, role: Role, confined: bool
) -> None:
    """`server.second_factor_for`: existing accounts are not shut out, but reach nothing else before (8.1.4.1 d)."""
    browser = await strict.browser(role)
    for path in ("/", "/ledger", "/account"):
        answer = await browser.get(path)
        assert (answer.status_code == 303) == confined
    if confined:
        assert (await browser.get("/api/v1/incidents")).status_code == 401
        assert (await browser.get("/login")).headers["location"] == PAGE
        await enrol(strict, browser)
        assert (await browser.get("/")).status_code == 200
    await browser.aclose()


async def test_who_must_enrol_can_leave_instead(strict: Installation) -> None:
    """Signing out works before enrolling."""
    browser = await strict.browser()
    assert (await submit(browser, PAGE, "/logout")).status_code == 303
    await browser.aclose()


async def test_a_change_of_the_password_voids_pending_sign_ins(site: Installation) -> None:
    """Who changes a stolen password also stops the thief who is at the second step."""
    add_account(site, "li", "operator")
    session = site.accounts.sign_in("li", PASSWORD)
    secret = site.accounts.second_factor.begin("li")
    keep: dict[str, Any] = {"keep": ""}
    site.accounts.second_factor.confirm("li", code_at(secret, site.clock.now_ms()), **keep)
    async with site.client() as thief:
        pending = await pass_word(thief, "li")
        site.clock.move(minutes=1)
        site.accounts.change_password(session, PASSWORD, "Another-horse-10")
        assert (await give(thief, pending, code_at(secret, site.clock.now_ms()))).status_code == 401
