"""The DingTalk wire format: signature, byte limit, and what each answer means."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifiers.dingtalk import robot
from schemas.errors import DeliveryError


def test_signature_fixed_vector() -> None:
    """One signature, worked out once with OpenSSL's command line, stays what it is."""
    assert robot.sign("SECtocsin", 1_700_000_000_000) == "%2BY3lmb%2F9b6D0SXwIWaOKsZtQnI15Q%2FkqEr%2FjhyOjuXA%3D"


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=80), st.integers(0, 2**42))
def test_signature_is_the_documented_formula_encoded_once(secret: str, at_ms: int) -> None:
    """Decoding the query once, as every server does, gives the documented base64 of the HMAC."""
    call = robot.request("https://oapi.dingtalk.com/", "tok", secret, at_ms, robot.Markdown("t", "x"))
    mac = hmac.new(secret.encode(), f"{at_ms}\n{secret}".encode(), hashlib.sha256).digest()
    query = parse_qs(urlsplit(call.url).query, strict_parsing=True)
    assert query == {"access_token": ["tok"], "timestamp": [str(at_ms)], "sign": [base64.b64encode(mac).decode()]}
    assert robot.sign(secret, at_ms) == quote(base64.b64encode(mac), safe="")
    assert call.url.startswith("https://oapi.dingtalk.com/robot/send?")


def test_unsigned_without_a_secret() -> None:
    """A robot secured by keyword or address list gets no signature."""
    call = robot.request("http://h", "tok", "", 1, robot.Markdown("t", "x"))
    assert call.url == "http://h/robot/send?access_token=tok"


@given(
    st.text(st.characters(exclude_categories=[]), max_size=50),
    st.sampled_from(["警", "🔔", 'a"\\\n', "\x01", "é", "\ud800"]),
    st.integers(0, 9_000),
)
def test_body_keeps_to_the_vendors_bytes_and_keeps_the_mentions(title: str, unit: str, times: int) -> None:
    """Any text becomes valid JSON of at most 20,000 bytes that still ends with those to be called."""
    raw = robot.body(robot.Markdown(title, unit * times, ("13800000000", "13900000000")))
    assert len(raw) <= 20_000
    text = json.loads(raw.decode())["markdown"]["text"]
    assert text.endswith("@13800000000 @13900000000")


@pytest.mark.parametrize(
    ("status", "raw", "permanent", "code", "retry_after_s"),
    [
        (200, b'{"errcode":310000,"errmsg":"keywords not in content"}', True, "310000", None),
        (200, b'{"errcode":310000,"errmsg":"sign not match"}', True, "310000", None),
        (200, b'{"errcode":300001,"errmsg":"token is not exist"}', True, "300001", None),
        (200, b'{"errcode":460101,"errmsg":"too long"}', True, "460101", None),
        (200, b'{"errcode":130101,"errmsg":"send too fast"}', False, "130101", 600),
        (200, b'{"errcode":660026,"errmsg":"send too fast"}', False, "660026", 600),
        (200, b'{"status":1111,"wait":5,"punish":"deny"}', False, "1111", 600),
        (200, b'{"errcode":-1,"errmsg":"busy"}', False, "-1", None),
        (200, b'{"status":0}', False, "0", None),
        (200, b"<html>", False, "200", None),
        (200, b"[]", False, "200", None),
        (200, b"", False, "200", None),
        (429, b"", False, "HTTP 429", 7),
        (503, b"", False, "HTTP 503", 7),
        (404, b"", True, "HTTP 404", None),
        (302, b"", True, "HTTP 302", None),
    ],
)
def test_refusals(status: int, raw: bytes, permanent: bool, code: str, retry_after_s: int | None) -> None:
    """Only errcode 0 is success; each refusal says whether trying again can help, and when."""
    with pytest.raises(DeliveryError) as refused:
        robot.judge(status, raw, retry_after="7")
    seen = refused.value
    assert (seen.permanent, seen.vendor_code, seen.retry_after_s) == (permanent, code, retry_after_s)
    assert seen.reason
    assert not seen.maybe_sent


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("keywords not in content", "keyword"),
        ("description:关键词不匹配", "keyword"),
        ("description:机器人发送签名不匹配", "secret"),
        ("sign not match", "secret"),
        ("invalid timestamp", "clock"),
        ("ip 10.0.0.1 not in whitelist", "address"),
    ],
)
def test_310000_is_explained(said: str, hint: str) -> None:
    """One code stands for four mistakes; the reason says which one to look for."""
    with pytest.raises(DeliveryError, match=hint):
        robot.judge(200, json.dumps({"errcode": 310000, "errmsg": said}).encode())


def test_accepted() -> None:
    """errcode 0, as a number or a string, is the vendor's yes."""
    assert robot.judge(200, b'{"errcode":0,"errmsg":"ok"}').vendor_code == "0"
    assert robot.judge(200, b'{"errcode":"0","errmsg":"ok","messageId":"m1"}').vendor_message_id == "m1"


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        ("30", 30),
        ("Wed, 21 Oct 2026 07:28:30 GMT", 30),
        ("Wed, 21 Oct 2026 07:00:00 GMT", 0),
        ("999999", 3600),
        ("soon", None),
        ("", None),
        ("-5", None),
    ],
)
def test_retry_after_in_seconds_or_as_a_date(header: str, wait_s: int | None) -> None:
    """Both forms of RFC 9110 are read; nonsense is no wish, and no wish exceeds an hour."""
    with pytest.raises(DeliveryError) as refused:
        robot.judge(429, b"", retry_after=header, now_s=1_792_567_680.0)
    assert refused.value.retry_after_s == wait_s
