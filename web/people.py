"""People with accounts: their roles and sessions, and the refusals that everything about accounts raises."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Literal, get_args

Role = Literal["viewer", "operator", "manager", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
"""Each may do what those before it may: look, act on incidents, decide on assessments, manage users."""


class AccountRefused(Exception):
    """A person may not do this with an account; `code` names a text of the console (``wrong_password``, …)."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class SecondFactorAsked(AccountRefused):
    """The password was right and a code is wanted too; `pending` is the secret that the answer must carry."""

    def __init__(self, pending: str) -> None:
        super().__init__("second_factor_asked")
        self.pending = pending


@dataclass(frozen=True)
class User:
    """Somebody with an account."""

    name: str
    role: Role
    enabled: bool = True
    last_sign_in_ms: int = 0
    second_factor: bool = False

    def may(self, role: Role) -> bool:
        """Whether this user's role includes what `role` may do."""
        return ROLES.index(self.role) >= ROLES.index(role)


@dataclass(frozen=True)
class Session:
    """A signed-in browser. `csrf` stands in each form of its pages; it is derived from the secret cookie."""

    user: User
    token: str

    @property
    def csrf(self) -> str:
        """The token that a form of this session must carry, hex."""
        return hmac.new(self.token.encode(), b"tocsin form", hashlib.sha256).hexdigest()


def digest_of(token: str) -> str:
    """SHA-256 of a random token, hex: what is stored of it. It needs no salt, being 256 random bits."""
    return hashlib.sha256(token.encode()).hexdigest()
