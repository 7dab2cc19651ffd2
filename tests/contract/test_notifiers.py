"""One contract for every channel: each fault a vendor can show, through real sockets, and what must become of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from email.message import EmailMessage
from typing import get_args

import pytest

from notifiers.registry import MAKERS
from schemas.channels import Channel
from schemas.deliveries import Receipt
from schemas.errors import DeliveryError
from tests.channel_rigs import (
    FAULTS,
    MOBILE,
    NO_SUCH_FAULT,
    PAIRS,
    RIGS,
    SECRET,
    SHORT_SECRET,
    TOKEN,
    Fault,
    Rig,
    meet,
    notice,
    outcome,
)  # fmt: skip
from tests.channel_table import PAGE, shown
from tests.peers.aliyun import AliyunPeer
from tests.peers.smpp import Submitted
from tests.peers.tencent import TencentPeer


@pytest.fixture(params=RIGS)
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    """Each channel in turn, with its peer running."""
    async with RIGS[request.param]() as made:
        yield made


def test_no_type_of_channel_is_left_out() -> None:
    """Each type in the configuration has a notifier, and a rig in which it meets every fault."""
    types = set(get_args(get_args(Channel)[0]))
    assert types == set(MAKERS)
    named = {one.model_fields["type"].default for one in types} - {"apprise"}
    assert named <= set(RIGS)
    assert set(NO_SUCH_FAULT).isdisjoint(PAIRS)
    assert {(name, fault) for name in RIGS for fault in FAULTS} == set(PAIRS) | set(NO_SUCH_FAULT)


@pytest.mark.parametrize(("name", "fault"), PAIRS)
async def test_every_fault_has_its_outcome(name: str, fault: Fault) -> None:
    """R1.8: each channel calls each fault by its right name, sends once, names no secret; docs/channels.md says so."""
    became, expected, evidence, peer = await meet(name, fault)
    assert became == expected, evidence
    for secret in (TOKEN, SECRET, SHORT_SECRET, MOBILE):
        assert secret not in repr(evidence)
    requests = len(peer.bodies) if hasattr(peer, "bodies") else len(peer.messages)
    assert requests <= 1  # trying again is the core's business
    if became == "ok":
        assert isinstance(evidence, Receipt)
        assert evidence.vendor_code
        assert len(peer.messages) == 1
    assert shown(PAGE.read_text("utf-8"))[name][fault] == became, "run: .venv/bin/python -m tests.channel_table"


def test_the_page_shows_every_channel_and_why_pairs_are_missing() -> None:
    """The table in docs/channels.md has a row for each channel, a column for each fault, and no empty cell."""
    rows = shown(PAGE.read_text("utf-8"))
    assert list(rows) == list(RIGS)
    for name, row in rows.items():
        assert tuple(row) == FAULTS
        for fault, word in row.items():
            assert (word == "–") == ((name, fault) in NO_SUCH_FAULT)


@pytest.mark.parametrize(
    ("name", "wait_s"),
    [("dingtalk", 600), ("dingtalk plugin", 600), ("wecom", 60), ("wecom_app", 60), ("feishu", 60),
     ("aliyun_sms", 60), ("aliyun_voice", 60), ("tencent_sms", 30), ("tencent_voice", 30)],
)  # fmt: skip
async def test_the_vendors_wish_to_wait_is_passed_on(name: str, wait_s: int) -> None:
    """Retry-After reaches the core as it was said; a throttled robot is left alone for as long as its vendor wants."""
    async with RIGS[name]() as rig:
        waits = []
        for mode in ("429", "throttle"):
            rig.peer.mode = mode
            _, evidence = await outcome(rig.notifier.deliver(rig.notifier.render(notice()), delivery="INC-7.1"))
            assert isinstance(evidence, DeliveryError)
            waits.append(evidence.retry_after_s)
    assert waits == [7, wait_s]


async def test_hostile_names_stay_text(rig: Rig) -> None:
    """Line breaks, half an emoji, template braces and markup in a title neither break nor steer a message."""
    hostile = notice(title="a\r\nBcc: evil@x.test\r\n\r\n{{ 7*7 }}<script>[x](http://evil.test)\ud83d\x00")
    became, evidence = await outcome(rig.notifier.deliver(rig.notifier.render(hostile), delivery="INC-7\r\nX: 1"))
    assert became == "ok", evidence
    message = rig.peer.messages[0]
    if isinstance(message, EmailMessage):
        assert "{{ 7*7 }}" in message["Subject"]
        assert not {"Bcc", "X"} & set(message.keys())
        html = message.get_body(("html",))
        assert isinstance(html, EmailMessage)
        assert "<script>" not in html.get_content()
    elif isinstance(message, Submitted):
        assert message.text.startswith("[P1 紧急] 新事件 INC-7 a Bcc: evil@x")
    elif rig.peer.__class__ in (AliyunPeer, TencentPeer):  # templates carry no title at all
        assert "evil" not in repr(message)
    else:
        assert "{{ 7*7 }}" in repr(message)
