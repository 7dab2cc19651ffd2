"""The database commits, and its answer is lost on the way: nobody knows, until the store can be read again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from engine.runtime.embedded import EmbeddedRuntime
from engine.runtime.recent import RecentLog
from engine.store import Entry, Store
from schemas.config import Rules
from schemas.errors import StoreUnavailable
from sources import PARSERS
from tests.servers.process import PATIENCE_S
from tests.servers.tocsin import webhook

RULES = Rules.model_validate({"receivers": {"on-call": {"channels": ["mail"]}}, "routes": [{"receiver": "on-call"}]})


class DeafStore(Store):
    """A real store that, while `deaf`, commits and then does not hear that it has."""

    deaf = False

    def append(self, entries: Sequence[Entry], *, partition: int = 0) -> None:
        """Commit; raises StoreUnavailable although it did."""
        super().append(entries, partition=partition)
        if self.deaf:
            self.deaf = False
            raise StoreUnavailable("the connection was lost after COMMIT")


async def test_a_page_is_sent_although_the_answers_to_its_commits_were_lost(tmp_path: Path) -> None:
    """The sender gets 503 and repeats; the page that the commit ordered goes out, once, without a restart."""
    store = DeafStore.open(f"sqlite:///{tmp_path / 'tocsin.db'}")
    assert isinstance(store, DeafStore)
    runtime = EmbeddedRuntime(store, PARSERS, recent=RecentLog(store))
    await runtime.start()
    await runtime.configure(RULES.canonical(), actor="system")
    body = webhook({"alertname": "Lost", "severity": "critical"})
    store.deaf = True
    with pytest.raises(StoreUnavailable):
        await runtime.receive("alertmanager", "alertmanager_webhook", body)
    again = await runtime.receive("alertmanager", "alertmanager_webhook", body)
    assert again.dispositions == {"repeated": 1}
    store.deaf = True  # of a commit that caused no event
    with pytest.raises(StoreUnavailable):
        await runtime.receive("alertmanager", "alertmanager_webhook", body)
    assert (await runtime.receive("alertmanager", "alertmanager_webhook", body)).dispositions == {"repeated": 1}

    pending = await asyncio.wait_for(anext(aiter(runtime.pending_deliveries())), PATIENCE_S)
    store.deaf = True
    with pytest.raises(StoreUnavailable):
        await runtime.attempting(pending.delivery, pending.attempt)
    assert await runtime.attempting(pending.delivery, pending.attempt), "begun on record, and never handed over"
    assert not await runtime.attempting(pending.delivery, pending.attempt), "handed over once only"
    await runtime.delivered(pending.delivery, pending.attempt, "ok")
    await runtime.stop()
    assert {"delivery_requested", "delivery_started", "delivery_succeeded"} <= {one.type for one in store.log()}
    store.close()
