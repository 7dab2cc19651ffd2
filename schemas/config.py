"""Configuration: `tocsin.yaml` as one frozen model, in two parts.

`Rules` is what the core decides by; it is journalled as a `Configured` record, so that every decision names its
version. Everything else (`Settings`) is about this installation: addresses, tokens, channels. Secrets live only
there, each with a `_file` twin; they are never journalled, and `SecretStr` keeps them out of every print.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, field_validator, model_validator

from schemas.alert_rules import AlertRules
from schemas.channel_care import ChannelCare
from schemas.channels import AppriseChannel as AppriseChannel  # the channels are part of the settings: found here, too
from schemas.channels import Channel as Channel
from schemas.channels import DingTalkChannel as DingTalkChannel
from schemas.channels import EmailChannel as EmailChannel
from schemas.channels import WebhookChannel as WebhookChannel
from schemas.classifying import Classifying
from schemas.clusters import Cluster
from schemas.contracts import Contract
from schemas.denoise import Denoise
from schemas.directory import Addresses, channels_without_address
from schemas.dispatch import Dispatch
from schemas.events import Priority, Severity
from schemas.links import Links
from schemas.oncall import OnCall
from schemas.report_mailing import ReportMailing
from schemas.sections import Language as Language
from schemas.sections import Name, NameOrNone, Seconds, Section, WithSecrets

# --- rules: what the core decides by ----------------------------------------------------------------------------


class Grouping(Section):
    """Which alerts make one incident: those with equal values of `by`, or of `fallback` where all of `by` is absent."""

    by: tuple[str, ...] = ("cluster", "namespace", "service")
    fallback: tuple[str, ...] = ("alertname", "job")
    scope: tuple[str, ...] = ("cluster", "namespace")
    """Labels of the partition key: the first that is present wins, else ``default``."""
    service: tuple[str, ...] = ("service", "app", "job")
    """Labels that name the affected service: the first that is present wins."""
    reopen_within_s: Seconds = 600
    """A group that fires again so soon after it was resolved reopens its incident instead of a new one."""
    reorder_window_s: Seconds = 30
    """A firing that arrives so soon after its own resolution, with the same start, was merely overtaken."""


class Triage(Section):
    """From labels to severity, urgency, impact and priority."""

    severity_label: str = "severity"
    severities: dict[str, Severity] = {
        "critical": "critical", "fatal": "critical", "emergency": "critical", "disaster": "critical",
        "page": "critical",
        "major": "major", "error": "major", "high": "major",
        "warning": "warning", "warn": "warning", "average": "warning", "medium": "warning",
        "info": "info", "information": "info", "none": "info", "low": "info",
    }  # fmt: skip
    default_severity: Severity = "warning"
    impact_label: str = "impact"
    """A label whose value 1 (widest) … 3 (narrowest) states the blast radius; absent: judged by the alert count."""
    wide_impact_alerts: Annotated[int, Field(ge=1)] = 20
    """So many alerts in one incident mean impact 1; a quarter of it, impact 2."""
    matrix: tuple[tuple[Priority, Priority, Priority], ...] = (
        ("P1", "P1", "P2"),
        ("P1", "P2", "P3"),
        ("P2", "P3", "P4"),
        ("P3", "P4", "P4"),
    )
    """Priority by urgency (rows: critical, major, warning, info) and impact (columns 1–3)."""

    @field_validator("matrix")
    @classmethod
    def _four_rows(cls, rows: tuple[tuple[Priority, Priority, Priority], ...]) -> tuple[tuple[Priority, ...], ...]:
        if len(rows) != 4:
            raise ValueError("the matrix has 4 rows: critical, major, warning, info")
        return rows


class Route(Section):
    """Who is told: the first route that matches, or all that match down to the first without `also`."""

    receiver: NameOrNone = ""
    policy: NameOrNone = ""
    """Instead of a receiver: a policy of `rules.oncall`, by which people are paged until one answers."""
    match: dict[str, str] = {}
    """Labels of the incident that must be equal; ``severity``, ``service`` and ``scope`` count as labels."""
    priorities: tuple[Priority, ...] = ("P1", "P2", "P3", "P4")
    also: bool = False
    """Go on to the next routes as well."""

    @model_validator(mode="after")
    def _leads_to_one(self) -> Self:
        if bool(self.receiver) == bool(self.policy):
            raise ValueError("give receiver or policy, one of them")
        return self


class Receiver(Section):
    """Who is told, through which channels: the first that works, in this order."""

    channels: Annotated[tuple[Name, ...], Field(min_length=1)]


class DeliveryPolicy(Section):
    """How hard the outbox tries: waits double from `first_wait_s` up to `max_wait_s`; then the next channel."""

    attempts: Annotated[int, Field(ge=1, le=20)] = 4
    """Attempts per channel."""
    first_wait_s: Seconds = 2
    max_wait_s: Seconds = 300
    jitter_pct: Annotated[int, Field(ge=0, le=100)] = 0
    """Each wait is longer by up to so many hundredths, so that what failed together is not tried again together."""
    deadline_s: dict[Priority, Annotated[int, Field(ge=10)]] = {}
    """By priority: a message that its channel has not taken after so long goes to the next channel, if there is one."""
    notify: tuple[Literal["opened", "raised", "reopened", "resolved", "breached"], ...] = (
        "opened", "raised", "reopened", "resolved", "breached",
    )  # fmt: skip


class SlaTarget(Section):
    """Response and resolution promised for one priority, in seconds."""

    response_s: Seconds = 600
    resolution_s: Seconds = 7200


CONTRACT_TARGET = SlaTarget()


class Rules(AlertRules, Denoise):
    """Everything that the core decides by. Changing it is a `Configured` record."""

    grouping: Grouping = Grouping()
    triage: Triage = Triage()
    receivers: dict[Name, Receiver] = {}
    routes: tuple[Route, ...] = ()
    delivery: DeliveryPolicy = DeliveryPolicy()
    channel_care: ChannelCare = ChannelCare()
    """Channels proven alive, and what counts as failing."""
    sla: dict[Priority, SlaTarget] = {"P1": SlaTarget(), "P2": SlaTarget(), "P3": SlaTarget(), "P4": SlaTarget()}
    """R11.1: response within 10 minutes; R11.2: resolution within 2 hours."""
    expiry_s: dict[str, Seconds] = {
        "alertmanager_webhook": 86_400, "alertmanager_v2": 300, "generic_json": 300, "grafana": 86_400,
        "nightingale": 86_400, "cloudevents": 86_400, "otlp_logs": 300, "zabbix": 7 * 86_400, "pagerduty": 7 * 86_400,
    }  # fmt: skip
    """By source name, else by format: a firing alert without a stated end is taken as over after so long a silence.
    Alertmanager's webhook repeats itself only every repeat_interval, hence the day."""
    outage_label: str = "outage"
    """A label whose value ``business`` or ``database`` says that the whole system is down (annex 3)."""
    resolved_kept_s: Seconds = 3600
    """How long a resolved alert is remembered, so that its repeats are recognised (Prometheus repeats for 15 min)."""
    incident_kept_s: Annotated[int, Field(ge=3600, le=366 * 86_400)] = 30 * 86_400
    """How long the core remembers an incident that is over, from its last event: so long it can be reopened, and a new
    one of its group is called a recurrence. Log, archive and pages keep it for longer."""
    rollup_s: Annotated[int, Field(ge=1, le=3600)] = 60
    """Repeats are counted in the state and written to the log at least so often."""
    external_url: str = "http://127.0.0.1:8080"
    language: Language = "zh"
    timezone: str = "Asia/Shanghai"
    classification: Classifying = Classifying()
    """Where incidents belong: suggestions until a person says so, see [tickets](tickets.md)."""
    oncall: OnCall = OnCall()
    """People, schedules and escalation policies: see [on call](oncall.md)."""
    contracts: dict[Name, Contract] = {}
    """Service contracts that are assessed, by a short name: see [assessment](assessment.md)."""
    dispatch: Dispatch = Dispatch()
    """Notification groups as Alertmanager makes them, beside incidents; off without a `route`."""

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as unknown:
            raise ValueError(f"no time zone named {name!r}") from unknown
        return name

    @model_validator(mode="after")
    def _routes_lead_somewhere(self) -> Self:
        for index, route in enumerate(self.routes):
            if route.receiver and route.receiver not in self.receivers:
                raise ValueError(f"routes[{index}].receiver: no receiver named {route.receiver!r}")
            if route.policy and route.policy not in self.oncall.policies:
                raise ValueError(f"routes[{index}].policy: no policy named {route.policy!r}")
        for place, receivers in self.oncall.receivers_named():
            if unknown := [name for name in receivers if name not in self.receivers]:
                raise ValueError(f"oncall.{place}: no receiver named {unknown[0]!r}")
        return self

    def channels(self) -> Iterator[tuple[str, str]]:
        """Each place at which a receiver names a channel, and the channel."""
        for name, receiver in self.receivers.items():
            for channel in receiver.channels:
                yield f"receivers.{name}.channels", channel
        for place, channel in self.dispatch.channels():
            yield f"dispatch.{place}", channel
        for place, channels in self.oncall.channels_named():
            yield from ((f"oncall.{place}", channel) for channel in channels)

    def sla_target(self, priority: Priority) -> SlaTarget:
        """What is promised for `priority`; the contract's own figures where the rules are silent."""
        return self.sla.get(priority) or CONTRACT_TARGET

    def canonical(self) -> bytes:
        """The rules as canonical JSON: the body of a `Configured` record."""
        return self.model_dump_json().encode()

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, hex."""
        return digest_of(self.canonical())


def digest_of(body: bytes) -> str:
    """SHA-256 of the rules as they were journalled, hex: what `Configured` events name."""
    return hashlib.sha256(body).hexdigest()


# --- settings: this installation ---------------------------------------------------------------------------------


class Server(Section):
    """Where the web server listens. Anything but a loopback address needs `behind_tls_proxy`."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    behind_tls_proxy: bool = False
    max_body_bytes: Annotated[int, Field(ge=1024)] = 5 * 1024 * 1024
    session_hours: Annotated[int, Field(ge=1, le=720)] = 12
    second_factor_for: tuple[Literal["viewer", "operator", "manager", "admin"], ...] = ()
    """The roles that must give an authenticator app's code after their password. Who has none yet still signs in, and
    must enrol before anything else; everybody may enrol. See [security](security.md)."""
    alertmanager_api: Literal["token", "open"] = "token"
    """Who may use Alertmanager's API (``/api/v2``: amtool, karma, Grafana): who shows a user's API token, or everybody
    on this machine (``open``, as Alertmanager has it; on a loopback address without a proxy only)."""
    route_prefix: Annotated[str, Field(pattern=r"^(/[A-Za-z0-9._~-]+)*$")] = ""
    """What stands for Alertmanager (``/api/v2``, ``/-/``, ``/metrics``) is also served below this path: for senders
    and an amtool whose Alertmanager had ``--web.route-prefix``."""

    @model_validator(mode="after")
    def _open_only_behind_tls(self) -> Self:
        if not self.behind_tls_proxy and not _is_loopback(self.host):
            raise ValueError(
                f"host: {self.host!r} can be reached from other machines: put a proxy that speaks TLS in front and "
                "set behind_tls_proxy: true, or listen on 127.0.0.1"
            )
        if self.alertmanager_api == "open" and (self.behind_tls_proxy or not _is_loopback(self.host)):
            raise ValueError("alertmanager_api: open is for a loopback address without a proxy; others need a token")
        return self


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


class Store(WithSecrets):
    """The database that holds journal, log and projections: an SQLAlchemy URL for SQLite or PostgreSQL."""

    url: str = "sqlite:///var/tocsin.db"
    password: SecretStr | None = None
    password_file: Path | None = None
    chain: Literal["sha256", "hmac-sm3"] = "sha256"
    """How the events of the log are chained from now on. With ``hmac-sm3`` nobody without the key can forge one."""
    chain_key: SecretStr | None = None
    """The key for ``hmac-sm3``, 16 characters at least. Keep a copy elsewhere: without it the log cannot be checked."""
    chain_key_file: Path | None = None
    archive: Path | None = None
    """The folder of the compressed records that ``tocsin journal archive`` has taken out of the database."""
    max_pending: Annotated[int, Field(ge=1)] = 10_000
    """Records that may wait for their commit; beyond it senders get 503 with Retry-After."""
    snapshot_every: Annotated[int, Field(ge=1)] = 20_000
    """Records between snapshots of the core's state."""
    keep_details_days: Annotated[int, Field(ge=180)] = 400
    """How long pages and API show alerts, timeline, clocks and deliveries of an incident that is over, from its last
    event. Then these rows are removed; the incident itself and the log stay, and `tocsin projections rebuild` brings
    them back (R13 asks for 180 days)."""

    @model_validator(mode="after")
    def _keyed_chain_has_a_key(self) -> Self:
        if self.chain != "sha256" and not self.chain_key and not self.chain_key_file:
            raise ValueError(f"chain_key: is required for {self.chain}, or chain_key_file")
        return self


class Anchors(Section):
    """Where the head of the log is written down outside of the database, at regular times while serving."""

    file: Path | None = None
    """One line is added to it for each anchor. Keep it where the database's administrator cannot write."""
    syslog: Annotated[str, Field(pattern=r"^(/.+|.+:\d{1,5})?$")] = ""
    """A socket, ``/dev/log`` for example, or ``HOST:PORT`` (UDP); empty: none."""
    email: Name | None = None
    """The name of a channel of type ``email``: each anchor is mailed to its recipients as well."""
    every_h: Annotated[int, Field(ge=1, le=168)] = 24
    """Hours between anchors."""


class Source(WithSecrets):
    """One sender. `format` names the parser; `token` is what it must show as ``Authorization: Bearer``."""

    format: Literal[
        "alertmanager_webhook", "alertmanager_v2", "generic_json", "grafana", "zabbix", "nightingale", "pagerduty",
        "cloudevents", "otlp_logs", "changes",
    ]  # fmt: skip
    token: SecretStr | None = None
    token_file: Path | None = None


class Settings(Section):
    """The whole of `tocsin.yaml`."""

    server: Server = Server()
    store: Store = Store()
    anchors: Anchors = Anchors()
    reports: ReportMailing = ReportMailing()
    """Reports by e-mail, of each day, week or month: see [reports](reports.md)."""
    sources: dict[Name, Source] = {}
    channels: dict[Name, Channel] = {}
    links: Links = Links()
    """Links by which a paged person acknowledges from a phone, without signing in."""
    directory: dict[Name, Addresses] = {}
    """Where the people of `rules.oncall` are reached, by their key there. It is not part of the rules: numbers and
    addresses of people are never journalled, so that they can be corrected and forgotten."""
    templates: Path | None = None
    """A folder with message templates of your own, named as the built-in ones are: see [channels](channels.md)."""
    rules: Rules = Rules()
    cluster: Cluster | None = None
    """Absent: one process does everything. Present: this process is one of many, see docs/cluster.md."""
    shadow: Path | None = None
    """A file of rules that are judged beside those in force, live, and decide nothing; the page Rules compares both."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @model_validator(mode="after")
    def _channels_exist(self) -> Self:
        for place, channel in self.rules.channels():
            if channel not in self.channels:
                raise ValueError(f"rules.{place}: no channel named {channel!r}")
        for channel in self.rules.channel_care.probe_every_s:
            if channel not in self.channels:
                raise ValueError(f"rules.channel_care.probe_every_s: no channel named {channel!r}")
        for person, lacking in channels_without_address(self.rules.oncall, self.directory, self.channels):
            raise ValueError(f"directory.{person}: {lacking}")
        return self

    @model_validator(mode="after")
    def _cluster_meets_in_postgresql(self) -> Self:
        if self.cluster is not None and not self.store.url.startswith("postgresql"):
            raise ValueError("store.url: a cluster meets in PostgreSQL: postgresql://…")
        return self

    @model_validator(mode="after")
    def _anchors_and_reports_go_by_email(self) -> Self:
        for key, name in (("anchors", self.anchors.email), ("reports", self.reports.email)):
            if not name:
                continue
            if name not in self.channels:
                raise ValueError(f"{key}.email: no channel named {name!r}")
            kind = self.channels[name].type
            if kind != "email":
                raise ValueError(f"{key}.email: channel {name!r} is of type {kind}, expected one of type email")
        return self
