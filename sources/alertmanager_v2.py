"""Prometheus, vmalert or Loki straight to Tocsin: the JSON array of ``POST /api/v2/alerts``.

Rules (Alertmanager `api/v2/api.go`): no start means now, or the end if that is earlier; an end that has passed means
resolved; an end to come is when the sender's silence means resolved; no end leaves that to the core. Valid items count
even if others are bad. This is the hot path: a re-sent alert costs a typed decode and four dictionary look-ups.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from schemas.alerts import Alert, Rejected
from schemas.errors import InvalidPayload
from schemas.wire.alertmanager import WireAlert
from sources.items import body_of, each, however_deep_the_caller, moment, rejected
from sources.label_sets import canonical_annotations, canonical_labels, without_nul

_all = msgspec.json.Decoder(list[WireAlert])
_raw_items = msgspec.json.Decoder(list[msgspec.Raw])
_one = msgspec.json.Decoder(WireAlert)


@however_deep_the_caller
def parse(body: bytes, at_ms: int) -> Sequence[Alert | Rejected]:
    """The alerts of one request, in order; raises InvalidPayload when the body is not a JSON array."""
    try:
        items = _all.decode(body)
    except ValueError:  # somewhere a bad item: find it, and keep the others
        raws = body_of(_raw_items, body)
        return each(raws, _one, lambda item: _alert(item, at_ms), "$")
    answers: list[Alert | Rejected] = []
    for item in items:
        try:
            answers.append(_alert(item, at_ms))
        except InvalidPayload as bad:
            answers.append(rejected(f"$[{len(answers)}]", bad))
    return answers


def _alert(item: WireAlert, at_ms: int) -> Alert:
    labels = canonical_labels[bytes(item.labels)]
    annotations = canonical_annotations[bytes(item.annotations)]
    starts, ends, url = item.startsAt, item.endsAt, item.generatorURL or ""
    if "\0" in url:
        url = without_nul(url)
    starts_ms = moment(starts, "startsAt") if starts else None
    ends_ms = moment(ends, "endsAt") if ends else None
    if ends_ms is None:
        return Alert(labels, "firing", at_ms if starts_ms is None else starts_ms, None, annotations, url)
    if starts_ms is None:
        starts_ms = min(at_ms, ends_ms)
    elif ends_ms < starts_ms:
        raise InvalidPayload("expected an end that is not before the start", place="endsAt")
    return Alert(labels, "resolved" if ends_ms <= at_ms else "firing", starts_ms, ends_ms, annotations, url)
