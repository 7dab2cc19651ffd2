"""Given the steps of deliveries, the rows tell who was told and how the channels answered."""

from __future__ import annotations

import pytest

from projections.deliveries import DeliveryProjection, DeliveryRow, channel_health, of_incident, recent
from schemas import events as e
from schemas.channel_care import DEADLINE
from tests.events import MINUTE_MS, T0, EventLog, requested
from tests.unit.projections.conftest import Given


def delivery_after(given: Given, *steps: e.EventData) -> DeliveryRow:
    """D-1 after these steps, by mail and then by ding."""
    (delivery,) = recent(given(DeliveryProjection(), EventLog(requested("D-1", channels=["mail", "ding"]), *steps)), 5)
    return delivery


@pytest.mark.parametrize(
    ("steps", "state", "channel", "attempt"),
    [
        ([], "requested", "mail", 0),
        ([e.DeliveryDue("D-1", "mail", 1)], "requested", "mail", 1),
        ([e.DeliveryStarted("D-1", "mail", 1)], "started", "mail", 1),
        ([e.DeliveryRetryScheduled("D-1", "mail", 1, T0, "busy")], "retrying", "mail", 0),
        ([e.DeliveryRetryScheduled("D-1", "mail", 1, T0, "no", next_channel="ding")], "retrying", "ding", 0),
        ([e.DeliveryStarted("D-1", "mail", 1), e.DeliverySucceeded("D-1", "mail", 1)], "succeeded", "mail", 1),
        ([e.DeliveryDue("D-1", "ding", 4), e.DeliveryFailed("D-1", 4, "no")], "failed", "ding", 4),
        ([e.DeliveryUnconfirmed("D-1", "mail", 1, "timed out")], "unconfirmed", "mail", 0),
        ([e.DeliveryCancelled("D-1", "acknowledged")], "cancelled", "mail", 0),
    ],
)
def test_the_state_follows_from_the_steps(
    given: Given, steps: list[e.EventData], state: str, channel: str, attempt: int
) -> None:
    """Each step leads to its state, on its channel, with its number."""
    delivery = delivery_after(given, *steps)
    assert (delivery.state, delivery.channel, delivery.attempt) == (state, channel, attempt)
    ended = state in ("succeeded", "failed", "unconfirmed", "cancelled")
    assert delivery.finished_ms == (T0 + len(steps) * MINUTE_MS if ended else None)


def test_a_failure_keeps_the_vendor_s_words(given: Given) -> None:
    """Reason and code stand as the vendor said them."""
    delivery = delivery_after(given, e.DeliveryFailed("D-1", 1, "sign not match", "310000"))
    assert (delivery.reason, delivery.vendor_code) == ("sign not match", "310000")
    assert (delivery.receiver, delivery.kind, delivery.incident) == ("oncall", "opened", "INC-1")


def test_a_channel_s_health_counts_its_own_answers(given: Given) -> None:
    """A retried failure counts for the channel that refused, the success for the one that took it."""
    log = EventLog(
        requested("D-1", channels=["mail", "ding"]),
        e.DeliveryStarted("D-1", "mail", 1),
        e.DeliveryRetryScheduled("D-1", "mail", 1, T0, "no such user", "550", "ding"),
        e.DeliveryStarted("D-1", "ding", 2),
        e.DeliverySucceeded("D-1", "ding", 2, "0"),
        requested("D-2", channels=["ding"]),
        e.DeliveryUnconfirmed("D-2", "ding", 1, "timed out"),
        requested("D-3", channels=["mail"]),
        e.DeliveryDue("D-3", "mail", 1),
        e.DeliveryFailed("D-3", 1, "quota"),
        requested("D-4", channels=["sms"]),
        e.DeliveryCancelled("D-4", "resolved"),
    )
    ding, mail = channel_health(given(DeliveryProjection(), log))
    assert (ding.channel, ding.succeeded, ding.failed, ding.unconfirmed) == ("ding", 1, 0, 1)
    assert (ding.last_success_ms, ding.last_failure_ms) == (T0 + 4 * MINUTE_MS, None)
    assert (mail.channel, mail.succeeded, mail.failed, mail.unconfirmed) == ("mail", 0, 2, 0)
    assert (mail.last_failure_ms, mail.last_failure_reason) == (T0 + 9 * MINUTE_MS, "quota")


def test_a_channel_shows_since_when_it_fails_and_when_it_was_last_proven(given: Given) -> None:
    """R1.8: the latest attempts in order, the latest test that was taken, and the time of a failure that lasts."""
    log = EventLog(
        requested("T-1", channels=["ding"], kind="test"),
        e.DeliveryStarted("T-1", "ding", 1),
        e.DeliverySucceeded("T-1", "ding", 1, "0"),
        requested("D-1", channels=["ding", "mail"]),
        e.DeliveryRetryScheduled("D-1", "ding", 0, T0, DEADLINE, "", "mail"),
        requested("D-2", channels=["ding"]),
        e.DeliveryFailed("D-2", 1, "robot disabled"),
        e.ChannelFailing("ding", 1, 1, 2, "robot disabled"),
    )
    [ding] = channel_health(given(DeliveryProjection(), log))
    assert (ding.latest, ding.last_probe_ms, ding.failing_since_ms) == ("+-", T0 + 2 * MINUTE_MS, T0 + 7 * MINUTE_MS)


def test_a_failure_that_is_over_is_shown_no_more(given: Given) -> None:
    """The first message that is taken ends it."""
    log = EventLog(e.ChannelFailing("ding", 1, 1, 2, "gone"), e.ChannelRecovered("ding", T0))
    [ding] = channel_health(given(DeliveryProjection(), log))
    assert ding.failing_since_ms is None


def test_lists_are_by_time_and_by_incident(given: Given) -> None:
    """Recent ones come newest first; an incident's own, oldest first."""
    log = EventLog(requested("D-1", "INC-1"), requested("D-2", "INC-2"), requested("D-3", "INC-1"))
    conn = given(DeliveryProjection(), log)
    assert [row.delivery for row in recent(conn, 2)] == ["D-3", "D-2"]
    assert [row.delivery for row in of_incident(conn, "INC-1")] == ["D-1", "D-3"]


def test_a_delivery_without_a_beginning_is_a_bad_event(given: Given) -> None:
    """A step of a delivery that nobody requested cannot be placed."""
    with pytest.raises(LookupError, match="D-9 has no beginning"):
        given(DeliveryProjection(), EventLog(e.DeliveryStarted("D-9", "mail", 1)))
