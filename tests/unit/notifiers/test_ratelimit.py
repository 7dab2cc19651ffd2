"""The token bucket that keeps a robot below its vendor's limit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifiers.dingtalk.robot import RATE
from notifiers.ratelimit import Rate, TokenBucket


@pytest.mark.parametrize(
    ("asked_s", "waits_s"),
    [
        ([0, 0], [0, 0]),
        ([0, 0, 0, 0], [0, 0, 30, 60]),
        ([0, 0, 30], [0, 0, 0]),
        ([0, 0, 15], [0, 0, 15]),
        ([0, 0, 600, 600, 600], [0, 0, 0, 0, 30]),
        ([100, 100, 40], [0, 0, 30]),
    ],
)
def test_waits(asked_s: list[float], waits_s: list[float]) -> None:
    """Two at once and two a minute: burst, refill, a long rest that saves no more than a burst, a clock set back."""
    bucket = TokenBucket.full(Rate(burst=2, per_minute=2), at_s=asked_s[0])
    seen = []
    for at_s in asked_s:
        bucket, wait_s = bucket.take(at_s)
        seen.append(wait_s)
    assert seen == pytest.approx(waits_s)


@given(st.lists(st.floats(0, 20), min_size=1, max_size=120))
def test_no_minute_sees_more_than_the_robot_may_send(pauses_s: list[float]) -> None:
    """However the notices come, any 60 seconds hold at most 20 sends, DingTalk's limit; none is dropped."""
    bucket, now_s, sent = TokenBucket.full(RATE, at_s=0.0), 0.0, []
    for pause_s in pauses_s:
        now_s += pause_s
        bucket, wait_s = bucket.take(now_s)
        now_s += wait_s  # a lane sends one after another
        sent.append(now_s)
    assert len(sent) == len(pauses_s)
    assert max(sum(start <= at_s < start + 60 for at_s in sent) for start in sent) <= 20
