"""The DingTalk channel as a plain Apprise user sees it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from apprise import Apprise

from notifiers.dingtalk.plugin import register
from tests.peers.dingtalk import DingTalkPeer

URL = "tocsindingtalk://SECodd%2Fsecret%2B@robot-token/13800000000/13900000000?base=http%3A%2F%2F127.0.0.1%3A9"


@pytest.fixture(autouse=True)
def registered() -> None:
    """The scheme is known to Apprise; registering it again changes nothing."""
    register()
    register()


def test_url_round_trip() -> None:
    """The URL that a plugin prints makes the same robot again; the private form shows no secret and no number."""
    first: Any = Apprise.instantiate(URL)
    again: Any = Apprise.instantiate(first.url())
    for robot in (first, again):
        assert (robot.secret, robot.token, robot.base) == ("SECodd/secret+", "robot-token", "http://127.0.0.1:9")
        assert robot.targets == ("13800000000", "13900000000")
    shown = first.url(privacy=True)
    for hidden in ("SECodd", "robot-token", "13800000000"):
        assert hidden not in shown


def test_without_a_secret() -> None:
    """A robot secured by keyword needs only its token."""
    robot: Any = Apprise.instantiate("tocsindingtalk://robot-token/")
    assert (robot.secret, robot.token, robot.base) == ("", "robot-token", "https://oapi.dingtalk.com")


@pytest.mark.parametrize(("mode", "told"), [("ok", True), ("refuse", False), ("throttle", False), ("500", False)])
async def test_apprises_answer_is_the_vendors(mode: Any, told: bool) -> None:
    """notify() is True only if the robot took the signed message, unlike Apprise's own dingtalk://."""
    async with DingTalkPeer(mode, token="robot-token", secret="SECodd/secret+") as peer:
        sender: Any = Apprise()
        assert sender.add(URL.split("?")[0] + f"?base={peer.url}")
        result = await asyncio.to_thread(sender.notify, body="text", title="title")
    assert bool(result) is told
    assert len(peer.bodies) == 1
    assert [message["markdown"]["title"] for message in peer.messages] == ["title"] * told
