"""Receivers of `alertmanager.yml` as channels of Tocsin."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from email.utils import getaddresses
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit, urlunsplit

from pydantic import BaseModel, SecretStr, ValidationError

from engine.config import secret_of
from engine.located_yaml import Place
from engine.plain_words import Problem
from schemas.alertmanager_config import EmailConfig, Global, SlackConfig, WebhookConfig, WechatConfig
from schemas.alertmanager_http import HttpConfig
from schemas.channels import AlertmanagerWebhookChannel, Channel, EmailChannel, SlackChannel, WeComAppChannel
from schemas.durations import duration_text

TEMPLATE: Final = "{{"
"""Begins a template of Go; those are not run."""
NOT_SENT: Final = "nothing is sent by it"
LONGEST_TIMEOUT_MS: Final = 120_000
_LOOKS: Final = (
    "channel", "username", "color", "title", "title_link", "pretext", "text", "message_text", "fields", "footer",
    "fallback", "callback_id", "icon_emoji", "icon_url", "image_url", "thumb_url", "actions", "update_message",
)  # fmt: skip
"""Keys of `slack_configs` that change how a message looks, or where in Slack it goes."""
_HTTP_NOT_HONOURED: Final = (
    "proxy_url", "no_proxy", "proxy_from_environment", "proxy_connect_header", "http_headers", "oauth2",
)  # fmt: skip
_TLS_NOT_HONOURED: Final = (
    "ca_ref", "cert", "cert_file", "cert_ref", "key", "key_file", "key_ref", "server_name", "min_version",
    "max_version",
)  # fmt: skip
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")


@dataclass(frozen=True)
class Found:
    """Where a configuration of a receiver stands: the `number`-th of its kind."""

    receiver: str
    kind: str
    number: int
    place: Place

    @property
    def channel(self) -> str:
        """A name for the channel: the same whenever the file is read, and no other's."""
        slug = re.sub(r"[^a-z0-9_.-]+", "-", self.receiver.lower()).strip("-.")[:30]
        if slug != self.receiver:
            slug = f"{slug or 'receiver'}-{hashlib.sha256(self.receiver.encode()).hexdigest()[:6]}"
        return f"{slug.lstrip('_-.') or 'receiver'}.{self.kind}{self.number}"


@dataclass
class ChannelMaker:
    """Makes channels and notes what of their settings is wrong or not honoured. Relative files are below `folder`."""

    defaults: Global
    folder: Path
    channels: dict[str, Channel] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def add(self, found: Found, config: BaseModel) -> str | None:
        """The name of the channel for a configuration; None where none can be made, which is noted."""
        before = len(self.problems)
        try:
            channel = self._made(found, config)
        except ValidationError as invalid:
            first = invalid.errors(include_url=False, include_input=False)[0]
            self._wrong(found, "", f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}")
            return None
        if channel is None or len(self.problems) > before:
            return None
        self.channels[found.channel] = channel
        return found.channel

    def _made(self, found: Found, config: BaseModel) -> Channel | None:
        match config:
            case WebhookConfig():
                return self._webhook(found, config)
            case EmailConfig():
                return self._email(found, config)
            case SlackConfig():
                return self._slack(found, config)
            case WechatConfig():
                return self._wechat(found, config)
        raise AssertionError(config)

    # --- notes --------------------------------------------------------------------------------------------------

    def _wrong(self, found: Found, key: str, text: str) -> None:
        self.problems.append(Problem((*found.place, *key.split(".")) if key else found.place, text))

    def _warn(self, found: Found, key: str, text: str) -> None:
        self.warnings.append(Problem((*found.place, *key.split(".")) if key else found.place, text))

    def _secret(self, found: Found, key: str, given: SecretStr | None, file: Path | None) -> SecretStr | None:
        if file is None:
            return given
        return secret_of(self.folder / file, (*found.place, *f"{key}_file".split(".")), self.problems)

    def _is_template(self, found: Found, key: str, text: str) -> bool:
        if TEMPLATE in text:
            self._warn(found, key, f"templates of Go are not run: {NOT_SENT}")
            return True
        return False

    # --- kinds --------------------------------------------------------------------------------------------------

    def _webhook(self, found: Found, config: WebhookConfig) -> Channel | None:
        url = self._secret(found, "url", config.url, config.url_file)
        if url is None or self._is_template(found, "url", url.get_secret_value()):
            return None
        if config.payload is not None:
            self._warn(found, "payload", "templates of Go are not run: the usual message is sent")
        address, user, password = _without_user(url.get_secret_value().strip())
        http = config.http_config or self.defaults.http_config or HttpConfig()
        way_in = {"username": user, "password": SecretStr(password)} if user else self._way_in(found, http)
        timeout = config.timeout or 30_000
        return AlertmanagerWebhookChannel(
            url=SecretStr(address), max_alerts=config.max_alerts, **way_in,
            timeout=duration_text(min(timeout, LONGEST_TIMEOUT_MS)),
            ca=self._secret(found, "http_config.tls_config.ca", http.tls_config.ca, http.tls_config.ca_file),
            insecure_skip_verify=http.tls_config.insecure_skip_verify,
        )  # fmt: skip

    def _way_in(self, found: Found, http: HttpConfig) -> dict[str, Any]:
        """What the Authorization header is made of."""
        for key in http.given(*_HTTP_NOT_HONOURED):
            self._warn(found, f"http_config.{key}", "is not honoured")
        for key in http.tls_config.given(*_TLS_NOT_HONOURED):
            self._warn(found, f"http_config.tls_config.{key}", "is not honoured")
        if http.authorization is not None:
            own = http.authorization
            token = self._secret(
                found, "http_config.authorization.credentials", own.credentials, own.credentials_file
            )  # fmt: skip
            return {"scheme": own.type.strip(), "token": token}
        if http.basic_auth is not None:
            basic = http.basic_auth
            for key in basic.given("username_file", "username_ref", "password_ref"):
                self._warn(found, f"http_config.basic_auth.{key}", "is not honoured")
            password = self._secret(found, "http_config.basic_auth.password", basic.password, basic.password_file)
            return {"username": basic.username, "password": password}
        token = self._secret(found, "http_config.bearer_token", http.bearer_token, http.bearer_token_file)
        return {"token": token} if token else {}

    def _email(self, found: Found, config: EmailConfig) -> Channel | None:
        defaults = self.defaults
        if self._is_template(found, "to", config.to) or self._is_template(found, "from", config.from_):
            return None
        host, _, port = (config.smarthost or defaults.smtp_smarthost).rpartition(":")
        sender = config.from_ or defaults.smtp_from
        if not host or not port.isdigit():
            self._wrong(found, "smarthost", "expected HOST:PORT here or in global.smtp_smarthost")
        if not sender:
            self._wrong(found, "from", "is required here or as global.smtp_from")
        to = tuple(address for _, address in getaddresses([config.to]) if _ADDRESS.fullmatch(address))
        if not to:
            self._wrong(found, "to", "expected addresses of e-mail")
        if not host or not port.isdigit() or not sender or not to:
            return None
        self._email_warnings(found, config)
        own = config.auth_password or config.auth_password_file
        password = self._secret(
            found,
            "auth_password",
            config.auth_password if own else defaults.smtp_auth_password,
            config.auth_password_file if own else defaults.smtp_auth_password_file,
        )
        return EmailChannel(
            host=host.strip("[]"), port=int(port), security=self._security(config, int(port)),
            username=config.auth_username or defaults.smtp_auth_username, password=password,
            sender=getaddresses([sender])[0][1], to=to, headers=self._headers(found, config),
        )  # fmt: skip

    def _security(self, config: EmailConfig, port: int) -> Any:
        implicit = config.force_implicit_tls
        implicit = self.defaults.smtp_force_implicit_tls if implicit is None else implicit
        if implicit or (implicit is None and port == 465):
            return "tls"
        required = self.defaults.smtp_require_tls if config.require_tls is None else config.require_tls
        return "starttls" if required else "none"

    def _email_warnings(self, found: Found, config: EmailConfig) -> None:
        for key in ("html", "text"):
            if getattr(config, key):
                self._warn(found, key, "templates of Go are not run: the mail has Tocsin's own text")
        for key in config.given("auth_secret", "auth_secret_file", "auth_identity", "tls_config", "threading", "hello"):
            self._warn(found, key, "is not honoured")

    def _headers(self, found: Found, config: EmailConfig) -> dict[str, str]:
        kept = {}
        for name, value in config.headers.items():
            if TEMPLATE in value:
                self._warn(found, f"headers.{name}", "templates of Go are not run: the header is Tocsin's own")
            else:
                kept[name] = value
        return kept

    def _slack(self, found: Found, config: SlackConfig) -> Channel | None:
        own = config.api_url or config.api_url_file
        url = self._secret(
            found,
            "api_url",
            config.api_url if own else self.defaults.slack_api_url,
            config.api_url_file if own else self.defaults.slack_api_url_file,
        )
        if url is None:
            if config.given("app_token", "app_token_file") or self.defaults.given("slack_app_token"):
                self._warn(found, "app_token", f"apps of Slack are not supported: {NOT_SENT}")
            elif not own:
                self._wrong(found, "api_url", "is required here or as global.slack_api_url")
            return None
        for key in config.given(*_LOOKS):
            self._warn(found, key, "is not honoured: the message has Tocsin's own look, where the webhook leads")
        return SlackChannel(url=SecretStr(url.get_secret_value().strip()))

    def _wechat(self, found: Found, config: WechatConfig) -> Channel | None:
        given = {"to_user": config.to_user, "to_party": config.to_party, "to_tag": config.to_tag}
        templated = [self._is_template(found, *pair) for pair in {**given, "agent_id": config.agent_id}.items()]
        if any(templated):
            return None
        own = config.api_secret or config.api_secret_file
        secret = self._secret(
            found,
            "api_secret",
            config.api_secret if own else self.defaults.wechat_api_secret,
            config.api_secret_file if own else self.defaults.wechat_api_secret_file,
        )
        corp_id = config.corp_id or self.defaults.wechat_api_corp_id
        if secret is None:
            self._wrong(found, "api_secret", "is required here or as global.wechat_api_secret")
        if not corp_id:
            self._wrong(found, "corp_id", "is required here or as global.wechat_api_corp_id")
        if not config.agent_id.isdigit():
            self._wrong(found, "agent_id", "expected the number of the application")
        if secret is None or not corp_id or not config.agent_id.isdigit():
            return None
        if config.message is not None:
            self._warn(found, "message", "templates of Go are not run: the message has Tocsin's own text")
        base_url = (config.api_url or self.defaults.wechat_api_url).rstrip("/").removesuffix("/cgi-bin")
        users, parties, tags = (tuple(filter(None, text.split("|"))) for text in given.values())
        message: Any = config.message_type or "text"
        return WeComAppChannel(
            corp_id=corp_id, agent_id=int(config.agent_id), secret=secret, to_users=users, to_parties=parties,
            to_tags=tags, base_url=base_url, message=message,
        )  # fmt: skip


def _without_user(url: str) -> tuple[str, str, str]:
    """A URL without user and password, and these two."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url, "", ""
    user, _, host = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    return urlunsplit(parts._replace(netloc=host)), unquote(name), unquote(password)
