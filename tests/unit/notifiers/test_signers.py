"""Our signatures of Aliyun and Tencent Cloud calls, against the vendors' own signers and a published example."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from alibabacloud_openapi_util.client import Client as Aliyun
from hypothesis import given, settings
from hypothesis import strategies as st
from Tea.request import TeaRequest
from tencentcloud.common.abstract_client import AbstractClient
from tencentcloud.common.credential import Credential
from tencentcloud.common.http.request import RequestInternal

from notifiers.aliyun import acs3
from notifiers.feishu.notifier import sign as feishu_sign
from notifiers.tencent import tc3
from notifiers.vendor import Reply
from schemas.errors import DeliveryError

WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@settings(max_examples=50)
@given(st.dictionaries(st.from_regex(r"[A-Za-z]{1,12}", fullmatch=True), WORDS, max_size=5), st.integers(0, 2**32))
def test_acs3_is_what_aliyuns_own_signer_makes_of_it(parameters: dict[str, str], at_s: int) -> None:
    """Any parameters are signed as alibabacloud_openapi_util signs them, and stand in the query as it reads them."""
    call = acs3.request(
        "https://dysmsapi.aliyuncs.com", "SendSms", "2017-05-25", parameters, ("ak", "s3cret"), (at_s, "n")
    )
    request: Any = TeaRequest()
    request.method, request.pathname = "POST", "/"
    request.query = dict(parse_qsl(urlsplit(call.url).query, keep_blank_values=True, strict_parsing=bool(parameters)))
    assert request.query == parameters
    request.headers = {name: value for name, value in call.headers.items() if name != "Authorization"}
    request.headers["host"] = "dysmsapi.aliyuncs.com"
    theirs = Aliyun.get_authorization(request, acs3.ALGORITHM, acs3.EMPTY, "ak", "s3cret")
    assert call.headers["Authorization"] == theirs


@settings(max_examples=50)
@given(st.lists(WORDS, max_size=4), st.integers(1_600_000_000, 2_000_000_000))
def test_tc3_is_what_tencents_own_sdk_makes_of_it(words: list[str], at_s: int) -> None:
    """Any body is signed as tencentcloud-sdk-python signs it."""
    call = tc3.request(
        "https://sms.tencentcloudapi.com", ("sms", "SendSms", "2021-01-11"), {"W": words}, ("id", "key"), at_s,
        region="ap-guangzhou",
    )  # fmt: skip
    theirs: Any = RequestInternal("sms.tencentcloudapi.com", "POST", "/")
    theirs.data = call.body
    theirs.header = {"Content-Type": tc3.CONTENT_TYPE, "Host": "sms.tencentcloudapi.com", "X-TC-Timestamp": str(at_s)}
    client: Any = AbstractClient(Credential("id", "key"), "ap-guangzhou")
    date = call.headers["Authorization"].split("/")[1]
    signature = client._get_tc3_signature({}, theirs, date, "sms", "key")
    assert call.headers["Authorization"].endswith(f"Signature={signature}")


def test_feishu_signature_fixed_vector() -> None:
    """Key and message swapped against DingTalk's: worked out once with OpenSSL's command line."""
    assert feishu_sign("demo", 1_599_360_473) == "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8="


@pytest.mark.parametrize(
    ("code", "said", "permanent", "wait_s"),
    [
        ("isv.BUSINESS_LIMIT_CONTROL", "触发分钟级流控Permits:1", False, 60),
        ("isv.BUSINESS_LIMIT_CONTROL", "触发小时级流控Permits:5", False, 3600),
        ("isv.BUSINESS_LIMIT_CONTROL", "触发天级流控Permits:10", True, None),
        ("isv.SMS_TEMPLATE_ILLEGAL", "模板未审批", True, None),
        ("Throttling.User", "Request was denied", False, 5),
        ("isp.SYSTEM_ERROR", "", False, None),
        ("SignatureDoesNotMatch", "", True, None),
        ("SomethingNew", "", False, None),
    ],
)
def test_aliyun_codes(code: str, said: str, permanent: bool, wait_s: int | None) -> None:
    """Limits of a minute and an hour pass, a day's does not; the caller's mistakes are final, the vendor's are not."""
    error = acs3.refusal(code, said)
    assert (error.permanent, error.retry_after_s, error.vendor_code) == (permanent, wait_s, code)


@pytest.mark.parametrize(
    ("code", "permanent", "wait_s"),
    [
        ("LimitExceeded.PhoneNumberThirtySecondLimit", False, 30),
        ("LimitExceeded.PhoneNumberOneHourLimit", False, 3600),
        ("LimitExceeded.PhoneNumberDailyLimit", True, None),
        ("RequestLimitExceeded", False, 5),
        ("InternalError.Timeout", False, None),
        ("AuthFailure.SignatureFailure", True, None),
        ("InvalidParameterValue.IncorrectPhoneNumber", True, None),
        ("", False, None),
    ],
)
def test_tencent_codes(code: str, permanent: bool, wait_s: int | None) -> None:
    """What passes by itself is tried again, not before it passes; an answer without a code may be anything."""
    error = tc3.refusal(code, "")
    assert (error.permanent, error.retry_after_s, error.vendor_code) == (permanent, wait_s, code)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"Response": 1}', b"{}"])
def test_a_strangers_answer_is_no_success(body: bytes) -> None:
    """A sign-in page between us and the vendor says 200, too."""
    for judge in (acs3.judge, tc3.judge):
        with pytest.raises(DeliveryError) as trouble:
            judge(Reply(200, body))
        assert not trouble.value.permanent
