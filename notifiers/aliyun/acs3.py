"""Calls of an Aliyun RPC API, signed with ACS3-HMAC-SHA256, and what its answers mean.

Vendor pages: help.aliyun.com, "V3版本请求体&签名机制", "短信服务 API 错误码", "语音服务 API 错误码".
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from notifiers.redaction import redacted
from notifiers.rendering import one_line
from notifiers.vendor import Call, Reply, Verdict, by_code, spoken
from schemas.errors import DeliveryError

ALGORITHM = "ACS3-HMAC-SHA256"
EMPTY = hashlib.sha256(b"").hexdigest()

VERDICTS = {
    "InvalidAccessKeyId.NotFound": Verdict("the AccessKey id is wrong", final=True),
    "InvalidAccessKeyId.Inactive": Verdict("the AccessKey is disabled", final=True),
    "SignatureDoesNotMatch": Verdict("the AccessKey secret is wrong", final=True),
    "InvalidTimeStamp.Expired": Verdict("the clock is more than 15 minutes off", final=True),
    "Forbidden.RAM": Verdict("the AccessKey may not do this", final=True),
    "NoPermission": Verdict("the AccessKey may not do this", final=True),
    "isv.AMOUNT_NOT_ENOUGH": Verdict("the account is out of money", final=True),
    "isv.OUT_OF_SERVICE": Verdict("the account is suspended", final=True),
    "isv.PARAM_NOT_SUPPORT_URL": Verdict("a variable looks like a link, which the vendor forbids", final=True),
    "isv.MOBILE_COUNT_OVER_LIMIT": Verdict("too many numbers in one call", final=True),
    "isp.SYSTEM_ERROR": Verdict("the vendor is in trouble"),
    "isp.RAM_PERMISSION_DENY": Verdict("the AccessKey may not do this", final=True),
    "isp.UNKNOWN": Verdict("the vendor is in trouble"),
}
_LIMITS = ((r"天级|day", None), (r"小时级|hour", 3600), (r"分钟级|minute", 60))
"""How long a refused number stays refused; after a day's limit there is nothing to wait for."""


def request(
    base_url: str,
    action: str,
    version: str,
    parameters: Mapping[str, str],
    key: tuple[str, str],
    stamp: tuple[int, str],
) -> Call:
    """The signed call. `key` is the AccessKey (id, secret); `stamp` is (Unix seconds, a text that is used once)."""
    at_s, nonce = stamp
    url = urlsplit(base_url)
    query = "&".join(f"{_encoded(name)}={_encoded(value)}" for name, value in sorted(parameters.items()))
    signed = {
        "host": url.netloc,
        "x-acs-action": action,
        "x-acs-content-sha256": EMPTY,
        "x-acs-date": datetime.datetime.fromtimestamp(at_s, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "x-acs-signature-nonce": nonce,
        "x-acs-version": version,
    }
    names = ";".join(signed)
    lines = "".join(f"{name}:{value}\n" for name, value in signed.items())
    canonical = f"POST\n/\n{query}\n{lines}\n{names}\n{EMPTY}"
    said = f"{ALGORITHM}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.new(key[1].encode(), said.encode(), hashlib.sha256).hexdigest()
    bearer = f"{ALGORITHM} Credential={key[0]},SignedHeaders={names},Signature={signature}"
    headers = {name: value for name, value in signed.items() if name != "host"} | {"Authorization": bearer}
    return Call(f"{base_url.rstrip('/')}/?{query}", b"", headers)


def _encoded(text: str) -> str:
    return quote(text, safe="-_.~", errors="replace")


def judge(reply: Reply) -> dict[str, Any]:
    """The answer, if its ``Code`` is OK. Raises DeliveryError otherwise; errors stand in an HTTP 200 or 4xx."""
    answer = spoken(reply, "Aliyun", errors_in_4xx=True)
    code = str(answer.get("Code", ""))
    if code == "OK" and reply.status == 200:
        return answer
    raise refusal(code, str(answer.get("Message", "")))


def refusal(code: str, said: str) -> DeliveryError:
    """What a code that is not OK means: ``isv.`` is the caller's mistake, unless it is a limit that passes."""
    if code == "isv.BUSINESS_LIMIT_CONTROL":
        wait_s = next((wait for mark, wait in _LIMITS if re.search(mark, said, re.IGNORECASE)), 60)
        return by_code(code, said, {code: Verdict("too many to this number", final=wait_s is None, wait_s=wait_s)})
    if code.startswith("Throttling"):
        return by_code(code, said, {code: Verdict("too many calls", wait_s=5)})
    if code not in VERDICTS and code.startswith("isv."):
        return DeliveryError(one_line(redacted(said)) or code, permanent=True, vendor_code=code)
    return by_code(code, said, VERDICTS)
