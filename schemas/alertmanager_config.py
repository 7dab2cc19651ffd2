"""Alertmanager's own configuration file: what of it is understood, and what is known but not honoured.

Source: Alertmanager `config/config.go`, `config/notifiers.go`; `prometheus/common`, `config/http_config.go`. An unknown
key is an error, as it is there. What is typed `Any` is known and named in a warning where it is given.
"""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from schemas.alertmanager_http import FileName, GoDuration, HttpConfig, Part, Pattern, one_of
from schemas.dispatch import DispatchRoute, MatcherText, check_tree
from schemas.durations import Duration
from schemas.matchers import Matcher
from schemas.time_intervals import TimeInterval


class Global(Part):
    """What holds wherever nothing else is said."""

    resolve_timeout: Duration = 300_000
    http_config: HttpConfig | None = None
    smtp_from: str = ""
    smtp_hello: str = "localhost"
    smtp_smarthost: str = ""
    smtp_auth_username: str = ""
    smtp_auth_password: SecretStr | None = None
    smtp_auth_password_file: FileName | None = None
    smtp_auth_secret: Any = None
    smtp_auth_secret_file: Any = None
    smtp_auth_identity: str = ""
    smtp_require_tls: bool = True
    smtp_tls_config: Any = None
    smtp_force_implicit_tls: bool | None = None
    slack_api_url: SecretStr | None = None
    slack_api_url_file: FileName | None = None
    slack_app_token: Any = None
    slack_app_token_file: Any = None
    slack_app_url: Any = None
    wechat_api_url: str = "https://qyapi.weixin.qq.com/cgi-bin/"
    wechat_api_secret: SecretStr | None = None
    wechat_api_secret_file: FileName | None = None
    wechat_api_corp_id: str = ""
    jira_api_url: Any = None
    mattermost_webhook_url: Any = None
    mattermost_webhook_url_file: Any = None
    opsgenie_api_key: Any = None
    opsgenie_api_key_file: Any = None
    opsgenie_api_url: Any = None
    pagerduty_url: Any = None
    rocketchat_api_url: Any = None
    rocketchat_token: Any = None
    rocketchat_token_file: Any = None
    rocketchat_token_id: Any = None
    rocketchat_token_id_file: Any = None
    telegram_api_url: Any = None
    telegram_bot_token: Any = None
    telegram_bot_token_file: Any = None
    victorops_api_key: Any = None
    victorops_api_key_file: Any = None
    victorops_api_url: Any = None
    webex_api_url: Any = None

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        one_of(
            self,
            ("smtp_auth_password", "smtp_auth_password_file"),
            ("slack_api_url", "slack_api_url_file"),
            ("wechat_api_secret", "wechat_api_secret_file"),
        )
        return self


class WebhookConfig(Part):
    """A program that is told by POST."""

    send_resolved: bool = True
    http_config: HttpConfig | None = None
    url: SecretStr | None = None
    url_file: FileName | None = None
    max_alerts: Annotated[int, Field(ge=0)] = 0
    timeout: GoDuration = 0
    payload: Any = None

    @model_validator(mode="after")
    def _has_an_address(self) -> Self:
        one_of(self, ("url", "url_file"))
        if not self.url and not self.url_file:
            raise ValueError("url: one of url and url_file must be given")
        return self


class EmailConfig(Part):
    """People who are told by e-mail."""

    send_resolved: bool = False
    to: str = ""
    from_: Annotated[str, Field(alias="from")] = ""
    hello: str = ""
    smarthost: str = ""
    auth_username: str = ""
    auth_password: SecretStr | None = None
    auth_password_file: FileName | None = None
    auth_secret: Any = None
    auth_secret_file: Any = None
    auth_identity: str = ""
    require_tls: bool | None = None
    force_implicit_tls: bool | None = None
    tls_config: Any = None
    headers: dict[str, str] = {}
    html: str | None = None
    text: str | None = None
    threading: Any = None

    @model_validator(mode="after")
    def _has_recipients(self) -> Self:
        if not self.to:
            raise ValueError("to: is required")
        seen: set[str] = set()
        for name in self.headers:
            if name.lower() in seen:
                raise ValueError(f"headers: {name!r} is given twice")
            seen.add(name.lower())
        return self


class SlackConfig(Part):
    """A channel of Slack. Only where to send is honoured; what would change the look is named in a warning."""

    send_resolved: bool = False
    http_config: HttpConfig | None = None
    api_url: SecretStr | None = None
    api_url_file: FileName | None = None
    app_token: Any = None
    app_token_file: Any = None
    app_url: Any = None
    timeout: GoDuration = 0
    channel: Any = None
    username: Any = None
    color: Any = None
    title: Any = None
    title_link: Any = None
    pretext: Any = None
    text: Any = None
    message_text: Any = None
    fields: Any = None
    short_fields: Any = None
    footer: Any = None
    fallback: Any = None
    callback_id: Any = None
    icon_emoji: Any = None
    icon_url: Any = None
    image_url: Any = None
    thumb_url: Any = None
    link_names: Any = None
    mrkdwn_in: Any = None
    actions: Any = None
    update_message: Any = None

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        one_of(self, ("api_url", "api_url_file"))
        return self


class WechatConfig(Part):
    """Members of an enterprise in WeCom (企业微信)."""

    send_resolved: bool = False
    http_config: HttpConfig | None = None
    api_secret: SecretStr | None = None
    api_secret_file: FileName | None = None
    corp_id: str = ""
    message: Any = None
    api_url: str = ""
    to_user: str = ""
    to_party: str = ""
    to_tag: str = ""
    agent_id: str = ""
    message_type: Annotated[str, Field(pattern=r"^(text|markdown)?$")] = "text"

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        one_of(self, ("api_secret", "api_secret_file"))
        return self


class AlertmanagerReceiver(Part):
    """Who is told, by name, and how."""

    name: Annotated[str, Field(min_length=1)]
    labels: Any = None
    webhook_configs: tuple[WebhookConfig, ...] = ()
    email_configs: tuple[EmailConfig, ...] = ()
    slack_configs: tuple[SlackConfig, ...] = ()
    wechat_configs: tuple[WechatConfig, ...] = ()
    discord_configs: Any = None
    incidentio_configs: Any = None
    jira_configs: Any = None
    mattermost_configs: Any = None
    msteams_configs: Any = None
    msteamsv2_configs: Any = None
    opsgenie_configs: Any = None
    pagerduty_configs: Any = None
    pushover_configs: Any = None
    rocketchat_configs: Any = None
    sns_configs: Any = None
    telegram_configs: Any = None
    victorops_configs: Any = None
    webex_configs: Any = None


UNSUPPORTED = tuple(name for name, field in AlertmanagerReceiver.model_fields.items() if name.endswith("_configs") and
                    field.annotation is Any)  # fmt: skip
"""Kinds of receivers for which Tocsin has no channel of the same name."""


class AlertmanagerRoute(DispatchRoute):
    """A route with the older forms of matchers beside the present one."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    match: dict[str, str] = {}
    match_re: dict[str, Pattern] = {}
    labels: Any = None
    routes: tuple[AlertmanagerRoute, ...] = ()

    @property
    def all_matchers(self) -> tuple[str, ...]:
        """The matchers of all three forms."""
        return (*_older(self.match, self.match_re), *self.matchers)


class AlertmanagerInhibitRule(Part):
    """Which alerts keep which others quiet."""

    name: str = ""
    source_match: dict[str, str] = {}
    source_match_re: dict[str, Pattern] = {}
    source_matchers: tuple[MatcherText, ...] = ()
    target_match: dict[str, str] = {}
    target_match_re: dict[str, Pattern] = {}
    target_matchers: tuple[MatcherText, ...] = ()
    equal: tuple[str, ...] = ()

    @property
    def sources(self) -> tuple[str, ...]:
        """The matchers of alerts that inhibit."""
        return (*_older(self.source_match, self.source_match_re), *self.source_matchers)

    @property
    def targets(self) -> tuple[str, ...]:
        """The matchers of alerts that are inhibited."""
        return (*_older(self.target_match, self.target_match_re), *self.target_matchers)


def _older(equal: dict[str, str], patterns: dict[str, str]) -> tuple[str, ...]:
    exact = (str(Matcher(name, "=", value)) for name, value in sorted(equal.items()))
    # With the anchors that Alertmanager adds: they show in the keys of groups.
    return (*exact, *(str(Matcher(name, "=~", f"^(?:{value})$")) for name, value in sorted(patterns.items())))


def _empty_for_none(given: object) -> object:
    """A rule of which only the dash is there is one without anything, to Alertmanager."""
    return [{} if one is None else one for one in given] if isinstance(given, list) else given


class NamedIntervals(Part):
    """Recurring times under a name."""

    name: Annotated[str, Field(min_length=1)]
    time_intervals: tuple[TimeInterval, ...] = ()


class AlertmanagerConfig(Part):
    """The whole of `alertmanager.yml`."""

    global_: Annotated[Global, Field(alias="global")] = Global()
    route: AlertmanagerRoute
    receivers: tuple[AlertmanagerReceiver, ...] = ()
    inhibit_rules: Annotated[tuple[AlertmanagerInhibitRule, ...], BeforeValidator(_empty_for_none)] = ()
    time_intervals: tuple[NamedIntervals, ...] = ()
    mute_time_intervals: tuple[NamedIntervals, ...] = ()
    templates: tuple[str, ...] = ()
    tracing: Any = None
    event_recorder: Any = None

    @model_validator(mode="after")
    def _names_lead_somewhere(self) -> Self:
        receivers = _names("receivers", self.receivers)
        intervals = _names("mute_time_intervals", self.mute_time_intervals)
        for index, one in enumerate(self.time_intervals):
            if one.name in intervals:
                raise ValueError(f"time_intervals[{index}].name: {one.name!r} is given twice")
            intervals.add(one.name)
        if self.route.all_matchers:
            raise ValueError("route: the root route must not have any matchers")
        check_tree(self.route, receivers, intervals)
        return self

    def intervals(self) -> dict[str, tuple[TimeInterval, ...]]:
        """All recurring times by name."""
        return {one.name: one.time_intervals for one in (*self.mute_time_intervals, *self.time_intervals)}


def _names(key: str, named: tuple[Any, ...]) -> set[str]:
    seen: set[str] = set()
    for index, one in enumerate(named):
        if one.name in seen:
            raise ValueError(f"{key}[{index}].name: {one.name!r} is given twice")
        seen.add(one.name)
    return seen
