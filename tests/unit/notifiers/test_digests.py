"""Several notices in one message: within the vendor's bytes, the most urgent first, nothing left unsaid."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifiers import digests
from tests.channel_rigs import RIGS, notice, outcome

DIGESTING = ["dingtalk", "wecom", "wecom_app", "feishu", "slack"]


def many(count: int, **changes: Any) -> list[Any]:
    return [
        notice(incident=f"INC-{n}", priority=f"P{1 + n % 4}", url=f"http://t.test/incidents/INC-{n}", **changes)
        for n in range(count)
    ]


def test_the_most_urgent_come_first_and_each_incident_once() -> None:
    """By priority, then in order; an incident that was opened and resolved is told of as it stands."""
    told = [*many(3), notice(incident="INC-1", priority="P2", kind="resolved", state="resolved", url="")]
    lines = digests.text(told, 10_000, markdown=False).splitlines()
    assert [line.split(" ")[0] for line in lines] == ["[P1", "[P2", "[P3"]
    assert "已恢复 INC-1" in lines[1]
    assert digests.title(told) == "警钟：3 个事件有新消息"


@given(st.integers(1, 300), st.integers(300, 5_000), st.sampled_from(["警" * 200, "[a](b)" * 20, "x"]), st.booleans())
def test_what_does_not_fit_is_counted(count: int, limit: int, title: str, markdown: bool) -> None:
    """However many and long: within the limit in bytes, and the incidents named and counted are all there are."""
    text = digests.text(many(count, title=title), limit, markdown=markdown)
    assert len(text.encode()) <= limit
    lines = text.splitlines()
    more = [line for line in lines if line.startswith("…")]
    named = len(lines) - len(more)
    assert named + sum(int(line.split()[2]) for line in more) == count


@pytest.mark.parametrize("name", DIGESTING)
async def test_each_vendor_takes_a_digest_of_two_hundred(name: str) -> None:
    """200 notices with long names are one message that the vendor's own limits let pass."""
    async with RIGS[name]() as rig:
        told: Any = rig.notifier
        payload = told.digest(many(200, title="警" * 300))
        became, evidence = await outcome(told.deliver(payload, delivery="INC-0.1"))
    assert became == "ok", evidence
    assert "INC-0" in repr(rig.peer.messages[0])
    assert len(rig.peer.messages) == 1
