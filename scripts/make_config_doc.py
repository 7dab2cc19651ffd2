"""Writes docs/configuration.md from `schemas.config`, so that no key is undocumented and no default is out of date.

Run it as `.venv/bin/python -m scripts.make_config_doc`.
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
import types
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec
from annotated_types import Ge, Le, MinLen
from pydantic import BaseModel, PlainSerializer, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from schemas import (
    alert_rules,
    channel_care,
    channels,
    classifying,
    clusters,
    config,
    directory,
    dispatch,
    links,
    oncall,
    time_intervals,
)
from schemas.durations import duration_text

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "configuration.md"

SECTIONS: Final[tuple[tuple[str, type[BaseModel]], ...]] = (
    ("", config.Settings),
    ("server", config.Server),
    ("store", config.Store),
    ("anchors", config.Anchors),
    ("cluster", clusters.Cluster),
    ("sources.NAME", config.Source),
    ("channels.NAME", config.EmailChannel),
    ("channels.NAME", config.DingTalkChannel),
    ("channels.NAME", channels.WeComChannel),
    ("channels.NAME", channels.WeComAppChannel),
    ("channels.NAME", channels.FeishuChannel),
    ("channels.NAME", channels.SlackChannel),
    ("channels.NAME", channels.AliyunSmsChannel),
    ("channels.NAME", channels.AliyunVoiceChannel),
    ("channels.NAME", channels.TencentSmsChannel),
    ("channels.NAME", channels.TencentVoiceChannel),
    ("channels.NAME", channels.SmppChannel),
    ("channels.NAME", config.WebhookChannel),
    ("channels.NAME", config.AppriseChannel),
    ("channels.NAME", channels.AlertmanagerWebhookChannel),
    ("rules", config.Rules),
    ("rules.enrichment[]", alert_rules.Table),
    ("rules.alert_rules[]", alert_rules.AlertRule),
    ("rules.alert_rules[].then", alert_rules.Then),
    ("rules.service_map[]", alert_rules.ServiceDependencies),
    ("rules.correlation[]", alert_rules.CorrelationRule),
    ("rules.grouping", config.Grouping),
    ("rules.triage", config.Triage),
    ("rules.receivers.NAME", config.Receiver),
    ("rules.routes[]", config.Route),
    ("links", links.Links),
    ("directory.PERSON", directory.Addresses),
    ("rules.classification", classifying.Classifying),
    ("rules.classification.rules[]", classifying.ClassificationRule),
    ("rules.oncall", oncall.OnCall),
    ("rules.oncall.people.NAME", oncall.Person),
    ("rules.oncall.teams.NAME", oncall.Team),
    ("rules.oncall.schedules.NAME", oncall.Schedule),
    ("rules.oncall.schedules.NAME.layers[]", oncall.Layer),
    ("rules.oncall.policies.NAME", oncall.Policy),
    ("rules.oncall.policies.NAME.steps[]", oncall.PolicyStep),
    ("rules.oncall.policies.NAME.steps[].only", oncall.Condition),
    ("….hours", oncall.Hours),
    ("rules.delivery", config.DeliveryPolicy),
    ("rules.channel_care", channel_care.ChannelCare),
    ("rules.sla.PRIORITY", config.SlaTarget),
    ("rules.dispatch", dispatch.Dispatch),
    ("rules.dispatch.route", dispatch.DispatchRoute),
    ("rules.dispatch.receivers.NAME", dispatch.DispatchReceiver),
    ("rules.dispatch.receivers.NAME.integrations[]", dispatch.Integration),
    ("rules.dispatch.time_intervals.NAME[]", time_intervals.TimeInterval),
    ("rules.dispatch.time_intervals.NAME[].times[]", time_intervals.TimeRange),
)
"""Where each section stands in the file, in the order of the page."""

MEANINGS: Final[dict[str, str]] = {
    "Settings.server": "Where the web server listens.",
    "Settings.store": "The database.",
    "Settings.anchors": "The head of the log, kept outside of the database.",
    "Settings.sources": "Who may send alerts, by name. The name is the last part of `/hooks/NAME`.",
    "Settings.channels": "How messages leave, by name.",
    "Settings.rules": "What the core decides by; journalled whenever it changes.",
    "Settings.log_level": "How much the program says about itself on standard error.",
    "Server.host": "The address to listen on. Other than loopback only with `behind_tls_proxy`.",
    "Server.port": "The port; 0 takes a free one.",
    "Server.behind_tls_proxy": "A proxy that speaks TLS stands in front.",
    "Server.max_body_bytes": "The largest body that is taken, also after unpacking.",
    "Server.session_hours": "How long a session in the console lasts at most.",
    "Store.url": "`sqlite:///FILE` or `postgresql://USER@HOST/DATABASE`.",
    "Store.password": "The password for PostgreSQL, better here than in the URL.",
    "Source.format": "The parser: see [formats](formats.md).",
    "Source.token": "What the sender must show as `Authorization: Bearer`. Without it, anybody may send.",
    "EmailChannel.host": "The mail server.",
    "EmailChannel.port": "Its port.",
    "EmailChannel.security": "`starttls` or `tls` encrypt the connection.",
    "EmailChannel.username": "Sign in with this name; empty: do not sign in.",
    "EmailChannel.password": "The password for it.",
    "EmailChannel.sender": "The From address.",
    "EmailChannel.to": "The addresses that get the message.",
    "EmailChannel.timeout_s": "Seconds for one attempt.",
    "DingTalkChannel.token": "The robot's `access_token`.",
    "DingTalkChannel.secret": "The key for signing, if the robot wants signatures (`SEC…`).",
    "DingTalkChannel.at_mobiles": "Mobile numbers to mention.",
    "DingTalkChannel.base_url": "Another address, for private clouds and tests.",
    "DingTalkChannel.timeout_s": "Seconds for one attempt.",
    "WebhookChannel.url": "Where to POST, `http://` or `https://`. See [formats](formats.md) for the body.",
    "WebhookChannel.token": "Sent as `Authorization: Bearer`.",
    "WebhookChannel.timeout_s": "Seconds for one attempt.",
    "AppriseChannel.url": "Any URL that Apprise knows.",
    "AppriseChannel.timeout_s": "Seconds for one attempt.",
    "Rules.grouping": "Which alerts make one incident.",
    "Rules.triage": "From labels to severity and priority.",
    "Rules.receivers": "Who is told, by name.",
    "Rules.routes": "Which receiver is told of which incident. No route matches: nobody is told.",
    "Rules.delivery": "How hard the outbox tries.",
    "Rules.external_url": "How people reach the console; it leads every link in a message.",
    "Rules.language": "The language of messages.",
    "Rules.timezone": "The IANA time zone of messages, days and reports.",
    "Table.rows": "The rows: column → value.",
    "Table.name": "What it is called in answers and errors.",
    "AlertRule.name": "What it is called in answers, counts and errors.",
    "AlertRule.when": "A condition in CEL. See [rules](rules.md).",
    "AlertRule.then": "What becomes of the alerts that it is about.",
    "Then.severity": "The severity that they get.",
    "ServiceDependencies.service": "The service.",
    "ServiceDependencies.depends_on": "What it needs to work.",
    "CorrelationRule.name": "What it is called in reasons.",
    "Grouping.by": "Alerts with equal values of these labels make one incident.",
    "Grouping.fallback": "The same, where an alert has none of `by`.",
    "Triage.severity_label": "The label that states the severity.",
    "Triage.severities": "The sender's words for a severity, in lower case, and ours.",
    "Triage.default_severity": "The severity where the label is absent or its word unknown.",
    "Receiver.channels": "Names of channels: the first that works, in this order.",
    "Route.receiver": "The receiver that is told.",
    "Route.priorities": "Only incidents of these priorities.",
    "DeliveryPolicy.first_wait_s": "The first wait between attempts; each further one is twice as long.",
    "DeliveryPolicy.max_wait_s": "The longest wait.",
    "DeliveryPolicy.notify": "The kinds of notice that are sent at all.",
    "SlaTarget.response_s": "Seconds until somebody has taken notice.",
    "SlaTarget.resolution_s": "Seconds until the trouble is over.",
}
"""For the keys that `schemas.config` explains by their names alone."""

HEAD: Final = """\
# Configuration

`tocsin.yaml` is read once, at the start. Without `--config FILE` (or `TOCSIN_CONFIG`) it is `./tocsin.yaml`; without
that file, the defaults below hold. An unknown key is an error. After a change: `tocsin config check`, then
`SIGHUP` for what stands under `channels` and `rules`, a restart for the rest.
`tocsin config show` prints everything in force, secrets hidden.

- A secret `x` may be given as `x_file` instead: a file to read it from, relative to the folder of `tocsin.yaml`.
- `NAME` is yours to choose: lower-case letters, digits, `_`, `.`, `-`; 63 characters at most.
- Keys ending in `_s` are seconds. A span of time has units: `30s`, `1h30m`, `500ms`.
- What stands under `rules` is journalled, and each opened incident names the version of the rules that it was judged
  by. Everything else, secrets above all, stays in the file.

This page is made by `.venv/bin/python -m scripts.make_config_doc` from `schemas/config.py`. Do not edit it.
"""


def page() -> str:
    """The whole page."""
    return HEAD + "".join(_section(place, section) for place, section in SECTIONS)


def unexplained() -> list[str]:
    """Keys without a meaning, and meanings without a key: both are mistakes."""
    wanted = {
        f"{section.__name__}.{name}"
        for _, section in SECTIONS
        for name in section.model_fields
        if name != "type" and not _is_twin(section, name)
    }
    explained = {f"{section.__name__}.{name}" for _, section in SECTIONS for name in _docstrings(section)}
    return sorted((wanted - explained - MEANINGS.keys()) | (MEANINGS.keys() - wanted) | (MEANINGS.keys() & explained))


def _section(place: str, section: type[BaseModel]) -> str:
    kind = section.model_fields.get("type")
    title = (f"`{place}`" if place else "The file") + (f", `type: {kind.default}`" if kind is not None else "")
    lines = [f"\n## {title}\n", f"{_sentence(section)}\n"]
    lines += ["| key | type | default | meaning |", "| --- | --- | --- | --- |"]
    own = _docstrings(section)
    for name, field in section.model_fields.items():
        if _is_twin(section, name):
            continue
        meaning = own.get(name) or MEANINGS.get(f"{section.__name__}.{name}") or _kind(section, name)
        cells = (f"`{field.alias or name}`", _type(field), _default(field, section, name), meaning)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _sentence(section: type[BaseModel]) -> str:
    return " ".join(inspect.cleandoc(section.__doc__ or "").split()).replace("``", "`")


def _kind(section: type[BaseModel], name: str) -> str:
    assert name == "type", f"{section.__name__}.{name} has no meaning: explain it in schemas.config or in MEANINGS"
    return "Which kind of channel this is."


def _is_twin(section: type[BaseModel], name: str) -> bool:
    return name.endswith("_file") and name[:-5] in section.model_fields


def _docstrings(section: type[BaseModel]) -> dict[str, str]:
    """The strings that stand below the fields of a section, those of the sections that it is made of included."""
    found: dict[str, str] = {}
    for base in section.__mro__:
        if base.__module__.startswith("schemas."):
            found = _own_docstrings(base, section) | found
    return found


def _own_docstrings(base: type, section: type[BaseModel]) -> dict[str, str]:
    node = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
    assert isinstance(node, ast.ClassDef)
    found: dict[str, str] = {}
    for field, text in zip(node.body, node.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and field.target.id in section.model_fields
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
        ):
            found[field.target.id] = " ".join(str(text.value.value).split()).replace("``", "`")
    return found


def _type(field: FieldInfo) -> str:
    if _is_span(field.metadata):
        return "span of time"
    words = _words(field.annotation)
    bounds = list(_bounds(field.metadata))
    return f"{words}, {' and '.join(bounds)}" if bounds else words


def _words(wanted: Any) -> str:
    origin, inner = get_origin(wanted), get_args(wanted)
    if origin is Annotated:
        return "span of time" if _is_span(inner[1:]) else _words(inner[0])
    if origin is Literal:
        return ", ".join(f"`{one}`" for one in inner)
    if origin in (Union, types.UnionType):
        members = [member for member in inner if member is not types.NoneType]
        return _words(members[0]) if len(members) == 1 else "section, by its `type`"
    if origin is tuple:
        return f"list of {_words(inner[0])}" if Ellipsis in inner else f"{len(inner)} of {_words(inner[0])}"
    if origin is dict:
        return f"mapping: {_words(inner[0])} → {_words(inner[1])}"
    if isinstance(wanted, type) and issubclass(wanted, BaseModel):
        return "section"
    plain = {str: "text", int: "whole number", bool: "`true`, `false`", SecretStr: "secret", Path: "path of a file",
             datetime: "date and time"}  # fmt: skip
    return plain[wanted]


def _is_span(metadata: Sequence[Any]) -> bool:
    return any(isinstance(one, PlainSerializer) and one.func is duration_text for one in metadata)


def _bounds(metadata: list[Any]) -> Iterator[str]:
    for bound in metadata:
        match bound:
            case Ge(ge=least):
                yield f"at least {least}"
            case Le(le=most):
                yield f"at most {most}"
            case MinLen(min_length=least):
                yield f"at least {least}"


def _default(field: FieldInfo, section: type[BaseModel], name: str) -> str:
    if name in getattr(section, "required_secrets", ()) or field.is_required():
        return "required"
    value = field.default
    assert value is not PydanticUndefined, f"{section.__name__}.{name}: a default that only a factory knows"
    if value is None or value in ("", {}, ()):
        return "–"
    if isinstance(value, BaseModel):
        return "its own defaults"
    if _is_span(field.metadata):
        return f"`{duration_text(value)}`"
    plain = {key: _plain(one) for key, one in value.items()} if isinstance(value, dict) else _plain(value)
    return "see its section" if plain == "section" else f"`{msgspec.json.encode(plain).decode()}`"


def _plain(value: object) -> object:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value


def main() -> None:
    """Write the page."""
    wrong = unexplained()
    if wrong:
        sys.exit(f"make_config_doc: explain in schemas.config or in MEANINGS, once each: {', '.join(wrong)}")
    PAGE.write_text(page(), "utf-8")


if __name__ == "__main__":
    main()
