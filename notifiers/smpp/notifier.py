"""The SMPP channel: bind to the gateway, submit one short message to each number, and wait for its own answers.

Specification: SMPP v3.4, 4.4 (SUBMIT_SM) and 5.1.3 (command_status).
"""

from __future__ import annotations

import asyncio
import contextlib

import msgspec
import smpp34

from notifiers.phones import domestic, masked
from notifiers.ratelimit import Rate
from notifiers.redaction import keep_out_of_logs, redacted
from notifiers.rendering import headline, one_line
from schemas.channels import SmppChannel
from schemas.deliveries import Receipt
from schemas.errors import ConfigError, DeliveryError
from schemas.events import Notice

UNITS = 70
"""A short message takes 140 bytes: 70 units of UTF-16."""
LINK_UNITS = 45
"""A longer link leaves no room to say what it is about, and is left out."""
UCS2 = 0x08
"""`data_coding` for UTF-16, big-endian."""
THROTTLED_S = 5
OCTETS = {"password": 8, "system_id": 15, "sender": 20}
"""SMPP v3.4, 4.1.1 and 4.4.1, without the ending NUL."""
_PASSING = {
    0x08: "the gateway has a system error",
    0x14: "the gateway's queue is full",
    0x45: "the gateway could not submit it",
    0x58: "the gateway throttles",
    0x64: "the gateway has a temporary error",
    0xFF: "the gateway has an unknown error",
}
"""`command_status` values after which the same message may be taken later; every other refusal is final."""
_BIND_FINAL = ("RINVPASWD", "RINVSYSID", "RBINDFAIL", "RINVBNDSTS")


class Short(msgspec.Struct, frozen=True):
    """One short message's text, in at most 70 units of UTF-16, and whom it goes to."""

    text: str
    phones: tuple[str, ...]


class SmppNotifier:
    """Tells people by SMS through a gateway. Some numbers refused still counts as told: the receipt names them."""

    rate: Rate | None = None

    def __init__(self, name: str, channel: SmppChannel) -> None:
        """Raises ConfigError without a password, and for what is longer than SMPP has room for."""
        if channel.password is None:
            raise ConfigError("give password or password_file", key=f"channels.{name}.password")
        self._channel, self._password = channel, channel.password.get_secret_value()
        for key, value in (("password", self._password), ("system_id", channel.system_id), ("sender", channel.sender)):
            if not value.isascii() or len(value) > OCTETS[key]:
                raise ConfigError(f"SMPP takes {OCTETS[key]} ASCII characters at most", key=f"channels.{name}.{key}")
        self.robot = f"smpp:{channel.host}:{channel.port}:{channel.system_id}"
        keep_out_of_logs(self._password)

    def render(self, notice: Notice) -> Short:
        """Headline and link; the headline gives way."""
        link = f" {notice.url}" if notice.url and units(notice.url) < LINK_UNITS else ""
        phones = (notice.kind == "test" and self._channel.test_phones) or self._channel.phones
        return Short(fit(headline(notice), UNITS - units(link)) + link, phones)

    async def deliver(self, payload: Short, *, delivery: str) -> Receipt:
        """One session, all of it within the channel's `timeout_s`. SMPP has no place for `delivery`.

        No answer to a message that was submitted means that it may have been taken.
        """
        client = self._client()
        taken: list[str] = []
        refused: dict[str, int] = {}
        submitting = False
        try:
            async with asyncio.timeout(self._channel.timeout_s):
                gateway = await client.connect()
                for phone in payload.phones:
                    submitting = True
                    answer = await self._submit(gateway, phone, payload.text)
                    if answer.is_success:
                        taken.append(answer.message_id or "")
                    else:
                        refused[phone] = answer.command_status
                    submitting = False
                with contextlib.suppress(smpp34.SmppError):
                    await gateway.unbind()
        except (smpp34.SmppError, OSError, TimeoutError) as trouble:
            if not taken:
                raise _unanswered(trouble, submitting=submitting) from None
        finally:
            await client.stop()
        return self._verdict(taken, refused, len(payload.phones))

    def _client(self) -> smpp34.Client:
        channel = self._channel
        return smpp34.Client(
            channel.host,
            channel.port,
            channel.system_id,
            self._password,
            bind_type="TX",
            tls=channel.tls,
            connect_timeout_ms=500 * channel.timeout_s,
        )

    async def _submit(self, gateway: smpp34.Smsc, phone: str, text: str) -> smpp34.SubmitSmResp:
        return await gateway.submit_sm(
            domestic(phone),
            text.encode("utf-16-be", errors="replace"),
            source_addr=self._channel.sender,
            data_coding=UCS2,
            dest_addr_ton=1 if phone.startswith("+") else 0,
            dest_addr_npi=1,
        )

    def _verdict(self, taken: list[str], refused: dict[str, int], wanted: int) -> Receipt:
        if not taken:
            status = next((status for status in refused.values() if status in _PASSING), next(iter(refused.values())))
            raise DeliveryError(
                _PASSING.get(status, "the gateway refused it"),
                permanent=status not in _PASSING,
                vendor_code=f"0x{status:08X}",
                retry_after_s=THROTTLED_S if status == 0x58 else None,
            )
        silent = wanted - len(taken) - len(refused)
        told = "".join(f"; refused {masked(phone)}: 0x{status:08X}" for phone, status in refused.items())
        unheard = f"; no answer for {silent} more" if silent else ""
        return Receipt(one_line(f"0x00000000{told}{unheard}"), taken[0])


def _unanswered(trouble: Exception, *, submitting: bool) -> DeliveryError:
    """What broke off: before the first message was submitted nothing can have been sent."""
    said = one_line(redacted(f"{type(trouble).__name__}: {trouble}"))
    final = not submitting and any(code in said for code in _BIND_FINAL)
    return DeliveryError(said, permanent=final, maybe_sent=submitting)


def units(text: str) -> int:
    """The length in UTF-16 units.

    >>> units("警钟"), units("🔔")
    (2, 2)
    """
    return len(text.encode("utf-16-be", errors="replace")) // 2


def fit(text: str, limit: int) -> str:
    """`text` in at most `limit` units of UTF-16, cut between characters.

    >>> fit("警钟长鸣", 3), fit("🔔🔔", 3)
    ('警钟…', '🔔…')
    """
    if units(text) <= limit:
        return text
    kept = text
    while kept and units(kept) > limit - 1:
        kept = kept[:-1]
    return f"{kept}…"
