"""The Tencent Cloud channels: an SMS to all numbers in one call, answered number by number, or a telephone call."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec

from notifiers.notifier import NotReached
from notifiers.phones import e164, masked
from notifiers.ratelimit import Rate
from notifiers.redaction import keep_out_of_logs
from notifiers.rendering import one_line
from notifiers.tencent import tc3
from notifiers.variables import variable
from notifiers.vendor import VendorClient
from schemas.channels import TencentSmsChannel, TencentVoiceChannel
from schemas.deliveries import Receipt
from schemas.errors import ConfigError, DeliveryError
from schemas.events import Notice

SMS_VERSION, VOICE_VERSION = "2021-01-11", "2020-09-02"
CONTEXT_BYTES = 511
"""The longest identity of ours that a message can carry."""
TRACED_S = 86_400
"""How far back `trace` looks."""


class Filled(msgspec.Struct, frozen=True):
    """An approved template's variables {1}, {2}, …, and whom it goes to."""

    variables: list[str]
    phones: tuple[str, ...]


class _Api:
    """Signed calls with one API key."""

    def __init__(
        self, name: str, channel: TencentSmsChannel | TencentVoiceChannel, clock: Callable[[], float], region: str
    ) -> None:
        if channel.secret_key is None:
            raise ConfigError("give secret_key or secret_key_file", key=f"channels.{name}.secret_key")
        self._base_url, self._clock, self._region = channel.base_url, clock, region
        self._key = (channel.secret_id, channel.secret_key.get_secret_value())
        self.http = VendorClient(channel.timeout_s)
        keep_out_of_logs(*self._key)

    async def ask(self, action: tuple[str, str, str], parameters: dict[str, Any]) -> dict[str, Any]:
        now_s = self._clock()
        call = tc3.request(self._base_url, action, parameters, self._key, int(now_s), region=self._region)
        return tc3.judge(await self.http.post(call, now_s))


def _filled(channel: TencentSmsChannel | TencentVoiceChannel, notice: Notice) -> Filled:
    values = [variable(field, notice, channel.variable_chars) for field in channel.variables]
    if isinstance(channel, TencentVoiceChannel):
        return Filled(values, ((notice.kind == "test" and channel.test_phone) or channel.phone,))
    return Filled(values, (notice.kind == "test" and channel.test_phones) or channel.phones)


class TencentSmsNotifier:
    """Tells people by SMS. Some numbers refused still counts as told: the receipt names them."""

    rate: Rate | None = None

    def __init__(self, name: str, channel: TencentSmsChannel, *, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives Unix seconds, for the signature. Raises ConfigError without a key."""
        self._channel, self._clock = channel, clock
        self._api = _Api(name, channel, clock, channel.region)
        self.robot = f"tencent_sms:{channel.sdk_app_id}:{channel.template_id}"

    def render(self, notice: Notice) -> Filled:
        """The template's variables, in the notice's language."""
        return _filled(self._channel, notice)

    async def deliver(self, payload: Filled, *, delivery: str) -> Receipt:
        """One call for all numbers; `delivery` is sent along as ``SessionContext``.

        All numbers refused is an error, final only if each refusal is.
        """
        response = await self._api.ask(
            ("sms", "SendSms", SMS_VERSION),
            {
                "PhoneNumberSet": [e164(phone) for phone in payload.phones],
                "SmsSdkAppId": self._channel.sdk_app_id,
                "SignName": self._channel.sign_name,
                "TemplateId": self._channel.template_id,
                "TemplateParamSet": payload.variables,
                "SessionContext": delivery.encode(errors="replace")[:CONTEXT_BYTES].decode(errors="ignore"),
            },
        )
        return _each_number(response.get("SendStatusSet") or [])

    async def trace(self, delivery: str) -> Receipt | None:
        """What became of `delivery`: a receipt if it reached any number, else None.

        The vendor repeats our identity only for accounts that asked for it; without that nothing is ever found.
        Raises NotReached if it reached none, and DeliveryError where the vendor gives no answer.
        """
        until_s = int(self._clock())
        reached, lost, ids = 0, "", ""
        for phone in (*self._channel.phones, *self._channel.test_phones):
            query = {
                "BeginTime": until_s - TRACED_S, "EndTime": until_s, "Offset": 0, "Limit": 100,
                "PhoneNumber": e164(phone), "SmsSdkAppId": self._channel.sdk_app_id,
            }  # fmt: skip
            response = await self._api.ask(("sms", "PullSmsSendStatusByPhoneNumber", SMS_VERSION), query)
            for status in response.get("PullSmsSendStatusSet") or []:
                if status.get("SessionContext") != delivery:
                    continue
                good = status.get("ReportStatus") == "SUCCESS"
                reached += good
                lost += "" if good else f"; not reached {masked(e164(phone))}: {status.get('Description', '')}"
                ids = ids or str(status.get("SerialNo", ""))
        if lost and not reached:
            raise NotReached(one_line(f"no number was reached{lost}"), permanent=True, vendor_code="Ok")
        return Receipt(one_line(f"Ok{lost}"), ids) if reached else None

    async def close(self) -> None:
        """Close the kept connection; the notifier can still be used."""
        await self._api.http.close()


def _each_number(statuses: list[dict[str, Any]]) -> Receipt:
    taken = [one for one in statuses if one.get("Code") == "Ok"]
    refused = [one for one in statuses if one.get("Code") != "Ok"]
    if not taken:
        errors = [tc3.refusal(str(one.get("Code", "")), str(one.get("Message", ""))) for one in refused]
        if not errors:
            raise DeliveryError("the answer names no number", vendor_code="200")
        raise next((error for error in errors if not error.permanent), errors[0])
    told = "".join(f"; refused {masked(str(one.get('PhoneNumber', '')))}: {one.get('Code', '')}" for one in refused)
    return Receipt(one_line(f"Ok{told}"), str(taken[0].get("SerialNo", "")))


class TencentVoiceNotifier:
    """Calls somebody and reads the template out. The vendor's yes means that it will call, not that anyone answers."""

    rate: Rate | None = None

    def __init__(self, name: str, channel: TencentVoiceChannel, *, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives Unix seconds, for the signature. Raises ConfigError without a key."""
        self._channel, self._api = channel, _Api(name, channel, clock, "")
        self.robot = f"tencent_voice:{channel.sdk_app_id}:{channel.phone}"

    def render(self, notice: Notice) -> Filled:
        """The template's variables, in the notice's language."""
        return _filled(self._channel, notice)

    async def deliver(self, payload: Filled, *, delivery: str) -> Receipt:
        """One call, with `delivery` as its ``SessionContext``."""
        response = await self._api.ask(
            ("vms", "SendTts", VOICE_VERSION),
            {
                "TemplateId": self._channel.template_id,
                "TemplateParamSet": payload.variables,
                "CalledNumber": e164(payload.phones[0]),
                "VoiceSdkAppid": self._channel.sdk_app_id,
                "PlayTimes": self._channel.play_times,
                "SessionContext": delivery.encode(errors="replace")[:CONTEXT_BYTES].decode(errors="ignore"),
            },
        )
        return Receipt("Ok", str((response.get("SendStatus") or {}).get("CallId", "")))

    async def close(self) -> None:
        """Close the kept connection; the notifier can still be used."""
        await self._api.http.close()
