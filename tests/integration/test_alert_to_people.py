"""The main job on real input: Prometheus → Alertmanager → Tocsin → incident → people → resolved, and the books."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from schemas.records import Received
from tests.peers.dingtalk import DingTalkPeer
from tests.peers.smtp import SmtpPeer
from tests.servers.process import eventually
from tests.servers.prometheus import Alertmanager, Exporter, Prometheus
from tests.servers.tocsin import SOURCES, Tocsin

SECRET = "SEC0123456789"


@asynccontextmanager
async def watched(folder: Path, tocsin: Tocsin) -> AsyncIterator[Exporter]:
    """A program that a real Prometheus watches, whose alerts a real Alertmanager brings to `tocsin`."""
    token = SOURCES["alertmanager"]["token"]
    async with (
        Exporter() as exporter,
        Alertmanager(folder / "alertmanager", hook=f"{tocsin.url}/hooks/alertmanager", token=token) as alertmanager,
        Prometheus(
            folder / "prometheus",
            target=exporter.port,
            receiver={"static_configs": [{"targets": [f"127.0.0.1:{alertmanager.port}"]}]},
        ),
    ):
        yield exporter


def channels(robot: DingTalkPeer, mail: SmtpPeer) -> dict[str, Any]:
    """Both peers as channels of tocsin.yaml."""
    return {
        "robot": {"type": "dingtalk", "token": robot.token, "secret": SECRET, "base_url": robot.url},
        "mail": {
            "type": "email", "host": "127.0.0.1", "port": mail.port, "sender": "tocsin@example.com",
            "to": ["on-call@example.com"],
        },
    }  # fmt: skip


async def succeeded(tocsin: Tocsin, count: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Deliveries and channels, once so many deliveries are recorded as done: the message itself arrives before that."""

    async def look() -> dict[str, Any] | None:
        answer: dict[str, Any] = await tocsin.api("/deliveries")
        done = sum(one["state"] == "succeeded" for one in answer["deliveries"])
        return answer if done >= count else None

    found = await eventually(look, f"{count} deliveries to be recorded")
    assert found is not None
    return found["deliveries"], found["channels"]


async def assert_books_balance(tocsin: Tocsin) -> None:
    """The alerts in the journalled bodies, counted here, are the ledger's; and the journal gives the log again."""
    with tocsin.store() as store:
        bodies = [record.body for _, record in store.journal() if isinstance(record, Received)]
    received = sum(len(msgspec.json.decode(body)["alerts"]) for body in bodies)
    ledger = (await tocsin.api("/ledger"))["now"]
    assert received == sum(sum(page.values()) for page in ledger.values()) > 0
    verified = await tocsin.cli("log", "verify", "--decide-again")
    assert verified.code == 0, verified
    assert f"{received} alerts received, each with one disposition" in verified.out


async def test_a_fault_reaches_people_once_and_its_end_too(tmp_path: Path) -> None:
    """A fault pages robot and mailbox once each; acknowledged and healed, the incident resolves and both are told."""
    async with DingTalkPeer(secret=SECRET) as robot, SmtpPeer() as mail:
        rules = {
            "language": "en",
            "receivers": {"on-call": {"channels": ["robot"]}, "office": {"channels": ["mail"]}},
            "routes": [{"receiver": "on-call", "also": True}, {"receiver": "office"}],
        }
        async with Tocsin(tmp_path, channels=channels(robot, mail), rules=rules) as tocsin:
            await tocsin.token()
            async with watched(tmp_path, tocsin) as exporter:
                exporter.broken = True
                incident = await tocsin.incident(state="triggered")
                assert (incident["service"], incident["severity"]) == ("checkout", "critical")
                await eventually(lambda: robot.messages and mail.messages, "a page on both channels")

                command = {"type": "acknowledge", "incident": incident["incident"]}
                answer = await tocsin.api("/commands", command, key="seen")
                assert answer["events"][0]["type"] == "incident_acknowledged"
                assert (await tocsin.api("/commands", command, key="seen"))["events"] == []
                await tocsin.incident(state="acknowledged")

                exporter.broken = False
                await tocsin.incident(state="resolved")
                told = eventually(lambda: len(robot.messages) == len(mail.messages) == 2, "the all-clear")
                await told
            await assert_books_balance(tocsin)
            deliveries, _ = await succeeded(tocsin, 4)
    assert sorted((one["kind"], one["channel"], one["state"]) for one in deliveries) == [
        ("opened", "mail", "succeeded"),
        ("opened", "robot", "succeeded"),
        ("resolved", "mail", "succeeded"),
        ("resolved", "robot", "succeeded"),
    ]
    page, all_clear = (message["markdown"]["title"] for message in robot.messages)
    assert "Nobody can pay" in page
    assert page != all_clear
    subjects = [message["Subject"] for message in mail.messages]
    assert incident["incident"] in subjects[0]
    assert re.search("resolved", subjects[1], re.IGNORECASE), subjects
    assert len({message["Message-ID"] for message in mail.messages}) == 2


async def test_when_the_robot_refuses_the_mailbox_is_told(tmp_path: Path) -> None:
    """DingTalk answers every message with an errcode: the page goes on to e-mail, once, and the log says why."""
    async with DingTalkPeer("refuse", secret=SECRET) as robot, SmtpPeer() as mail:
        rules = {
            "language": "en",
            "receivers": {"on-call": {"channels": ["robot", "mail"]}},
            "routes": [{"receiver": "on-call"}],
        }
        async with Tocsin(tmp_path, channels=channels(robot, mail), rules=rules) as tocsin:
            await tocsin.token()
            async with watched(tmp_path, tocsin) as exporter:
                exporter.broken = True
                await tocsin.incident(state="triggered")
                await eventually(lambda: mail.messages, "the page by e-mail")
                exporter.broken = False
                await tocsin.incident(state="resolved")
                await eventually(lambda: len(mail.messages) == 2, "the all-clear by e-mail")
            await assert_books_balance(tocsin)
            deliveries, channels_ = await succeeded(tocsin, 2)
    assert [(one["channel"], one["state"]) for one in deliveries] == [("mail", "succeeded")] * 2
    health = {channel["channel"]: channel for channel in channels_}
    assert health["robot"]["failed"] == len(robot.bodies) == 2
    assert "310000" in health["robot"]["last_failure_reason"] or "签名" in health["robot"]["last_failure_reason"]
    assert health["mail"]["succeeded"] == 2
