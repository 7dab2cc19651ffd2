"""Bodies cut by scope: nothing is lost, nothing changed, and the cores of the partitions decide as one core does."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.core import Core
from engine.runtime.cluster.routing import HOME, Cutter, partition_of
from schemas import events as e
from schemas import records as r
from schemas.config import Grouping, Receiver, Route, Rules
from sources import PARSERS

T0 = 1_767_585_600_000
RULES = Rules(receivers={"all": Receiver(channels=("mail",))}, routes=(Route(receiver="all"),))
CUTTER = Cutter(PARSERS, RULES.grouping)
FORMATS = ("alertmanager_webhook", "alertmanager_v2", "generic_json")


def body(format: str, alerts: list[Mapping[str, str]], *, firing: bool) -> bytes:
    """A request of the format with alerts of these labels."""
    ends = "0001-01-01T00:00:00Z" if firing else "2026-01-05T04:30:00Z"
    status = "firing" if firing else "resolved"
    items: list[dict[str, object]] = [
        {"labels": dict(labels), "annotations": {"summary": "bad"}, "startsAt": "2026-01-05T04:00:00Z"}
        for labels in alerts
    ]
    if format == "alertmanager_v2":
        return msgspec.json.encode([one if firing else one | {"endsAt": ends} for one in items])
    if format == "alertmanager_webhook":
        stated = [one | {"status": status, "endsAt": ends} for one in items]
        return msgspec.json.encode({"version": "4", "receiver": "x", "alerts": stated, "truncatedAlerts": 2})
    return msgspec.json.encode([one | {"alertname": "x", "status": status} for one in items])


def test_a_body_of_one_scope_stays_as_it_is() -> None:
    """Most senders send one scope at a time: their bytes are kept untouched."""
    for name in FORMATS:
        sent = body(name, [{"alertname": "a", "cluster": "prod"}, {"alertname": "b", "cluster": "prod"}], firing=True)
        cut = CUTTER.cut(name, sent, T0)
        assert [(one.scope, one.format, one.body) for one in cut.pieces] == [("prod", name, sent)]


@pytest.mark.parametrize("format", FORMATS)
def test_each_item_goes_to_its_scope_byte_for_byte(format: str) -> None:
    """The pieces are bodies of the same format, and hold every item verbatim and once."""
    scopes = ["prod", "test", "prod", ""]
    labels = [{"alertname": f"a{n}", "x": "  é\\", "cluster": scope} for n, scope in enumerate(scopes)]
    sent = body(format, labels, firing=True)
    cut = CUTTER.cut(format, sent, T0)
    assert [one.scope for one in cut.pieces] == ["prod", "test", HOME]
    got = [alert for one in cut.pieces for alert in PARSERS[format](one.body, T0)]
    assert sorted(map(repr, got)) == sorted(map(repr, PARSERS[format](sent, T0)))
    for item in msgspec.json.decode(sent, type=list[msgspec.Raw] if sent[:1] == b"[" else dict[str, msgspec.Raw]):
        if isinstance(item, msgspec.Raw):
            assert sum(bytes(item) in one.body for one in cut.pieces) == 1


def test_what_cannot_be_read_is_kept_and_told() -> None:
    """A bad item goes with the first scope, a bad body home, and both are named to the sender."""
    sent = b'[{"labels": {"alertname": "a", "cluster": "p"}}, 7, {"labels": {"alertname": "b", "cluster": "q"}}]'
    cut = CUTTER.cut("alertmanager_v2", sent, T0)
    assert (cut.received, len(cut.problems)) == (3, 1)
    assert [one.body.count(b"7") for one in cut.pieces] == [1, 0]
    unread = CUTTER.cut("alertmanager_v2", b"{", T0)
    assert [(one.scope, one.body) for one in unread.pieces] == [(HOME, b"{")]
    assert unread.problems


def test_home_is_partition_0_and_all_partitions_are_used() -> None:
    """What has no scope is decided where a single process decides it; other scopes spread."""
    assert {partition_of(HOME, number) for number in (1, 2, 12, 64)} == {0}
    assert {partition_of(f"scope-{number}", 12) for number in range(500)} == set(range(12))


def told(events: Iterable[e.Event]) -> dict[str, list[tuple[int, str, str, bytes]]]:
    """By scope, what was decided about incidents, clocks and deliveries: time, actor, subject, content."""
    by_scope: dict[str, list[tuple[int, str, str, bytes]]] = defaultdict(list)
    for one in events:
        if one.subject.startswith(("incident/", "delivery/")):
            by_scope[one.scope].append((one.at_ms, one.actor, one.subject, e.encode_data(one.data)))
    return dict(by_scope)


@example(253, 2)  # much falls due in one tick: a timer of one scope must not cut the batch of another
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 7))
def test_the_partitions_decide_what_one_core_decides(seed: int, partitions: int) -> None:
    """The same requests and ticks, whole to one core and cut to many: the same events in every scope."""
    dice = random.Random(seed)
    one, many = Core(PARSERS), [Core(PARSERS, partition=number) for number in range(partitions)]
    alone: list[e.Event] = []
    together: list[e.Event] = []
    configured = r.Configured(T0, "system", RULES.canonical())
    for core in (one, *many):
        core.handle(configured)
    at_ms = T0
    for _ in range(dice.randint(1, 25)):
        at_ms += dice.choice((10, 1000, 60_000, 700_000))
        for core, events in ((one, alone), *((core, together) for core in many)):
            events.extend(core.handle(r.Tick(at_ms)).events)
        name = dice.choice(FORMATS)
        labels = [
            {"alertname": f"a{dice.randint(0, 3)}", "service": dice.choice("xyz")}
            | ({"cluster": scope} if (scope := dice.choice(("", "c1", "c2", "c3", "c4"))) else {})
            for _ in range(dice.randint(1, 6))
        ]
        sent = body(name, labels, firing=dice.random() < 0.6)
        alone.extend(one.handle(r.Received(at_ms, "s", name, sent)).events)
        for piece in CUTTER.cut(name, sent, at_ms).pieces:
            core = many[partition_of(piece.scope, partitions)]
            together.extend(core.handle(r.Received(at_ms, "s", piece.format, piece.body)).events)
    assert told(together) == told(alone)


def test_other_labels_make_other_scopes() -> None:
    """The labels of the scope are those of the rules."""
    cutter = Cutter(PARSERS, Grouping(scope=("region",)))
    sent = body("alertmanager_v2", [{"alertname": "a", "region": "n", "cluster": "p"}], firing=True)
    assert [one.scope for one in cutter.cut("alertmanager_v2", sent, T0).pieces] == ["n"]
