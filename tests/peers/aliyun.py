"""Aliyun's SMS and voice APIs as their vendor documents them: signature, clock, nonce, limits and forbidden links.

The signature is worked out here from the vendor's page alone. Source: help.aliyun.com, "V3版本请求体&签名机制",
"SendSms", "QuerySendDetails", "SingleCallByTts", "API 错误码".
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import json
import re
import time
from typing import Any
from urllib.parse import quote

from aiohttp import web

from tests.peers.http import HttpPeer, Mode

WINDOW_S = 15 * 60
MOST_NUMBERS = 1000
_LINK = re.compile(r"https?://|www\.|\w\.(com|cn|net|org|test)\b", re.IGNORECASE)


class AliyunPeer(HttpPeer):
    """One AccessKey. Modes beyond HttpPeer's: refuse (isv.AMOUNT_NOT_ENOUGH) and throttle (the minute's limit of a
    number), both in an HTTP 200. `lost` numbers are not reached, which only their receipts tell.
    """

    def __init__(self, mode: Mode = "ok", *, key_id: str = "", secret: str = "", var_chars: int = 20) -> None:
        super().__init__(mode)
        self.key_id, self.secret, self.var_chars = key_id, secret, var_chars
        self.lost: set[str] = set()
        self._nonces: set[str] = set()

    def aside(self, request: web.Request, raw: bytes) -> web.Response | None:
        """Receipts are asked for by number and day."""
        if request.headers.get("x-acs-action") != "QuerySendDetails":
            return super().aside(request, raw)
        wrong = self._unsigned(request, raw)
        if wrong is not None:
            return wrong
        query = request.query
        if not re.fullmatch(r"\d{8}", query.get("SendDate", "")) or not query.get("PageSize"):
            return _say("isv.INVALID_PARAMETERS", "SendDate")
        details = [
            {
                "OutId": sent.get("OutId", ""), "SendStatus": 2 if query["PhoneNumber"] in self.lost else 3,
                "ErrCode": "MOBILE_NOT_ON_SERVICE" if query["PhoneNumber"] in self.lost else "DELIVERED",
                "PhoneNum": query["PhoneNumber"], "TemplateCode": sent["TemplateCode"],
            }
            for sent in self.messages
            if query["PhoneNumber"] in sent.get("PhoneNumbers", "").split(",")
        ]  # fmt: skip
        listed = {"SmsSendDetailDTO": details}
        return web.json_response({"Code": "OK", "TotalCount": len(details), "SmsSendDetailDTOs": listed})

    def content(self, request: web.Request, raw: bytes) -> bytes:
        """The parameters stand in the query."""
        return json.dumps(dict(request.query), ensure_ascii=False).encode()

    def take(self, raw: bytes) -> None:
        """Keep the decoded parameters."""
        self.messages.append(json.loads(raw))

    def answer(self, request: web.Request, raw: bytes, mode: Mode) -> web.Response:
        """The vendor's JSON: mistakes in the signature are HTTP 4xx, everything else is 200."""
        if mode == "refuse":
            return _say("isv.AMOUNT_NOT_ENOUGH", "账户余额不足")
        if mode == "throttle":
            return _say("isv.BUSINESS_LIMIT_CONTROL", "触发分钟级流控Permits:1")
        wrong = self._unsigned(request, b"") or self._unfit(dict(request.query))
        if wrong is not None:
            return wrong
        if mode not in ("cut", "hang"):
            self.take(raw)
        number = len(self.messages)
        return web.json_response({"Code": "OK", "Message": "OK", "BizId": f"B{number}", "CallId": f"C{number}"})

    def _unfit(self, said: dict[str, str]) -> web.Response | None:
        numbers = [number for number in said.get("PhoneNumbers", said.get("CalledNumber", "")).split(",") if number]
        if not numbers or not all(re.fullmatch(r"\d{5,15}", number) for number in numbers):
            return _say("isv.MOBILE_NUMBER_ILLEGAL", "号码格式错误")
        if len(numbers) > (MOST_NUMBERS if "PhoneNumbers" in said else 1):
            return _say("isv.MOBILE_COUNT_OVER_LIMIT", "号码数量超过限制")
        if "CalledNumber" in said and len(said.get("OutId", "").encode()) > 15:
            return _say("isv.INVALID_PARAMETERS", "OutId")
        variables: dict[str, Any] = json.loads(said.get("TemplateParam", said.get("TtsParam", "{}")))
        for value in variables.values():
            if _LINK.search(value):
                return _say("isv.PARAM_NOT_SUPPORT_URL", "不支持URL")
            if not 0 < len(value) <= self.var_chars:
                return _say("isv.PARAM_LENGTH_LIMIT", "参数超过长度限制")
        return None

    def _unsigned(self, request: web.Request, raw: bytes) -> web.Response | None:
        said = request.headers.get("Authorization", "")
        found = re.fullmatch(
            r"ACS3-HMAC-SHA256 Credential=([^,]+),SignedHeaders=([^,]+),Signature=([0-9a-f]{64})", said
        )
        if not found or found[1] != self.key_id:
            return _say("InvalidAccessKeyId.NotFound", "Specified access key is not found.", status=404)
        stamp = datetime.datetime.strptime(request.headers["x-acs-date"], "%Y-%m-%dT%H:%M:%S%z")
        if abs(stamp.timestamp() - time.time()) > WINDOW_S:
            return _say("InvalidTimeStamp.Expired", "Specified time stamp or date value is expired.", status=400)
        if request.headers["x-acs-signature-nonce"] in self._nonces:
            return _say("SignatureNonceUsed", "Specified signature nonce was used already.", status=400)
        self._nonces.add(request.headers["x-acs-signature-nonce"])
        names = found[2].split(";")
        needed = {
            "host",
            "x-acs-action",
            "x-acs-content-sha256",
            "x-acs-date",
            "x-acs-signature-nonce",
            "x-acs-version",
        }
        query = "&".join(
            f"{quote(name, safe='-_.~')}={quote(request.query[name], safe='-_.~')}" for name in sorted(request.query)
        )
        lines = "".join(f"{name}:{request.headers[name].strip()}\n" for name in names)
        digest = hashlib.sha256(raw).hexdigest()
        canonical = "\n".join([request.method, request.path, query, lines, found[2], digest])
        to_sign = "ACS3-HMAC-SHA256\n" + hashlib.sha256(canonical.encode()).hexdigest()
        expected = hmac.new(self.secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
        if not needed <= set(names) or names != sorted(names) or not hmac.compare_digest(expected, found[3]):
            return _say("SignatureDoesNotMatch", "Specified signature does not match our calculation.", status=400)
        return None


def _say(code: str, text: str, status: int = 200) -> web.Response:
    return web.json_response({"Code": code, "Message": text, "RequestId": "R0"}, status=status)
