"""Calls of a Tencent Cloud API 3.0, signed with TC3-HMAC-SHA256, and what its answers mean.

Vendor pages: cloud.tencent.com, "签名方法 v3", "短信 错误码", "语音消息 错误码". Errors stand in an HTTP 200.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import json
from typing import Any
from urllib.parse import urlsplit

from notifiers.redaction import redacted
from notifiers.rendering import one_line
from notifiers.vendor import Call, Reply, Verdict, by_code, spoken
from schemas.errors import DeliveryError

ALGORITHM = "TC3-HMAC-SHA256"
CONTENT_TYPE = "application/json; charset=utf-8"

_WAITS = {
    "LimitExceeded.PhoneNumberThirtySecondLimit": 30,
    "LimitExceeded.PhoneNumberOneHourLimit": 3600,
    "LimitExceeded.DeliveryFrequencyLimit": 60,
    "RequestLimitExceeded": 5,
}
_PASSING = ("InternalError", "LimitExceeded.DeliveryFrequencyLimit", "RequestLimitExceeded", "ResourceUnavailable")
"""Beginnings of codes that may pass by themselves; a day's limit, a wrong key or a bad number do not."""
_WORDS = {
    "AuthFailure.SecretIdNotFound": "the SecretId is wrong",
    "AuthFailure.SignatureFailure": "the SecretKey is wrong",
    "AuthFailure.SignatureExpire": "the clock is more than five minutes off",
    "UnauthorizedOperation": "the key may not do this",
    "FailedOperation.InsufficientBalanceInSmsPackage": "the account is out of messages",
    "FailedOperation.ContainSensitiveWord": "the text was refused for a word in it",
    "FailedOperation.PhoneNumberInBlacklist": "the number is on the vendor's black list",
    "InvalidParameterValue.TemplateParameterLengthLimit": "a variable is too long: lower variable_chars",
    "InvalidParameterValue.ContentLengthLimit": "the text is too long: lower variable_chars",
}


def request(
    base_url: str,
    action: tuple[str, str, str],
    parameters: dict[str, Any],
    key: tuple[str, str],
    at_s: int,
    *,
    region: str = "",
) -> Call:
    """The signed call. `action` is (service, action, version), `key` (SecretId, SecretKey), `at_s` Unix seconds."""
    service, name, version = action
    host = urlsplit(base_url).netloc
    body = json.dumps(parameters, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
    names = "content-type;host"
    lines = f"content-type:{CONTENT_TYPE}\nhost:{host}\n"
    canonical = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    date = datetime.datetime.fromtimestamp(at_s, datetime.UTC).strftime("%Y-%m-%d")
    scope = f"{date}/{service}/tc3_request"
    said = f"{ALGORITHM}\n{at_s}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    secret = f"TC3{key[1]}".encode()
    for step in (date, service, "tc3_request"):
        secret = hmac.new(secret, step.encode(), hashlib.sha256).digest()
    signature = hmac.new(secret, said.encode(), hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": CONTENT_TYPE,
        "X-TC-Action": name,
        "X-TC-Version": version,
        "X-TC-Timestamp": str(at_s),
        "Authorization": f"{ALGORITHM} Credential={key[0]}/{scope}, SignedHeaders={names}, Signature={signature}",
    }
    return Call(f"{base_url.rstrip('/')}/", body, headers | ({"X-TC-Region": region} if region else {}))


def judge(reply: Reply) -> dict[str, Any]:
    """The ``Response``, if it holds no ``Error``. Raises DeliveryError otherwise."""
    response = spoken(reply, "Tencent Cloud").get("Response")
    if not isinstance(response, dict):
        raise DeliveryError("the answer is not Tencent Cloud's", vendor_code=str(reply.status))
    error = response.get("Error")
    if isinstance(error, dict):
        raise refusal(str(error.get("Code", "")), str(error.get("Message", "")))
    return response


def refusal(code: str, said: str) -> DeliveryError:
    """What a code that is not Ok means, of the whole call or of one number."""
    if code in _WAITS:
        return by_code(code, said, {code: Verdict("too many messages", wait_s=_WAITS[code])})
    words = one_line(redacted(said))
    reason = f"{_WORDS[code]} ({words})" if code in _WORDS else words or code
    return DeliveryError(reason, permanent=bool(code) and not code.startswith(_PASSING), vendor_code=code)
