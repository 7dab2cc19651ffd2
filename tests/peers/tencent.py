"""Tencent Cloud's SMS and voice APIs as their vendor documents them: signature, clock, lengths, numbers one by one.

The signature is worked out here from the vendor's page alone. Source: cloud.tencent.com, "签名方法 v3", "SendSms",
"PullSmsSendStatusByPhoneNumber", "SendTts", "错误码".
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import json
import re
import time
from typing import Any

from aiohttp import web

from tests.peers.http import HttpPeer, Mode

WINDOW_S = 300
MOST_NUMBERS = 200


class TencentPeer(HttpPeer):
    """One API key. `refused` maps numbers to the code that each is answered with; the others are taken.

    Modes beyond HttpPeer's: refuse (the account has no messages left) and throttle (30 seconds of one number),
    both in an HTTP 200. With `contexts` the vendor repeats our identity in receipts, as it does on request.
    """

    def __init__(self, mode: Mode = "ok", *, key_id: str = "", secret: str = "", contexts: bool = True) -> None:
        super().__init__(mode)
        self.key_id, self.secret, self.contexts = key_id, secret, contexts
        self.refused: dict[str, str] = {}
        self.lost: set[str] = set()

    def aside(self, request: web.Request, raw: bytes) -> web.Response | None:
        """Receipts are asked for by number and time."""
        if request.headers.get("X-TC-Action") != "PullSmsSendStatusByPhoneNumber":
            return super().aside(request, raw)
        wrong = self._unsigned(request, raw)
        if wrong is not None:
            return wrong
        phone = json.loads(raw)["PhoneNumber"]
        statuses = [
            {
                "PhoneNumber": phone, "SerialNo": f"S{place}",
                "ReportStatus": "FAIL" if phone in self.lost else "SUCCESS",
                "Description": "关机" if phone in self.lost else "用户短信接收成功",
                "SessionContext": sent["SessionContext"] if self.contexts else "",
            }
            for place, sent in enumerate(self.messages, 1)
            if phone in sent.get("PhoneNumberSet", [])
        ]  # fmt: skip
        return _say({"PullSmsSendStatusSet": statuses})

    def take(self, raw: bytes) -> None:
        """Keep the decoded parameters."""
        self.messages.append(json.loads(raw))

    def answer(self, request: web.Request, raw: bytes, mode: Mode) -> web.Response:
        """The vendor's JSON, always with HTTP 200."""
        said = json.loads(raw)
        numbers = said.get("PhoneNumberSet") or [said.get("CalledNumber", "")]
        if mode == "refuse":
            return _error("FailedOperation.InsufficientBalanceInSmsPackage", "套餐包余量不足。")
        if mode == "throttle":
            limit = "LimitExceeded.PhoneNumberThirtySecondLimit"
            return (
                _say({"SendStatusSet": [_status(number, limit) for number in numbers]})
                if "PhoneNumberSet" in said
                else _error(limit, "")
            )
        wrong = self._unsigned(request, raw) or self._unfit(said, numbers)
        if wrong is not None:
            return wrong
        if mode not in ("cut", "hang"):
            self.take(raw)
        if request.headers["X-TC-Action"] == "SendTts":
            return _say({"SendStatus": {"CallId": f"C{len(self.messages)}", "SessionContext": said["SessionContext"]}})
        return _say({"SendStatusSet": [_status(number, self.refused.get(number, "Ok")) for number in numbers]})

    def _unfit(self, said: dict[str, Any], numbers: list[str]) -> web.Response | None:
        if len(numbers) > MOST_NUMBERS:
            return _error("LimitExceeded.PhoneNumberCountLimit", "")
        if not all(re.fullmatch(r"\+\d{6,15}", number) for number in numbers):
            return _error("InvalidParameterValue.IncorrectPhoneNumber", "")
        if any(not 0 < len(value) <= 6 for value in said["TemplateParamSet"]):
            return _error("InvalidParameterValue.TemplateParameterLengthLimit", "")
        if len(said["SessionContext"].encode()) >= 512:
            return _error("InvalidParameterValue.SessionContextTooLong", "")
        return None

    def _unsigned(self, request: web.Request, raw: bytes) -> web.Response | None:
        said = request.headers.get("Authorization", "")
        found = re.fullmatch(
            r"TC3-HMAC-SHA256 Credential=([^/]+)/([\d-]+)/(\w+)/tc3_request, SignedHeaders=([^,]+), Signature=(\w+)",
            said,
        )
        if not found or found[1] != self.key_id:
            return _error("AuthFailure.SecretIdNotFound", "The SecretId is not found")
        stamp = request.headers["X-TC-Timestamp"]
        if abs(time.time() - int(stamp)) > WINDOW_S:
            return _error("AuthFailure.SignatureExpire", "The provided credentials could not be validated")
        date = datetime.datetime.fromtimestamp(int(stamp), datetime.UTC).strftime("%Y-%m-%d")
        names = found[4].split(";")
        lines = "".join(f"{name}:{request.headers[name].strip().lower()}\n" for name in names)
        canonical = "\n".join([request.method, "/", "", lines, found[4], hashlib.sha256(raw).hexdigest()])
        scope = f"{found[2]}/{found[3]}/tc3_request"
        to_sign = f"TC3-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = b"TC3" + self.secret.encode()
        for part in (date, found[3], "tc3_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        expected = hmac.digest(key, to_sign.encode(), "sha256").hex()
        if (
            date != found[2]
            or not {"content-type", "host"} <= set(names)
            or not hmac.compare_digest(expected, found[5])
        ):
            return _error("AuthFailure.SignatureFailure", "The provided credentials could not be validated")
        return None


def _status(number: str, code: str) -> dict[str, Any]:
    good = code == "Ok"
    return {
        "SerialNo": f"S:{number[-4:]}" if good else "",
        "PhoneNumber": number,
        "Fee": int(good),
        "Code": code,
        "Message": code,
    }


def _say(response: dict[str, Any]) -> web.Response:
    return web.json_response({"Response": response | {"RequestId": "R0"}})


def _error(code: str, text: str) -> web.Response:
    return _say({"Error": {"Code": code, "Message": text}})
