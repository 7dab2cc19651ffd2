"""Who may come in: first run, sign-in, lock-out, expiry, forms from elsewhere, roles."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import select

from tests.integration.web_site import PASSWORD, Installation, add_account, csrf_in, running, submit
from web.account_tables import audit, sessions, setup_tokens, users
from web.accounts import AccountRefused, check_password_rules
from web.signin import local_path


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Installation]:
    """A Tocsin that nobody has set up yet."""
    async with running(tmp_path) as site:
        yield site


def audited(site: Installation) -> list[tuple[str, str, str]]:
    """(actor, action, result) of everything in the audit."""
    with site.store.engine.connect() as conn:
        return [tuple(row) for row in conn.execute(select(audit.c.actor, audit.c.action, audit.c.result))]


async def test_the_first_run_link_makes_one_administrator_and_no_second(site: Installation) -> None:
    """The set-up token works once; afterwards neither it nor a new one opens the page (R13)."""
    token = site.accounts.first_run_token()
    async with site.client() as browser:
        assert (await browser.get("/setup?token=wrong")).status_code == 404
        shown = await browser.get(f"/setup?token={token}")
        assert shown.status_code == 200
        weak = await browser.post("/setup", data={"token": token, "name": "li", "password": "short"})
        assert weak.status_code == 400
        made = await browser.post("/setup", data={"token": token, "name": "li", "password": PASSWORD})
        assert (made.status_code, made.headers["location"]) == (303, "/")
        assert (await browser.get("/")).status_code == 200
        again = await browser.post("/setup", data={"token": token, "name": "eve", "password": PASSWORD})
        assert again.status_code == 404
    assert site.accounts.first_run_token() is None
    assert [(user.name, user.role) for user in site.accounts.users()] == [("li", "admin")]


async def test_a_newer_first_run_token_voids_the_older_and_a_day_voids_it(site: Installation) -> None:
    """Only the link printed last works, and only for 24 hours."""
    old, new = site.accounts.first_run_token(), site.accounts.first_run_token()
    assert old
    assert new
    assert not site.accounts.awaits_set_up(old)
    assert site.accounts.awaits_set_up(new)
    site.clock.move(hours=24)
    assert not site.accounts.awaits_set_up(new)


async def test_secrets_are_stored_as_digests_only(site: Installation) -> None:
    """Neither password nor session, set-up or API token stands in the database (R13)."""
    browser = await site.browser()
    operator = next(user for user in site.accounts.users() if user.name == "operator")
    token = site.accounts.issue_api_token(operator, "ci")
    cookie = browser.cookies["tocsin_session"]
    with site.store.engine.connect() as conn:
        kept = str([*conn.execute(select(users)), *conn.execute(select(sessions)), *conn.execute(select(setup_tokens))])
    assert "$argon2id$" in kept
    assert not any(secret in kept for secret in (PASSWORD, cookie, token))
    await browser.aclose()


async def test_five_wrong_passwords_lock_the_name_for_half_an_hour(site: Installation) -> None:
    """After 5 failures within 15 minutes even the right password is refused, for 30 minutes (GB/T 22239 8.1.4.1 b)."""
    add_account(site, "li", "operator")
    async with site.client() as browser:
        for _ in range(5):
            wrong = await browser.post("/login", data={"name": "li", "password": "nope"})
            assert wrong.status_code == 401
        right = {"name": "li", "password": PASSWORD}
        assert (await browser.post("/login", data=right)).status_code == 429
        site.clock.move(minutes=29)
        assert (await browser.post("/login", data=right)).status_code == 429
        site.clock.move(minutes=2)
        assert (await browser.post("/login", data=right)).status_code == 303
    assert ("user:li", "sign_in", "locked") in audited(site)


async def test_failures_spread_over_time_do_not_lock(site: Installation) -> None:
    """Four mistakes an hour are human."""
    add_account(site, "li", "operator")
    async with site.client() as browser:
        for _ in range(9):
            await browser.post("/login", data={"name": "li", "password": "nope"})
            site.clock.move(minutes=5)
        assert (await browser.post("/login", data={"name": "li", "password": PASSWORD})).status_code == 303


async def test_an_unknown_name_looks_like_a_wrong_password(site: Installation) -> None:
    """Nobody learns from the answer which names exist; locking happens for both."""
    add_account(site, "li", "operator")
    async with site.client() as browser:
        known = await browser.post("/login", data={"name": "li", "password": "nope"})
        unknown = await browser.post("/login", data={"name": "xx", "password": "nope"})
        assert known.status_code == unknown.status_code == 401
        assert known.text.replace('"li"', '"xx"') == unknown.text
        for _ in range(4):
            await browser.post("/login", data={"name": "xx", "password": "nope"})
        assert (await browser.post("/login", data={"name": "xx", "password": "nope"})).status_code == 429


async def test_an_idle_session_ends_and_live_updates_do_not_keep_it(site: Installation) -> None:
    """30 minutes without a person end a session, though its open page refreshes itself; use prolongs it (8.1.4.1 b)."""
    browser = await site.browser()
    for _ in range(3):
        site.clock.move(minutes=20)
        assert (await browser.get("/")).status_code == 200
    for _ in range(3):
        site.clock.move(minutes=9)
        assert (await browser.get("/", headers={"HX-Request": "true"})).status_code == 200
    site.clock.move(minutes=4)
    gone = await browser.get("/", headers={"HX-Request": "true"})
    assert (gone.status_code, gone.headers["hx-redirect"]) == (401, "/login")
    assert (await browser.get("/incidents/INC-1?said=x")).headers[
        "location"
    ] == "/login?next=/incidents/INC-1%3Fsaid%3Dx"
    await browser.aclose()


async def test_a_session_ends_after_its_hours_however_busy(site: Installation) -> None:
    """`server.session_hours` is the longest a session lives."""
    browser = await site.browser()
    for _ in range(12 * 4 - 1):
        site.clock.move(minutes=15)
        assert (await browser.get("/account")).status_code == 200
    site.clock.move(minutes=15)
    assert (await browser.get("/account")).status_code == 303
    await browser.aclose()


async def test_signing_out_ends_the_session_at_the_server(site: Installation) -> None:
    """The old cookie opens nothing after signing out."""
    browser = await site.browser()
    cookie = browser.cookies["tocsin_session"]
    assert (await submit(browser, "/", "/logout")).status_code == 303
    async with site.client() as thief:
        thief.cookies.set("tocsin_session", cookie)
        assert (await thief.get("/")).headers["location"] == "/login"
    assert ("user:operator", "sign_out", "ok") in audited(site)
    await browser.aclose()


async def test_changing_the_password_ends_other_sessions(site: Installation) -> None:
    """Whoever sits at another browser is out; the present one stays."""
    here, there = await site.browser(), await site.browser()
    wrong = await submit(here, "/account", "/account/password", old="nope", new="Another-horse-7")
    assert wrong.status_code == 400
    done = await submit(here, "/account", "/account/password", old=PASSWORD, new="Another-horse-7")
    assert done.status_code == 303
    assert (await here.get("/")).status_code == 200
    assert (await there.get("/")).status_code == 303
    for browser in (here, there):
        await browser.aclose()


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
    ],
)
async def test_a_form_from_another_site_is_refused(site: Installation, headers: dict[str, str]) -> None:
    """Even with a valid token: what the browser says about the origin decides."""
    await site.fire({"alertname": "A", "service": "s"})
    browser = await site.browser()
    csrf = csrf_in((await browser.get("/incidents/INC-1")).text)
    answer = await browser.post("/incidents/INC-1/acknowledge", data={"csrf": csrf}, headers=headers)
    assert answer.status_code == 403
    login = await browser.post("/login", data={"name": "operator", "password": PASSWORD}, headers=headers)
    assert login.status_code == 403
    await browser.aclose()


async def test_a_form_without_its_session_s_token_is_refused(site: Installation) -> None:
    """No token, a made-up one, or that of another session: 403, and nothing happens."""
    await site.fire({"alertname": "A", "service": "s"})
    browser, other = await site.browser(), await site.browser("manager")
    foreign = csrf_in((await other.get("/")).text)
    for csrf in ("", "0" * 64, "错", foreign):
        answer = await browser.post("/incidents/INC-1/acknowledge", data={"csrf": csrf})
        assert answer.status_code == 403
    assert "待响应" in (await browser.get("/incidents/INC-1")).text
    for one in (browser, other):
        await one.aclose()


async def test_roles_bound_what_may_be_done(site: Installation) -> None:
    """A viewer reads and is offered no action; only an administrator sees users (R13)."""
    await site.fire({"alertname": "A", "service": "s"})
    viewer, operator, admin = [await site.browser(role) for role in ("viewer", "operator", "admin")]
    shown = await viewer.get("/incidents/INC-1")
    assert "/acknowledge" not in shown.text
    refused = await viewer.post("/incidents/INC-1/acknowledge", data={"csrf": csrf_in(shown.text)})
    assert refused.status_code == 403
    assert (await operator.get("/users")).status_code == 403
    assert (await admin.get("/users")).status_code == 200
    added = await submit(admin, "/users", "/users", name="wang", password=PASSWORD, role="manager")
    assert added.headers["location"] == "/users?said=user_added"
    disabled = await submit(admin, "/users", "/users/operator", role="operator", enabled="no")
    assert disabled.headers["location"] == "/users?said=user_changed"
    assert (await operator.get("/")).status_code == 303
    for one in (viewer, operator, admin):
        await one.aclose()


async def test_a_person_sees_and_revokes_their_own_tokens(site: Installation) -> None:
    """The account page lists one's tokens without the secret; a revoked one is refused at once, on the record (R13)."""
    browser, other = await site.browser("operator"), await site.browser("viewer")
    issued = (await submit(browser, "/account", "/account/tokens", label="nightly <b>report")).text
    token = re.findall(r'id="issued">([^<]+)<', issued)[0]
    shown = (await browser.get("/account")).text
    assert "nightly &lt;b&gt;report" in shown
    assert token not in shown
    (revoke,) = re.findall(r'action="(/account/tokens/[^"]+/revoke)"', shown)
    assert "/revoke" not in (await other.get("/account")).text
    by_another = await other.post(revoke, data={"csrf": csrf_in((await other.get("/account")).text)})
    assert by_another.headers["location"] == "/account?said=unchanged"
    async with site.client(token=token) as program:
        assert (await program.get("/api/v1/incidents")).status_code == 200
        answer = await submit(browser, "/account", revoke)
        assert answer.headers["location"] == "/account?said=token_revoked"
        assert (await program.get("/api/v1/incidents")).status_code == 401
    assert ("user:operator", "revoke_api_token", "ok") in audited(site)
    await browser.aclose()
    await other.aclose()


async def test_the_language_goes_with_the_person(site: Installation) -> None:
    """Who chose English reads English after signing in elsewhere; others keep the installation's language."""
    browser = await site.browser("operator")
    await browser.post("/language", data={"language": "en", "next": "/account"})
    await browser.post("/language", data={"language": "tlh", "next": "/account"})
    elsewhere, colleague = await site.browser("operator"), await site.browser("viewer")
    assert '<html lang="en">' in (await elsewhere.get("/")).text
    assert '<html lang="zh-CN">' in (await colleague.get("/")).text
    for one in (browser, elsewhere, colleague):
        await one.aclose()


async def test_an_administrator_cannot_take_their_own_role(site: Installation) -> None:
    """So that there is always one left."""
    add_account(site, "li", "operator")
    root = next(user for user in site.accounts.users() if user.name == "root")
    with pytest.raises(AccountRefused, match="not_yourself"):
        site.accounts.change_user("root", role="viewer", enabled=True, by=root)


async def test_cookies_are_bound_to_host_and_tls_behind_a_proxy(tmp_path: Path) -> None:
    """Over TLS the cookie is `__Host-`, Secure, HttpOnly, SameSite=Lax; HSTS is announced."""
    async with running(tmp_path, server={"behind_tls_proxy": True}) as site:
        add_account(site, "li", "operator")
        async with site.client() as browser:
            answer = await browser.post("/login", data={"name": "li", "password": PASSWORD})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-tocsin=")
    for attribute in ("Secure", "HttpOnly", "SameSite=lax", "Path=/"):
        assert attribute in cookie
    assert "Domain" not in cookie
    assert answer.headers["strict-transport-security"]


@pytest.mark.parametrize(
    "wish", ["//evil.example", "/\\evil", "http://evil", "javascript:x", "", "/a\r\nb", "/\t/evil"]
)
def test_signing_in_leads_to_no_other_site(wish: str) -> None:
    """`next` is a path of ours or it is ignored."""
    assert local_path(wish) == "/"


@pytest.mark.parametrize(
    "password", ["short-A1", "alllowercase1", "li-Li-li-1234", "aaaaaaaaaaaaaaaaaaaa", "A1-" * 100]
)
def test_weak_passwords_are_refused(password: str) -> None:
    """Too short, too plain, too long, or with the name inside (8.1.4.1 a)."""
    with pytest.raises(AccountRefused, match="weak_password"):
        check_password_rules("li", password)
