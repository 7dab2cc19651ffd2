"""A Tocsin that crashes and outages are tried on, and the one list of what must hold after them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from projections.ledger import balance
from schemas import events as e
from tests.integration import crash_books as books
from tests.integration.crash_load import Load
from tests.peers.smtp import SmtpPeer
from tests.servers.process import eventually
from tests.servers.tocsin import Tocsin


class SlowSmtp(SmtpPeer):
    """Thinks for a moment after it has taken a message, so that many a kill comes between message and answer."""

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Take the message, then answer after up to 60 ms."""
        answer = await super().handle_DATA(server, session, envelope)
        await asyncio.sleep(random.uniform(0, 0.06))
        return answer


def installation(folder: Path, mail: SmtpPeer, database: str | None = None) -> Tocsin:
    """A Tocsin whose clocks, roll-ups and snapshots come often, so that kills meet all of them."""
    day = 86_400
    rules: dict[str, Any] = {
        "language": "en",
        "grouping": {"by": ["service"], "reorder_window_s": day},
        "receivers": {"on-call": {"channels": ["mail"]}},
        "routes": [{"receiver": "on-call", "priorities": ["P1", "P2"]}],
        "sla": {priority: {"response_s": 3, "resolution_s": 3600} for priority in ("P1", "P2", "P3", "P4")},
        "expiry_s": {"alertmanager_webhook": day, "alertmanager_v2": day, "generic_json": day},
        "resolved_kept_s": day,
        "rollup_s": 1,
    }
    channel = {"type": "email", "host": "127.0.0.1", "port": mail.port, "sender": "tocsin@example.com"}
    channels = {"mail": {**channel, "to": ["on-call@example.com"]}}
    return Tocsin(folder, database, channels=channels, rules=rules, store={"snapshot_every": 400})


async def settle(tocsin: Tocsin) -> None:
    """Wait until every delivery has its end, no clock is left that could order another, and the ledger is complete."""

    def look() -> bool:
        with tocsin.store() as store:
            log = books.events_of(store)
            received = sum(page.total() for page in books.recount(books.bodies_of(store)).values())
            with store.engine.connect() as connection:
                rolled_up = balance(connection).received
        asked = sum(isinstance(one.event.data, e.DeliveryRequested) for one in log)
        ended = sum(isinstance(one.event.data, books.ENDS) for one in log)
        return asked == ended and received == rolled_up and not _running(log)

    await eventually(lambda: asyncio.to_thread(look), "deliveries and ledger to settle", every_s=1)


def _running(log: Sequence[e.LoggedEvent]) -> set[str]:
    """The incidents whose response clock may still be breached, which pages somebody."""
    running: set[str] = set()
    for logged in log:
        data = logged.event.data
        if isinstance(data, e.SlaClockStarted) and data.clock == "response":
            running.add(data.incident)
        elif isinstance(data, e.SlaClockStopped | e.SlaClockBreached) and data.clock == "response":
            running.discard(data.incident)
    return running


async def check_everything(tocsin: Tocsin, load: Load, mail: SmtpPeer) -> books.Found:
    """All that must hold, on a Tocsin that has settled and was ended in order; the figures."""
    assert await tocsin.terminate() == 0, tocsin.process.tail()
    assert load.surprises == []
    verified = await tocsin.cli("log", "verify", "--decide-again")
    assert verified.code == 0, verified
    found = books.Found()
    with tocsin.store() as store:
        log, bodies = books.events_of(store), books.bodies_of(store)
        books.check_requests(load, bodies, found)
        books.check_commands(load, log, found)
        books.check_books(store, bodies, log)
    books.check_pages(log, mail.messages, found)
    books.check_read_models(tocsin)
    found.events = len(log)
    return found
