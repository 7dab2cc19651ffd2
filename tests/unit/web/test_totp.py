"""One-time codes as RFC 4226 and RFC 6238 have them."""

from __future__ import annotations

import base64
from urllib.parse import parse_qs, urlsplit

import pytest

from web import totp

KEY = b"12345678901234567890"
SECRET = base64.b32encode(KEY).decode()


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_the_vectors_of_rfc_6238(seconds: int, code: str) -> None:
    """Appendix B, SHA-1, eight digits; our six are the last six of them (R13)."""
    assert totp.hotp(KEY, seconds // 30, 8) == code
    assert totp.code_at(SECRET, seconds * 1000) == code[-6:]


@pytest.mark.parametrize(
    ("counter", "code"),
    enumerate(["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"]),
)
def test_the_vectors_of_rfc_4226(counter: int, code: str) -> None:
    """Appendix D."""
    assert totp.hotp(KEY, counter) == code


def test_a_phone_may_be_one_step_off_and_no_more() -> None:
    """Codes of the step before, the present and the next hold; older, later and malformed ones do not."""
    at_ms = 1_767_585_600_000
    step = at_ms // totp.STEP_MS
    for off in (-1, 0, 1):
        assert totp.step_of(SECRET, totp.code_at(SECRET, at_ms + off * totp.STEP_MS), at_ms) == step + off
    for wrong in (
        totp.code_at(SECRET, at_ms - 60_000),
        totp.code_at(SECRET, at_ms + 60_000),
        "",
        "12345",
        "六六六六六六",
    ):
        assert totp.step_of(SECRET, wrong, at_ms) is None


def test_a_fresh_secret_has_160_bits_and_is_another_each_time() -> None:
    """As RFC 4226, 4, recommends."""
    first, second = totp.new_secret(), totp.new_secret()
    assert len(base64.b32decode(first)) == 20
    assert first != second


def test_the_address_in_the_qr_code_survives_any_name() -> None:
    """Names may be Chinese or hold signs that an address reserves."""
    uri = urlsplit(totp.provisioning_uri(SECRET, issuer="Tocsin", name="张 三&x?y"))
    assert (uri.scheme, uri.netloc) == ("otpauth", "totp")
    values = parse_qs(uri.query)
    assert (values["secret"], values["issuer"], values["digits"]) == ([SECRET], ["Tocsin"], ["6"])
    assert uri.path == "/Tocsin%3A%E5%BC%A0%20%E4%B8%89%26x%3Fy"
