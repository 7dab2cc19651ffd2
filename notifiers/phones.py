"""Telephone numbers as vendors write them."""

from __future__ import annotations


def e164(phone: str) -> str:
    """With plus and country; a number without a plus is a Chinese one.

    >>> e164("13800000000"), e164("+85251110000")
    ('+8613800000000', '+85251110000')
    """
    return phone if phone.startswith("+") else f"+86{phone.removeprefix('86') if len(phone) == 13 else phone}"


def domestic(phone: str) -> str:
    """Without plus; Chinese numbers without their country, as Aliyun and gateways in China want them.

    >>> domestic("+8613800000000"), domestic("+85251110000")
    ('13800000000', '85251110000')
    """
    return e164(phone).removeprefix("+86").removeprefix("+")


def masked(phone: str) -> str:
    """With its middle hidden, for records and logs.

    >>> masked("+8613800000000")
    '+86138****0000'
    """
    return f"{phone[:-8]}****{phone[-4:]}" if len(phone) > 8 else "****"
