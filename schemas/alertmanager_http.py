"""How Alertmanager speaks HTTP: `http_config`, and what all parts of its configuration file share.

Source: `prometheus/common`, `config/http_config.go`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, SecretStr, model_validator

from schemas.durations import go_duration_ms
from schemas.matchers import check_pattern


def _go_duration(given: object) -> object:
    return go_duration_ms(given) if isinstance(given, str) else given


def _pattern(text: str) -> str:
    check_pattern(text)
    return text


def _file(text: str) -> Path:
    return Path(text)


GoDuration = Annotated[int, BeforeValidator(_go_duration)]
Pattern = Annotated[str, AfterValidator(_pattern)]
FileName = Annotated[Path, BeforeValidator(_file)]


class Part(BaseModel):
    """A section of the file: an unknown key is an error, a number may stand for a text."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    def given(self, *names: str) -> list[str]:
        """Which of these keys the file has."""
        return [name for name in names if name in self.model_fields_set]


def one_of(part: BaseModel, *pairs: tuple[str, str]) -> None:
    """Raise ValueError where both keys of a pair are given."""
    for name, other in pairs:
        if getattr(part, name) and getattr(part, other):
            raise ValueError(f"{other}: at most one of {name} and {other} can be given")


class Authorization(Part):
    """The Authorization header."""

    type: str = "Bearer"
    credentials: SecretStr | None = None
    credentials_file: FileName | None = None
    credentials_ref: Any = None


class BasicAuth(Part):
    """HTTP Basic."""

    username: str = ""
    username_file: Any = None
    username_ref: Any = None
    password: SecretStr | None = None
    password_file: FileName | None = None
    password_ref: Any = None


class TlsConfig(Part):
    """How TLS is spoken."""

    ca: SecretStr | None = None
    ca_file: FileName | None = None
    ca_ref: Any = None
    cert: Any = None
    cert_file: Any = None
    cert_ref: Any = None
    key: Any = None
    key_file: Any = None
    key_ref: Any = None
    server_name: Any = None
    insecure_skip_verify: bool = False
    min_version: Any = None
    max_version: Any = None


class HttpConfig(Part):
    """How HTTP is spoken."""

    authorization: Authorization | None = None
    basic_auth: BasicAuth | None = None
    bearer_token: SecretStr | None = None
    bearer_token_file: FileName | None = None
    oauth2: Any = None
    tls_config: TlsConfig = TlsConfig()
    follow_redirects: bool = True
    enable_http2: bool = True
    proxy_url: Any = None
    no_proxy: Any = None
    proxy_from_environment: bool = False
    proxy_connect_header: Any = None
    http_headers: Any = None

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        ways = [name for name in ("authorization", "basic_auth", "oauth2") if getattr(self, name) is not None]
        ways += ["bearer_token"] if self.bearer_token or self.bearer_token_file else []
        if len(ways) > 1:
            raise ValueError(f"at most one of {', '.join(ways)} can be given")
        return self
