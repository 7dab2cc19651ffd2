"""The DingTalk channel for any Apprise user: ``tocsindingtalk://SECRET@TOKEN/mobile1/mobile2?base=https://…``.

    from notifiers.dingtalk.plugin import register
    register()
    apprise.Apprise("tocsindingtalk://SEC…@token/").notify("text", title="title")

Apprise takes only letters and digits in a scheme, hence no hyphen. Without a secret: ``tocsindingtalk://TOKEN/``.
"""

from __future__ import annotations

import time
from typing import Any

import httpx2
from apprise.exception import AppriseImproperlyConfigured
from apprise.manager_plugins import NotificationManager
from apprise.plugins import NotifyBase

from notifiers.dingtalk import robot
from notifiers.redaction import keep_out_of_logs
from notifiers.vendor import unanswered
from schemas.deliveries import Receipt
from schemas.errors import DeliveryError

_Apprise: Any = NotifyBase  # Apprise's own annotations call every attribute that plugins must set None
_improper: Any = AppriseImproperlyConfigured
_manager: Any = NotificationManager
SCHEMA = "tocsindingtalk"
BASE_URL = "https://oapi.dingtalk.com"


class NotifyTocsinDingTalk(_Apprise):  # type: ignore[misc]
    """A DingTalk robot that is believed only when it answers ``errcode`` 0.

    `receipt` and `failure` keep the vendor's answer to the last send, which Apprise's True or False cannot carry.
    """

    service_name = "DingTalk (Tocsin)"
    service_url = "https://www.dingtalk.com/"
    setup_url = "https://open.dingtalk.com/document/robots/custom-robot-access"
    category = "custom"
    secure_protocol = SCHEMA
    body_maxlen = robot.BODY_BYTES
    title_maxlen = robot.TITLE_BYTES
    request_rate_per_sec = 0  # whoever sends keeps the pace
    templates = ("{schema}://{token}/", "{schema}://{secret}@{token}/", "{schema}://{secret}@{token}/{targets}/")
    template_tokens = dict(
        _Apprise.template_tokens,
        token={"name": "Token", "type": "string", "private": True, "required": True},
        secret={"name": "Secret", "type": "string", "private": True},
        targets={"name": "Mobiles", "type": "list:string"},
    )
    template_args = dict(_Apprise.template_args, base={"name": "Base URL", "type": "string"})

    def __init__(
        self, token: str, secret: str = "", targets: tuple[str, ...] = (), base: str = BASE_URL, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not token:
            raise _improper("tocsindingtalk:// needs the robot's access token as its host")
        self.token, self.secret, self.targets, self.base = token, secret, tuple(targets), base
        self.receipt: Receipt | None = None
        self.failure: DeliveryError | None = None
        keep_out_of_logs(token, secret)

    def send(self, body: str, title: str = "", **kwargs: Any) -> bool:
        """One POST; True only if the robot took it. A failure's reason is logged and kept in `failure`."""
        self.receipt, self.failure = None, None
        now_s = time.time()
        text = f"### {title}\n\n{body}" if title else body
        message = robot.Markdown(title or body, text, self.targets)
        call = robot.request(self.base, self.token, self.secret, int(now_s * 1000), message)
        connect_s, read_s = self.request_timeout
        try:
            with httpx2.Client(
                timeout=httpx2.Timeout(read_s, connect=connect_s), verify=self.verify_certificate, trust_env=False
            ) as client:
                answer = client.post(call.url, content=call.body, headers=call.headers)
            wish = answer.headers.get("Retry-After", "")
            self.receipt = robot.judge(answer.status_code, answer.content, retry_after=wish, now_s=now_s)
        except httpx2.TransportError as trouble:
            self.failure = unanswered(trouble)
        except DeliveryError as refused:
            self.failure = refused
        if self.failure is not None:
            self.logger.warning("DingTalk did not take it: %s", self.failure.reason)
        return self.failure is None

    def url(self, privacy: bool = False, *args: Any, **kwargs: Any) -> str:
        """The URL that makes this object again; with `privacy`, without its secrets and numbers."""
        parameters = self.url_parameters(*args, privacy=privacy, **kwargs)
        if self.base != BASE_URL:
            parameters["base"] = self.base
        token = self.pprint(self.token, privacy, safe="")
        secret = f"{self.pprint(self.secret, privacy, safe='')}@" if self.secret else ""
        mobiles = "/".join(self.pprint(mobile, privacy, safe="") for mobile in self.targets)
        return f"{SCHEMA}://{secret}{token}/{mobiles}?{self.urlencode(parameters)}"

    @property
    def url_identifier(self) -> tuple[str, str, str]:
        """What tells one robot from another."""
        return (SCHEMA, self.secret, self.token)

    @staticmethod
    def parse_url(url: str, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        """Apprise's parts of the URL with ours named; None when it cannot be read."""
        parts: dict[str, Any] | None = _Apprise.parse_url(url, verify_host=False)
        if parts:
            parts["token"] = _Apprise.unquote(parts["host"])
            parts["secret"] = _Apprise.unquote(parts.get("user") or "")
            parts["targets"] = tuple(_Apprise.split_path(parts["fullpath"]))
            parts["base"] = _Apprise.unquote(parts["qsd"].get("base", "")) or BASE_URL
        return parts


def register() -> None:
    """Make ``tocsindingtalk://`` known to Apprise in this process; idempotent."""
    manager: Any = _manager()
    if SCHEMA not in manager:
        manager.add(NotifyTocsinDingTalk)
