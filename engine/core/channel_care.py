"""Channels kept alive: their error budgets and their test messages (R1.8)."""

from __future__ import annotations

from engine.core import notices
from engine.core.channel_state import ChannelState
from engine.core.step import Step
from schemas.channel_care import LATEST, ChannelCare, ChannelFailing, ChannelRecovered

ALERT = "TocsinChannelFailing"


Told = tuple[dict[str, str], str, bool]
"""An alert about Tocsin itself: labels, summary, and whether it is firing."""


def configure(step: Step) -> None:
    """Test messages as the rules now want them; a channel that nobody uses any more is forgotten."""
    used = {name for _, name in step.rules.channels()}
    known = step.state.channels
    for name in sorted(known.keys() - used):
        del known[name]
    for name in sorted(used & (known.keys() | step.rules.channel_care.probe_every_s.keys())):
        channel = known.setdefault(name, ChannelState())
        planned_ms = channel.probe_due_ms
        if not step.at_ms < planned_ms <= step.at_ms + 1000 * _every_s(name, channel, step):
            _plan(name, channel, step)


def _every_s(name: str, channel: ChannelState, step: Step) -> int:
    care = step.rules.channel_care
    return care.again_s if channel.failing_since_ms else care.probe_every_s.get(name, 0)


def _plan(name: str, channel: ChannelState, step: Step) -> None:
    every_s = _every_s(name, channel, step)
    channel.probe_due_ms = step.at_ms + 1000 * every_s if every_s else 0
    if every_s:
        step.timers.set(channel.probe_due_ms, "probe", name)


def ring(name: str, due_ms: int, step: Step) -> None:
    """A test message is due, unless the one before is still under way."""
    channel = step.state.channels.get(name)
    if channel is None or channel.probe_due_ms != due_ms:
        return
    under_way = any(one.notice.kind == "test" and name in one.channels for one in step.state.deliveries.values())
    if not under_way:
        step.request("", (name,), notices.probe_notice(name, step.rules, step.at_ms), scope="default")
    _plan(name, channel, step)


def answered(name: str, outcome: str, reason: str, step: Step) -> Told | None:
    """Count a channel's answer; the alert to raise or to end, if it has begun or ceased to fail.

    What may have arrived counts as a failure: the budget is about proof.
    """
    care = step.rules.channel_care
    if not (care.in_a_row or care.of_latest):
        return None
    channel = step.state.channels.setdefault(name, ChannelState())
    channel.latest = (channel.latest + ("+" if outcome == "ok" else "-"))[-LATEST:]
    labels = {"alertname": ALERT, "service": "tocsin", "severity": "major", "channel": name}
    if outcome == "ok" and channel.failing_since_ms:
        step.log(ChannelRecovered(name, channel.failing_since_ms), scope="default", subject=f"channel/{name}")
        channel.failing_since_ms, channel.latest = 0, "+"
        _plan(name, channel, step)
        return labels, f"channel {name} takes messages again", False
    if outcome != "ok" and not channel.failing_since_ms and _used_up(channel, care):
        failed = channel.latest.count("-")
        event = ChannelFailing(name, channel.in_a_row, failed, len(channel.latest), reason)
        step.log(event, scope="default", subject=f"channel/{name}")
        channel.failing_since_ms = step.at_ms
        _plan(name, channel, step)
        return labels, f"channel {name} does not take messages: {reason}"[:400], True
    return None


def _used_up(channel: ChannelState, care: ChannelCare) -> bool:
    return bool(
        (care.in_a_row and channel.in_a_row >= care.in_a_row)
        or (care.of_latest and channel.latest.count("-") >= care.of_latest)
    )
