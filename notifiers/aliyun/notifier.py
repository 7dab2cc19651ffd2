"""The Aliyun channels: an SMS to all numbers in one call, or a telephone call to one."""

from __future__ import annotations

import datetime
import hashlib
import json
import secrets
import time
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from notifiers.aliyun import acs3
from notifiers.notifier import NotReached
from notifiers.phones import domestic, e164, masked
from notifiers.ratelimit import Rate
from notifiers.redaction import keep_out_of_logs
from notifiers.rendering import one_line
from notifiers.variables import variable
from notifiers.vendor import VendorClient
from schemas.channels import AliyunSmsChannel, AliyunVoiceChannel
from schemas.deliveries import Receipt
from schemas.errors import ConfigError
from schemas.events import Notice

SMS_VERSION = VOICE_VERSION = "2017-05-25"
OUT_ID_BYTES = 15
"""The longest identity of ours that a telephone call can carry."""
FAILED = 2
"""`SendStatus` of a number that was not reached; 1 is under way, 3 is delivered."""
_BEIJING = ZoneInfo("Asia/Shanghai")


class Filled(msgspec.Struct, frozen=True):
    """An approved template's variables, and whom it goes to."""

    variables: dict[str, str]
    phones: tuple[str, ...]

    @property
    def json(self) -> str:
        """As the vendor wants them."""
        return json.dumps(self.variables, ensure_ascii=False, separators=(",", ":"))


class _Api:
    """Signed calls with one AccessKey."""

    def __init__(self, name: str, channel: AliyunSmsChannel | AliyunVoiceChannel, clock: Callable[[], float]) -> None:
        if channel.access_key_secret is None:
            key = f"channels.{name}.access_key_secret"
            raise ConfigError("give access_key_secret or access_key_secret_file", key=key)
        self._base_url, self._clock = channel.base_url, clock
        self._key = (channel.access_key_id, channel.access_key_secret.get_secret_value())
        self.http = VendorClient(channel.timeout_s)
        keep_out_of_logs(*self._key)

    async def ask(self, action: str, version: str, parameters: dict[str, str]) -> dict[str, Any]:
        now_s = self._clock()
        stamp = (int(now_s), secrets.token_hex(16))
        call = acs3.request(self._base_url, action, version, parameters, self._key, stamp)
        return acs3.judge(await self.http.post(call, now_s))


def _filled(channel: AliyunSmsChannel | AliyunVoiceChannel, notice: Notice) -> Filled:
    chars = channel.variable_chars
    values = {name: variable(field, notice, chars) for name, field in channel.variables.items()}
    if isinstance(channel, AliyunVoiceChannel):
        return Filled(values, ((notice.kind == "test" and channel.test_phone) or channel.phone,))
    return Filled(values, (notice.kind == "test" and channel.test_phones) or channel.phones)


class AliyunSmsNotifier:
    """Tells people by SMS. What the vendor took is on its way; `trace` asks what became of it."""

    rate: Rate | None = None

    def __init__(self, name: str, channel: AliyunSmsChannel, *, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives Unix seconds, for the signature. Raises ConfigError without a secret."""
        self._channel, self._clock = channel, clock
        self._api = _Api(name, channel, clock)
        self.robot = f"aliyun_sms:{channel.access_key_id}:{channel.template_code}"

    def render(self, notice: Notice) -> Filled:
        """The template's variables, in the notice's language."""
        return _filled(self._channel, notice)

    async def deliver(self, payload: Filled, *, delivery: str) -> Receipt:
        """One call for all numbers; `delivery` is sent along as ``OutId``, by which `trace` finds it again."""
        answer = await self._api.ask(
            "SendSms",
            SMS_VERSION,
            {
                "PhoneNumbers": ",".join(domestic(phone) for phone in payload.phones),
                "SignName": self._channel.sign_name,
                "TemplateCode": self._channel.template_code,
                "TemplateParam": payload.json,
                "OutId": delivery,
            },
        )
        return Receipt("OK", str(answer.get("BizId", "")))

    async def trace(self, delivery: str) -> Receipt | None:
        """What the vendor knows of `delivery` today: a receipt if any number was or is being reached, else None.

        The receipt names the numbers that were not reached. Raises NotReached if none was,
        and DeliveryError where the vendor gives no answer.
        """
        day = datetime.datetime.fromtimestamp(self._clock(), _BEIJING).strftime("%Y%m%d")
        reached, lost, ids = 0, "", ""
        for phone in (*self._channel.phones, *self._channel.test_phones):
            query = {"PhoneNumber": domestic(phone), "SendDate": day, "PageSize": "50", "CurrentPage": "1"}
            answer = await self._api.ask("QuerySendDetails", SMS_VERSION, query)
            listed = answer.get("SmsSendDetailDTOs", {}).get("SmsSendDetailDTO", [])
            for detail in (one for one in listed if one.get("OutId") == delivery):
                failed = detail.get("SendStatus") == FAILED
                reached += not failed
                lost += f"; not reached {masked(e164(phone))}: {detail.get('ErrCode', '')}" if failed else ""
                ids = ids or str(detail.get("BizId", ""))
        if lost and not reached:
            raise NotReached(one_line(f"no number was reached{lost}"), permanent=True, vendor_code="OK")
        return Receipt(one_line(f"OK{lost}"), ids) if reached else None

    async def close(self) -> None:
        """Close the kept connection; the notifier can still be used."""
        await self._api.http.close()


class AliyunVoiceNotifier:
    """Calls somebody and reads the template out. The vendor's yes means that it will call, not that anyone answers."""

    rate: Rate | None = None

    def __init__(self, name: str, channel: AliyunVoiceChannel, *, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives Unix seconds, for the signature. Raises ConfigError without a secret."""
        self._channel, self._api = channel, _Api(name, channel, clock)
        self.robot = f"aliyun_voice:{channel.access_key_id}:{channel.phone}"

    def render(self, notice: Notice) -> Filled:
        """The template's variables, in the notice's language."""
        return _filled(self._channel, notice)

    async def deliver(self, payload: Filled, *, delivery: str) -> Receipt:
        """One call. The vendor's place for an identity takes 15 bytes: a digest of `delivery`."""
        parameters = {
            "CalledNumber": domestic(payload.phones[0]),
            "TtsCode": self._channel.template_code,
            "TtsParam": payload.json,
            "PlayTimes": str(self._channel.play_times),
            "OutId": hashlib.sha256(delivery.encode(errors="replace")).hexdigest()[:OUT_ID_BYTES],
        }
        if self._channel.show_number:
            parameters["CalledShowNumber"] = self._channel.show_number
        answer = await self._api.ask("SingleCallByTts", VOICE_VERSION, parameters)
        return Receipt("OK", str(answer.get("CallId", "")))

    async def close(self) -> None:
        """Close the kept connection; the notifier can still be used."""
        await self._api.http.close()
