"""What a channel answers to one attempt."""

from __future__ import annotations

import msgspec

from schemas.events import Notice


class Receipt(msgspec.Struct, frozen=True):
    """The channel's own confirmation: the vendor's success code, verbatim, and its message id where it gives one."""

    vendor_code: str = ""
    vendor_message_id: str = ""


class PendingDelivery(msgspec.Struct, frozen=True):
    """An attempt that the core has ordered and no answer is known of.

    `started` says that the attempt had already been handed to the channel (before a crash): it may have arrived.
    """

    delivery: str
    channel: str
    attempt: int
    notice: Notice
    started: bool = False
