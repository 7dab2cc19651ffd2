"""What people read: every kind of notice, in both languages, on every channel; and cutting text by bytes."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from notifiers.registry import build
from notifiers.rendering import WORDS, headline, local_time, one_line, plain, truncate_bytes
from schemas.config import AppriseChannel, Channel, DingTalkChannel, EmailChannel
from schemas.events import IncidentState, Notice, NoticeKind, Severity

CHANNELS: dict[str, Channel] = {
    "email": EmailChannel(host="127.0.0.1", sender="t@ops.test", to=("li@ops.test",)),
    "dingtalk": DingTalkChannel(token=SecretStr("token-0001")),
    "apprise": AppriseChannel(url=SecretStr("json://127.0.0.1:9/hook")),
}


def notice(**changes: Any) -> Notice:
    """A plausible notice, opened 2026-11-23 08:00 in Shanghai, told 62 minutes and 5 seconds later."""
    told: dict[str, Any] = {
        "kind": "opened", "incident": "INC-7", "title": "disk full", "priority": "P1", "severity": "critical",
        "state": "triggered", "service": "billing", "opened_ms": 1_795_392_000_000, "at_ms": 1_795_395_725_000,
        "alert_count": 12, "alerts": [f"Alert{number}" for number in range(12)], "assignee": "李雷",
        "reason": "因为 why", "url": "http://127.0.0.1:8080/incidents/INC-7",
    }  # fmt: skip
    return Notice(**(told | changes))


def texts(channel: str, told: Notice) -> list[str]:
    """Every text of the rendered payload that a person reads."""
    payload = build("c", CHANNELS[channel]).render(told)
    return [getattr(payload, part) for part in ("text", "html", "body") if hasattr(payload, part)]


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("kind", get_args(NoticeKind))
@pytest.mark.parametrize("channel", CHANNELS)
def test_every_kind_in_both_languages(channel: str, kind: NoticeKind, language: Any) -> None:
    """Each message says what, why, how urgent, who and where to act, in local time."""
    told = notice(kind=kind, language=language, state="resolved" if kind == "resolved" else "triggered")
    payload = build("c", CHANNELS[channel]).render(told)
    title = payload.subject if channel == "email" else payload.title
    assert title.startswith(f"[P1 {WORDS[language]['critical']}] {WORDS[language][kind]} INC-7")
    for text in texts(channel, told):
        for needed in ("billing", "李雷", "因为 why", "2026-11-23 08:00:00 +08:00", told.url, "Alert9", "12"):
            assert needed in text
        assert "Alert10" not in text
        assert ("状态" in text) == (language == "zh")
        assert "{{" not in text


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_bare_notice_renders(channel: str) -> None:
    """What is empty leaves no empty line's label behind."""
    bare = notice(service="", assignee="", reason="", url="", alerts=[], alert_count=0, language="en")
    for text in texts(channel, bare):
        for label in ("Service", "Owner", "Why", "Alerts", "href", "]("):
            assert label not in text


def test_resolved_says_how_long_it_took() -> None:
    """62 minutes and 5 seconds are told in the two largest units."""
    assert "1 小时 2 分钟" in texts("dingtalk", notice(kind="resolved"))[0]
    assert "1 h 2 min" in texts("email", notice(kind="resolved", language="en"))[0]


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_word_is_translated(language: Any) -> None:
    """No kind, severity or state falls through to its internal name for want of a word."""
    needed = {*get_args(NoticeKind), *get_args(Severity), *get_args(IncidentState)}
    assert needed <= WORDS[language].keys()


def test_local_time_follows_the_notices_zone() -> None:
    """The same moment, read in two places, one of them with half an hour's offset."""
    assert local_time(1_795_392_000_000, "UTC") == "2026-11-23 00:00:00 +00:00"
    assert local_time(1_795_392_000_000, "Asia/Kolkata") == "2026-11-23 05:30:00 +05:30"


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=200),
    st.integers(0, 120),
    st.sampled_from(["…", "...", ""]),
)
def test_truncation_keeps_to_the_limit_and_to_whole_characters(text: str, limit: int, ellipsis: str) -> None:
    """Never over the limit, always valid UTF-8, always a prefix; untouched where it fits; no shorter than need be."""
    cut = truncate_bytes(text, limit, ellipsis)
    if len(text.encode()) <= limit:
        assert cut == text
        return
    assert len(cut.encode()) <= limit
    if cut:
        kept = cut.removesuffix(ellipsis)
        assert text.startswith(kept)
        assert len(cut.encode()) + 4 > limit


@given(st.text(st.characters(exclude_categories=[]), max_size=300))
def test_one_line_is_one_line_of_valid_utf8(text: str) -> None:
    """Whatever comes in, even half an emoji, one printable line comes out."""
    line = one_line(text)
    assert len(line.splitlines()) <= 1
    assert line.encode().decode() == line
    assert "\x00" not in line


def test_markdown_from_outside_makes_no_link() -> None:
    """A title cannot smuggle a link or a picture into a message."""
    assert "](" not in plain("![x](http://evil.test/p.png)")


def test_headline_of_a_test_message_without_an_incident() -> None:
    """A channel test has no incident and leaves no gap where its number would be."""
    told = notice(kind="test", incident="", title="hello", language="en")
    assert headline(told) == "[P1 Critical] Channel test: hello"
