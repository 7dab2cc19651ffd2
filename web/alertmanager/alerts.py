"""`GET /alerts` and `/alerts/groups`: the alerts that fire, alone or as receivers are told of them.

Very many are sent piece by piece: the loop serves others between two pieces, and memory holds one piece, not all. An
alert that comes or goes meanwhile may be in the answer or not; none is in it twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence, Set
from itertools import islice

import msgspec
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from schemas.label_order import alert_order, label_order
from schemas.live import AlertQuery, LiveAlert, LiveGroup, LiveState
from schemas.matchers import matches
from web.alertmanager import queries
from web.alertmanager.config_text import OWN_RECEIVER
from web.alertmanager.wire import AlertGroup, GettableAlert, Named, alert_of
from web.site import site_of

PIECE = 250
"""Alerts that are judged and written at a time: a few milliseconds."""

OWN_RECEIVERS = (OWN_RECEIVER,)

_encode = msgspec.json.encode


async def get_alerts(request: Request) -> Response:
    """The alerts that fire and match, by fingerprint; `limit` and `after` (a fingerprint) ask for a page of them."""
    query, limit = queries.alert_query(request), queries.limit(request)
    wanted = queries.receiver_filter(request)
    pieces = _pieces(site_of(request).runtime.live, query, wanted, limit)
    return await _streamed(pieces)


async def _streamed(pieces: AsyncIterator[bytes]) -> Response:
    """A JSON array of these pieces: at once if there is one, else as they come."""
    first = [piece async for piece in _up_to(pieces, 2)]
    if len(first) < 2:
        return Response(b"[" + b"".join(first) + b"]", media_type="application/json")

    async def body() -> AsyncIterator[bytes]:
        yield b"[" + b",".join(first)
        async for piece in pieces:
            yield b"," + piece
        yield b"]\n"

    return StreamingResponse(body(), media_type="application/json")


async def _up_to(pieces: AsyncIterator[bytes], number: int) -> AsyncIterator[bytes]:
    while number:
        try:
            yield await anext(pieces)
        except StopAsyncIteration:
            return
        number -= 1


def _joined(items: Iterable[object]) -> bytes:
    """The items of a JSON array without its brackets."""
    return _encode(list(items))[1:-1]


async def _pieces(
    live: Callable[[], LiveState], query: AlertQuery, wanted: Callable[[str], bool] | None, limit: int | None
) -> AsyncIterator[bytes]:
    left = -1 if limit is None else limit
    while left:
        # No `await` between asking for the live state and using it up.
        size = PIECE if left < 0 else min(PIECE, left)
        found = list(islice(_wanted(live(), query, wanted), size))
        if found:
            yield _joined(found)
        if len(found) < size:
            return
        left -= len(found) if left > 0 else 0
        query = replace(query, after=found[-1].fingerprint)
        await asyncio.sleep(0)


def _wanted(live: LiveState, query: AlertQuery, wanted: Callable[[str], bool] | None) -> Iterator[GettableAlert]:
    for alert in live.alerts(query):
        names = live.receivers(alert.fingerprint) or OWN_RECEIVERS
        if queries.any_wanted(names, wanted):
            yield alert_of(alert, [Named(name) for name in names])


# --- groups -------------------------------------------------------------------------------------------------------


async def get_groups(request: Request) -> Response:
    """The notification groups with the alerts of each that match."""
    query, wanted = queries.alert_query(request), queries.receiver_filter(request)
    shows_muted = queries.flag(request, "muted")
    live = site_of(request).runtime.live
    every = live().groups() if live().rules().dispatch.route is not None else await _incidents(live)
    groups = [group for group in every if wanted is None or wanted(group.receiver)]
    shown = await _shown(live, groups, query)
    receivers = _receivers(groups, shown)
    kept = [group for group in groups if shows_muted or not group.muted_by]
    kept.sort(key=lambda group: (label_order(group.labels), group.receiver))
    return await _streamed(_group_pieces(live, kept, shown, receivers))


async def _incidents(live: Callable[[], LiveState]) -> Sequence[LiveGroup]:
    """The incidents as groups, where there is no tree of routes; alerts that are held back make one group together."""
    rules, query = live().rules().grouping, AlertQuery()
    members: dict[str, list[str]] = {}
    labels: dict[str, dict[str, str]] = {}
    while some := list(islice(live().alerts(query), PIECE)):
        for alert in some:
            members.setdefault(alert.incident, []).append(alert.fingerprint)
            if alert.incident not in labels:
                by = [name for name in rules.by if name in alert.labels] or rules.fallback
                named = {name: alert.labels[name] for name in by if name in alert.labels}
                labels[alert.incident] = {"incident": alert.incident, **named} if alert.incident else {}
        query = replace(query, after=some[-1].fingerprint)
        await asyncio.sleep(0)
    return [LiveGroup(key, key, OWN_RECEIVER, labels[key], alerts) for key, alerts in members.items()]


async def _shown(live: Callable[[], LiveState], groups: Sequence[LiveGroup], query: AlertQuery) -> Set[str]:
    """The fingerprints of all these groups that are asked for."""
    shown: set[str] = set()
    members = iter(dict.fromkeys(fingerprint for group in groups for fingerprint in group.alerts))
    while some := list(islice(members, PIECE)):
        alerts = (alert for alert in map(live().alert, some) if alert is not None)
        shown.update(alert.fingerprint for alert in alerts if _is_asked_for(alert, query))
        await asyncio.sleep(0)
    return shown


def _is_asked_for(alert: LiveAlert, query: AlertQuery) -> bool:
    if not alert.firing or not matches(query.matchers, alert.labels):
        return False
    if alert.state == "active":
        return query.active
    return (query.silenced or not alert.silenced_by) and (query.inhibited or not alert.inhibited_by)


def _receivers(groups: Sequence[LiveGroup], shown: Set[str]) -> dict[str, list[Named]]:
    """Who is told of each alert, by name."""
    names: dict[str, list[str]] = {}
    for group in groups:
        for fingerprint in group.alerts:
            if fingerprint in shown:
                names.setdefault(fingerprint, []).append(group.receiver)
    return {fingerprint: [Named(name) for name in sorted(found)] for fingerprint, found in names.items()}


async def _group_pieces(
    live: Callable[[], LiveState],
    groups: Sequence[LiveGroup],
    shown: Set[str],
    receivers: Mapping[str, Sequence[Named]],
) -> AsyncIterator[bytes]:
    ready: list[AlertGroup] = []
    size = 0
    for group in groups:
        wanted = [fingerprint for fingerprint in group.alerts if fingerprint in shown]
        alerts = [alert for alert in map(live().alert, wanted) if alert is not None]
        if not alerts:
            continue
        alerts.sort(key=lambda alert: alert_order(alert.labels))
        seen = [alert_of(alert, receivers[alert.fingerprint], group.muted_by) for alert in alerts]
        ready.append(AlertGroup(seen, group.labels, Named(group.receiver)))
        size += len(seen)
        if size >= PIECE:
            yield _joined(ready)
            ready, size = [], 0
            await asyncio.sleep(0)
    if ready:
        yield _joined(ready)
