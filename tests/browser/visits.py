"""Browser contexts as people have them: a device, a language, a colour scheme, signed in or not."""

from __future__ import annotations

from typing import Any, Self

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, StorageState, expect

from tests.integration.web_site import PASSWORD
from tests.servers.tocsin import Tocsin

DESK, PHONE = "desk", "phone"
DEVICES: dict[str, dict[str, Any]] = {
    DESK: {"viewport": {"width": 1280, "height": 800}},
    PHONE: {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
}
CHROMIUM_ARGUMENTS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]  # fmt: skip
PATIENCE_MS = 120_000
"""How long a page may take to show what is expected of it: the machine may be busy with other things."""
expect.set_options(timeout=PATIENCE_MS)
LANGUAGE_COOKIE = "tocsin_lang"
_ON_VIOLATION = """document.addEventListener('securitypolicyviolation', event =>
    console.error('CSP', event.violatedDirective, event.blockedURI))"""

_signed_in: dict[tuple[str, str], StorageState] = {}
"""Cookies of those who have signed in already, by site and name: argon2 is slow on purpose."""


class Visits:
    """Opens pages and keeps what they complained of: errors, warnings, broken policies, requests to other hosts."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self.complaints: list[str] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, failed: type[BaseException] | None, *_: object) -> None:
        for context in self._contexts:
            await context.close()
        assert failed is not None or self.complaints == []

    async def open(
        self, tocsin: Tocsin, device: str, path: str = "/", *, who: str = "root", language: str = "en", **options: Any
    ) -> Page:
        """A page in a fresh context; `who` is signed in, or nobody if empty. `options` are those of the context."""
        state = await self._state_of(tocsin, who) if who else None
        page = await self._page(device, storage_state=state, base_url=tocsin.url, **options)
        if language:
            await page.context.add_cookies([{"name": LANGUAGE_COOKIE, "value": language, "url": tocsin.url}])
        await page.goto(path)
        return page

    async def _state_of(self, tocsin: Tocsin, who: str) -> StorageState:
        if (tocsin.url, who) not in _signed_in:
            page = await self._page(DESK, base_url=tocsin.url)
            await page.goto("/login")
            await sign_in(page, who)
            await expect(page.locator("header nav.desk a[href='/account']")).to_have_attribute("title", who)
            _signed_in[tocsin.url, who] = await page.context.storage_state()
        return _signed_in[tocsin.url, who]

    async def _page(self, device: str, **options: Any) -> Page:
        context = await self._browser.new_context(**DEVICES[device], **options)
        context.set_default_timeout(PATIENCE_MS)
        self._contexts.append(context)
        if options.get("java_script_enabled", True):
            await context.add_init_script(_ON_VIOLATION)
        page = await context.new_page()
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._see)
        return page

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _see(self, request: Request) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "data:")):
            self.complaints.append(f"asked for {request.url}")


async def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    """Fill in the form and send it."""
    await page.locator("#name").fill(name)
    await page.locator("#password").fill(password)
    await page.locator("main form button").click()
