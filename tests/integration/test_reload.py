"""The configuration is read again while Tocsin serves: other receivers at once, and a bad file changes nothing."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import httpx2
import yaml

from tests.peers.receivers import Receivers
from tests.servers.process import PATIENCE_S, eventually
from tests.servers.tocsin import Tocsin


def write(file: Path, port: int, receiver: str) -> None:
    """An alertmanager.yml with one receiver, told without waiting."""
    hook = {"name": receiver, "webhook_configs": [{"url": f"http://127.0.0.1:{port}/{receiver}"}]}
    route = {"receiver": receiver, "group_by": ["alertname"], "group_wait": "0s"}
    file.write_text(yaml.safe_dump({"route": route, "receivers": [hook]}))


async def fire(tocsin: Tocsin, name: str) -> None:
    """An alert of this name comes in."""
    answer = await tocsin.send("prometheus", json.dumps([{"labels": {"alertname": name}}]).encode())
    assert answer.status_code == 200, answer.text


async def test_a_reload_changes_receivers_at_once_and_a_bad_file_nothing(tmp_path: Path) -> None:
    """By /-/reload a mistake is answered with its place; by SIGHUP the new receiver is told of what still fires."""
    file = tmp_path / "alertmanager.yml"
    async with Receivers() as receivers:
        write(file, receivers.port, "old")
        options = ("--alertmanager-config", str(file))
        async with Tocsin(tmp_path / "tocsin", options=options, server={"alertmanager_api": "open"}) as tocsin:
            await fire(tocsin, "First")
            await receivers.have("old", 1)
            file.write_text("route: {receiver: nobody}\nreceivers: []\n")
            async with httpx2.AsyncClient(timeout=PATIENCE_S) as client:
                answer = await client.post(f"{tocsin.url}/-/reload")
            assert answer.status_code == 500
            assert f"{file}:1: route.receiver: no receiver named 'nobody'" in answer.text
            await fire(tocsin, "Second")
            await receivers.have("old", 2)

            write(file, receivers.port, "new")
            os.kill(tocsin.process.pid, signal.SIGHUP)
            told = await receivers.have("new", 2)
            await fire(tocsin, "Third")

            async def all_three() -> bool:
                return {one.body["groupLabels"]["alertname"] for one in told} == {"First", "Second", "Third"}

            await eventually(all_three, "the new receiver to be told of all three")
            assert len(receivers.taken["old"]) == 2
