"""What Alertmanager's API v2 answers. Field names are its own; the source is `api/v2/openapi.yaml`."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec
from starlette.responses import Response

from schemas.live import LiveAlert, LiveSilence
from schemas.silences import SilenceState

State = Literal["unprocessed", "active", "suppressed"]


class Named(msgspec.Struct, frozen=True, gc=False):
    """A receiver where only its name counts."""

    name: str


class AlertStatus(msgspec.Struct, frozen=True, gc=False):
    """Whether it is quiet, and by what."""

    inhibitedBy: Sequence[str]
    mutedBy: Sequence[str]
    silencedBy: Sequence[str]
    state: State


class GettableAlert(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One alert."""

    annotations: Mapping[str, str]
    endsAt: str
    fingerprint: str
    receivers: Sequence[Named]
    startsAt: str
    status: AlertStatus
    updatedAt: str
    labels: Mapping[str, str]
    generatorURL: str = ""


class AlertGroup(msgspec.Struct, frozen=True):
    """A notification group. Tocsin knows no labels of routes."""

    alerts: Sequence[GettableAlert]
    labels: Mapping[str, str]
    receiver: Named
    routeLabels: Mapping[str, str] = {}


class SilenceStatus(msgspec.Struct, frozen=True):
    """Where a silence stands."""

    state: SilenceState


class WireMatcher(msgspec.Struct, frozen=True):
    """One condition of a silence."""

    name: str
    value: str
    isRegex: bool
    isEqual: bool = True


class GettableSilence(msgspec.Struct, frozen=True, omit_defaults=True):
    """One silence."""

    id: str
    status: SilenceStatus
    updatedAt: str
    comment: str
    createdBy: str
    endsAt: str
    matchers: Sequence[WireMatcher]
    startsAt: str
    annotations: Mapping[str, str] = {}


def alert_of(alert: LiveAlert, receivers: Sequence[Named], muted_by: Sequence[str] = ()) -> GettableAlert:
    """One alert as the API shows it; `muted_by` names the time intervals in which its group is quiet.

    Maintenance windows count as such intervals. Without an end of its own it ends when its sender's silence says so.
    """
    muted = (*alert.maintained_by, *muted_by)
    return GettableAlert(
        annotations=alert.annotations,
        endsAt=moment(alert.expires_ms if alert.ends_ms is None else alert.ends_ms),
        fingerprint=alert.fingerprint,
        receivers=receivers,
        startsAt=moment(alert.starts_ms),
        status=AlertStatus(alert.inhibited_by, muted, alert.silenced_by, "suppressed" if muted else alert.state),
        updatedAt=moment(alert.updated_ms),
        labels=alert.labels,
        generatorURL=alert.generator_url,
    )


def silence_of(live: LiveSilence) -> GettableSilence:
    """One silence as the API shows it."""
    silence = live.silence
    matchers = [WireMatcher(one.name, one.value, one.is_regex, one.is_equal) for one in silence.matchers]
    return GettableSilence(
        id=silence.id,
        status=SilenceStatus(live.state),
        updatedAt=moment(silence.updated_ms),
        comment=silence.comment,
        createdBy=silence.created_by,
        endsAt=moment(silence.ends_ms),
        matchers=matchers,
        startsAt=moment(silence.starts_ms),
        annotations=silence.annotations,
    )


def moment(at_ms: int) -> str:
    """RFC 3339 in UTC with milliseconds, as Alertmanager writes it.

    >>> moment(1_767_323_045_678)
    '2026-01-02T03:04:05.678Z'
    """
    seconds, ms = divmod(at_ms, 1000)
    return f"{_second(seconds)}.{ms:03d}Z"


@functools.lru_cache(maxsize=16_384)
def _second(since_epoch: int) -> str:
    try:
        return datetime.fromtimestamp(since_epoch, UTC).isoformat()[:19]
    except (OverflowError, ValueError):  # a sender's clock may say anything
        return "9999-12-31T23:59:59" if since_epoch > 0 else "0001-01-01T00:00:00"


def answer(content: object, status: int = 200) -> Response:
    """An answer in JSON; texts are JSON strings, as Alertmanager's refusals are."""
    return Response(msgspec.json.encode(content), status, media_type="application/json")


def problem(code: int, message: str, status: int | None = None) -> Response:
    """What Alertmanager's generated code answers to a request that does not fit its description."""
    return answer({"code": code, "message": message}, status or code)
