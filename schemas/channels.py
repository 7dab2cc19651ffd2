"""How messages leave: the settings of one channel of each type. Secrets stay here and are never journalled."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, SecretStr

from schemas.sections import WithSecrets


class EmailChannel(WithSecrets):
    """E-mail by SMTP, with the server's own answer as the proof."""

    type: Literal["email"] = "email"
    host: str
    port: Annotated[int, Field(ge=1, le=65_535)] = 25
    security: Literal["none", "starttls", "tls"] = "none"
    username: str = ""
    password: SecretStr | None = None
    password_file: Path | None = None
    sender: str
    to: Annotated[tuple[str, ...], Field(min_length=1)]
    timeout_s: Annotated[int, Field(ge=1, le=120)] = 10


class DingTalkChannel(WithSecrets):
    """A DingTalk robot. `base_url` is for private clouds and tests."""

    required_secrets: ClassVar[tuple[str, ...]] = ("token",)
    type: Literal["dingtalk"] = "dingtalk"
    token: SecretStr | None = None
    token_file: Path | None = None
    secret: SecretStr | None = None
    secret_file: Path | None = None
    at_mobiles: tuple[str, ...] = ()
    base_url: str = "https://oapi.dingtalk.com"
    timeout_s: Annotated[int, Field(ge=1, le=120)] = 10


class AppriseChannel(WithSecrets):
    """Any Apprise URL: the long tail. Its success is what Apprise says it is."""

    required_secrets: ClassVar[tuple[str, ...]] = ("url",)
    type: Literal["apprise"] = "apprise"
    url: SecretStr | None = None
    url_file: Path | None = None
    timeout_s: Annotated[int, Field(ge=1, le=120)] = 20


class WebhookChannel(WithSecrets):
    """A program of your own: the notice as JSON by POST. It is told when the answer is any 2xx."""

    required_secrets: ClassVar[tuple[str, ...]] = ("url",)
    type: Literal["webhook"] = "webhook"
    url: SecretStr | None = None
    url_file: Path | None = None
    token: SecretStr | None = None
    token_file: Path | None = None
    timeout_s: Annotated[int, Field(ge=1, le=120)] = 10


Channel = Annotated[EmailChannel | DingTalkChannel | WebhookChannel | AppriseChannel, Field(discriminator="type")]
