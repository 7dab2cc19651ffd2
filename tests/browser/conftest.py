"""One server and one Chromium for all browser tests; each page lives in a fresh context and must behave."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from tests.browser.history import do_harm, sections, write_history
from tests.browser.visits import CHROMIUM_ARGUMENTS, DESK, PHONE, Visits
from tests.peers.smtp import SmtpPeer
from tests.servers import require
from tests.servers.tocsin import Tocsin


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def chromium() -> AsyncIterator[Browser]:
    """Debian's Chromium, headless, with a profile of its own."""
    async with async_playwright() as playwright:
        path = require("chromium")
        browser = await playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def tocsin(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Tocsin]:
    """A server with history, accounts, a mail server that takes everything, and alerts that mean harm."""
    folder = tmp_path_factory.mktemp("served")
    async with SmtpPeer() as smtp:
        await write_history(folder, sections(smtp.port))
        async with Tocsin(folder, **sections(smtp.port)) as server:
            await do_harm(server)
            yield server


@pytest_asyncio.fixture(loop_scope="package")
async def fresh(tmp_path: Path) -> AsyncIterator[Tocsin]:
    """A server that has just been installed: nobody has an account."""
    async with Tocsin(tmp_path, **sections(smtp_port=9)) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="package")
async def visits(chromium: Browser) -> AsyncIterator[Visits]:
    """Opens pages; in the end none may have complained, or asked another host for anything."""
    async with Visits(chromium) as opened:
        yield opened


@pytest.fixture(params=[DESK, PHONE])
def device(request: pytest.FixtureRequest) -> str:
    """The device that a test runs on, each in turn."""
    return str(request.param)
