"""A whole Tocsin behind its web application, in one process: real engine, real SQLite, a clock that tests move."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import msgspec
from fastapi import FastAPI

from engine.rules_desk import Desk
from engine.runtime.clock import Clock
from engine.runtime.embedded import EmbeddedRuntime
from engine.runtime.worker import Limits
from engine.store import Store
from notifiers.preview import previewer
from notifiers.rendering import own_version
from projections import ALL, Projector, create_tables
from schemas.config import Settings
from schemas.ports import Outcome
from sources import PARSERS
from tests.servers.process import PATIENCE_S
from web.accounts import Accounts, Role
from web.app import create_app
from web.channel_preview import use_previews
from web.desk import use_desk

PASSWORD = "Correct-horse-9"
ORIGIN = "http://tocsin.test"
CONFIG: dict[str, Any] = {
    "sources": {
        "prometheus": {"format": "alertmanager_v2", "token": "prom-secret"},
        "alertmanager": {"format": "alertmanager_webhook", "token": "am-secret"},
        "script": {"format": "generic_json"},
    },
    "channels": {"mail": {"type": "email", "host": "127.0.0.1", "sender": "t@example.com", "to": ["a@example.com"]}},
    "rules": {
        "receivers": {"oncall": {"channels": ["mail"]}},
        "routes": [{"receiver": "oncall"}],
        "language": "zh",
    },
}


class MovableClock(Clock):
    """Stands still until a test moves it on."""

    def __init__(self) -> None:
        super().__init__()
        self._latest_ms = 1_767_585_600_000

    def now_ms(self) -> int:
        """The time that the test has set."""
        return self._latest_ms

    def move(self, *, minutes: float = 0, hours: float = 0) -> None:
        """Let time pass."""
        self._latest_ms += int((minutes + hours * 60) * 60_000)


@dataclass
class Installation:
    """A running Tocsin and its parts."""

    app: FastAPI
    runtime: EmbeddedRuntime
    accounts: Accounts
    clock: MovableClock
    store: Store
    settings: Settings

    def client(self, *, token: str | None = None) -> httpx2.AsyncClient:
        """A program or an anonymous browser; with `token`, one that shows it as Bearer."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        transport = httpx2.ASGITransport(app=self.app, raise_app_exceptions=False)
        return httpx2.AsyncClient(transport=transport, base_url=ORIGIN, headers=headers)

    async def browser(self, role: Role = "operator", language: str | None = None) -> httpx2.AsyncClient:
        """A browser in which somebody of this role (named like it) has signed in."""
        if role not in [user.name for user in self.accounts.users()]:
            add_account(self, role, role)
        client = self.client()
        answer = await client.post("/login", data={"name": role, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        if language:
            client.cookies.set("tocsin_lang", language)
        return client

    async def fire(self, *alerts: dict[str, str], status: str = "firing") -> httpx2.Response:
        """Let Alertmanager's webhook bring alerts with these labels."""
        async with self.client(token="am-secret") as sender:
            answer = await sender.post("/hooks/alertmanager", content=webhook(*alerts, status=status))
        await self.runtime.caught_up()
        return answer


def add_account(site: Installation, name: str, role: Role) -> None:
    """An account with the tests' password; the first becomes through set-up, as it must."""
    if not site.accounts.users():
        token = site.accounts.first_run_token()
        assert token
        site.accounts.set_up(token, "root", PASSWORD)
    root = next(user for user in site.accounts.users() if user.name == "root")
    if name != "root":
        site.accounts.add_user(name, PASSWORD, role, by=root)


def webhook(*labels: dict[str, str], status: str = "firing") -> bytes:
    """The body of Alertmanager's webhook, version 4."""
    alerts = [
        {
            "status": status,
            "labels": one,
            "annotations": {"summary": f"{one.get('alertname')} is bad"},
            "startsAt": "2026-01-05T04:00:00Z",
            "endsAt": "0001-01-01T00:00:00Z" if status == "firing" else "2026-01-05T04:30:00Z",
            "generatorURL": "http://prometheus.example/graph?x=1",
            "fingerprint": "",
        }
        for one in labels
    ]
    return msgspec.json.encode({"version": "4", "groupKey": "{}", "status": status, "receiver": "t", "alerts": alerts})


@asynccontextmanager
async def running(folder: Path, **sections: Any) -> AsyncIterator[Installation]:
    """Start one in `folder`; `sections` replace those of CONFIG."""
    settings = Settings.model_validate(CONFIG | sections)
    store = Store.open(f"sqlite:///{folder / 'tocsin.db'}")
    models = ALL(settings.rules.timezone)
    create_tables(store.engine, models)
    projector = Projector(
        store.writing, lambda partition, after, limit: store.log(partition=partition, after=after, limit=limit), models
    )
    clock = MovableClock()
    limits = Limits(catch_up_wait_s=PATIENCE_S)  # on a busy machine, too, a page shows what was just sent
    runtime = EmbeddedRuntime(store, PARSERS, follow=projector.catch_up, clock=clock, limits=limits)
    await runtime.start()
    await runtime.configure(settings.rules.canonical(), actor="system")
    accounts = Accounts(store.engine, now_ms=clock.now_ms, writing=lambda: store.writing(durable=True))
    app = create_app(runtime, settings, store.engine, accounts)

    async def configure(body: bytes, actor: str) -> Outcome:
        return await runtime.configure(body, actor=actor)

    use_desk(app, Desk(store, settings, PARSERS, configure))
    use_previews(app, previewer(settings.channels), own_version)
    async with app.router.lifespan_context(app):
        yield Installation(app, runtime, accounts, clock, store, settings)
    await runtime.stop()
    store.close()


def csrf_in(page: str) -> str:
    """The token that the forms of a page carry."""
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', page)
    assert found, page[:500]
    return found.group(1)


async def submit(browser: httpx2.AsyncClient, page: str, action: str, **fields: str) -> httpx2.Response:
    """Open `page` and send one of its forms, as a browser without JavaScript does; not following the redirect."""
    shown = await browser.get(page)
    assert f'action="{action}"' in shown.text, f"{page} has no form for {action}"
    return await browser.post(action, data={"csrf": csrf_in(shown.text), **fields})
