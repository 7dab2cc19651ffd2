"""What is particular to one vendor: whom it calls, what its receipt says, what it refuses; through real sockets."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from pydantic import SecretStr

from notifiers.apprise_url.notifier import AppriseNotifier
from notifiers.registry import build
from schemas.config import DingTalkChannel, EmailChannel
from schemas.deliveries import Receipt
from schemas.errors import ConfigError
from schemas.short_codes import short_code
from tests.channel_rigs import (
    HANG_S,
    MOBILE,
    PATIENCE_S,
    RIGS,
    SECRET,
    TOKEN,
    Outcome,
    apprise_json,
    email,
    long_notice,
    notice,
    outcome,
)
from tests.peers.dingtalk import DingTalkPeer
from tests.peers.smtp import SmtpPeer


async def test_email_is_threaded_and_the_same_at_each_attempt() -> None:
    """Two attempts bear one Message-ID; another notice of the same incident joins the same thread."""
    async with email() as rig:
        first, second = notice(), notice(kind="resolved", state="resolved")
        for told, delivery in ((first, "INC-7.1"), (first, "INC-7.1"), (second, "INC-7.2")):
            await rig.notifier.deliver(rig.notifier.render(told), delivery=delivery)
        one, again, other = rig.peer.messages
    assert one["Message-ID"] == again["Message-ID"] != other["Message-ID"]
    assert one["References"] == other["References"] == other["In-Reply-To"]
    assert "数据库连接耗尽" in one["Subject"]
    assert "http://127.0.0.1:8080/incidents/INC-7" in one.get_body(("plain",)).get_content()
    assert "<table" in one.get_body(("html",)).get_content()


async def test_email_receipt_is_the_servers_own_reply() -> None:
    """What the server said to DATA is kept, with its queue id."""
    async with email() as rig:
        receipt = await rig.notifier.deliver(rig.notifier.render(notice()), delivery="INC-7.1")
    assert receipt == Receipt(vendor_code="250", vendor_message_id="2.0.0 Ok: queued as Q1")


@pytest.mark.parametrize(
    ("refused", "expected"),
    [
        ({"a@ops.test": "550 5.1.1 gone"}, "ok"),
        ({"a@ops.test": "550 gone", "b@ops.test": "550 gone"}, "failed"),
        ({"a@ops.test": "550 gone", "b@ops.test": "450 later"}, "retry"),
    ],
)
async def test_email_recipients_refused(refused: dict[str, str], expected: Outcome) -> None:
    """Some refused: told, and the receipt names them. All refused: an error, final only if each refusal is."""
    async with SmtpPeer() as peer:
        peer.refused = refused
        to = ("a@ops.test", "b@ops.test")
        notifier = build(
            "mail", EmailChannel(host="127.0.0.1", port=peer.port, sender="t@ops.test", to=to, timeout_s=PATIENCE_S)
        )
        became, evidence = await outcome(notifier.deliver(notifier.render(notice()), delivery="INC-7.1"))
    assert became == expected, evidence
    assert len(peer.messages) == (expected == "ok")
    if isinstance(evidence, Receipt):
        assert "refused a@ops.test: 550" in evidence.vendor_code


@pytest.mark.parametrize("name", ["dingtalk", "dingtalk plugin"])
async def test_dingtalk_calls_people_and_links_to_the_incident(name: str) -> None:
    """The mobile stands in `at` and in the text, the link leads to the incident; the peer checked the signature."""
    async with RIGS[name]() as rig:
        await rig.notifier.deliver(rig.notifier.render(notice()), delivery="INC-7.1")
    message = rig.peer.messages[0]
    assert message["at"]["atMobiles"] == [MOBILE]
    assert f"@{MOBILE}" in message["markdown"]["text"]
    assert "http://127.0.0.1:8080/incidents/INC-7" in message["markdown"]["text"]


@pytest.mark.parametrize("changes", [{"secret": SecretStr("SECwrong")}, {"token": SecretStr("wrong-token")}])
async def test_dingtalk_with_a_wrong_credential_is_refused_for_good(changes: dict[str, SecretStr]) -> None:
    """A wrong secret or token is the vendor's error in an HTTP 200, final, and never repeated in the reason."""
    async with DingTalkPeer(token=TOKEN, secret=SECRET) as peer:
        right = {"token": SecretStr(TOKEN), "secret": SecretStr(SECRET)}
        notifier = build("robot", DingTalkChannel(**(right | changes), base_url=peer.url, timeout_s=PATIENCE_S))
        became, evidence = await outcome(notifier.deliver(notifier.render(notice()), delivery="INC-7.1"))
    assert became == "failed", evidence
    assert peer.messages == []


@pytest.mark.parametrize(("mode", "expected"), [("slow", "ok"), ("html", "retry"), ("redirect", "failed")])
@pytest.mark.parametrize("name", ["dingtalk", "dingtalk plugin"])
async def test_what_stands_between_us_and_the_vendor(name: str, mode: str, expected: Outcome) -> None:
    """Slowness is waited out; a sign-in page is no success though it says 200; a redirect is not followed."""
    async with RIGS[name]() as rig:
        rig.peer.mode = mode
        became, evidence = await outcome(rig.notifier.deliver(rig.notifier.render(notice()), delivery="INC-7.1"))
    assert became == expected, evidence
    assert len(rig.peer.bodies) == 1


@pytest.mark.parametrize("name", ["dingtalk", "webhook"])
async def test_one_connection_carries_all_messages(name: str) -> None:
    """Messages one after the other do not pay for a connection each, and a lost one is made again."""
    async with RIGS[name]() as rig:
        rig.peer.script.extend(["ok", "ok", "cut", "ok"])
        words = []
        for number in range(4):
            word, _ = await outcome(rig.notifier.deliver(rig.notifier.render(notice()), delivery=f"INC-7.{number}"))
            words.append(word)
    assert words == ["ok", "ok", "unknown", "ok"]
    assert len(set(rig.peer.callers[:3])) == 1
    assert rig.peer.callers[3] != rig.peer.callers[2]


async def test_apprise_passes_title_and_text_on() -> None:
    """What was rendered arrives as it was, with Apprise's kind for its colour."""
    async with apprise_json() as rig:
        payload = rig.notifier.render(notice())
        await rig.notifier.deliver(payload, delivery="INC-7.1")
    sent = json.loads(rig.peer.messages[0])
    assert (sent["title"], sent["message"].strip(), sent["type"]) == (payload.title, payload.body, "failure")


@pytest.mark.parametrize(("mode", "made_again"), [("ok", 0), ("404", 0), ("cut", 0), ("hang", 1)])
async def test_apprise_object_serves_until_it_may_be_in_use(
    mode: Any, made_again: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One object for all attempts; after a time-out a thread of Apprise's may still hold it, so another is made."""
    made = 0
    make = AppriseNotifier._service

    def counted(self: AppriseNotifier) -> Any:
        nonlocal made
        made += 1
        return make(self)

    async with apprise_json(HANG_S if mode == "hang" else PATIENCE_S) as rig:
        monkeypatch.setattr(AppriseNotifier, "_service", counted)
        for rig.peer.mode in (mode, "ok"):
            became, _ = await outcome(rig.notifier.deliver(rig.notifier.render(notice()), delivery="INC-7.1"))
    assert (became, made) == ("ok", made_again)


@pytest.mark.parametrize(("password", "expected"), [("right-password", "ok"), ("wrong-password", "failed")])
async def test_email_signs_in(password: str, expected: Outcome) -> None:
    """The server's verdict on the password decides, and the password is not in the reason."""
    async with SmtpPeer(credentials=("tocsin", "right-password")) as peer:
        channel = EmailChannel(
            host="127.0.0.1", port=peer.port, sender="t@ops.test", to=("a@ops.test",), timeout_s=PATIENCE_S,
            username="tocsin", password=SecretStr(password),
        )  # fmt: skip
        notifier = build("mail", channel)
        became, evidence = await outcome(notifier.deliver(notifier.render(notice()), delivery="INC-7.1"))
    assert became == expected, evidence
    assert len(peer.messages) == (expected == "ok")
    assert "password" not in repr(evidence)


async def test_dingtalk_peer_enforces_keyword_and_rate() -> None:
    """The peer is no rubber stamp: without the keyword, and beyond the rate, it refuses."""
    async with DingTalkPeer(token=TOKEN, keyword="INC-7", per_minute=2) as peer:
        notifier = build("robot", DingTalkChannel(token=SecretStr(TOKEN), base_url=peer.url, timeout_s=PATIENCE_S))
        became = []
        for told in (notice(incident="X", url=""), notice(), notice(), notice()):
            word, _ = await outcome(notifier.deliver(notifier.render(told), delivery="INC-7.1"))
            became.append(word)
    assert became == ["failed", "ok", "ok", "retry"]


async def test_dingtalk_card_has_a_button_and_text_calls_everybody() -> None:
    """R1.3: an actionCard leads to the incident by its button; a text calls numbers or all; a card refuses to call."""
    async with RIGS["dingtalk"](message="action_card", at_mobiles=()) as rig:
        await rig.notifier.deliver(rig.notifier.render(notice()), delivery="INC-7.1")
    card = rig.peer.messages[0]["actionCard"]
    assert (card["singleTitle"], card["singleURL"]) == ("处理此事件", notice().url)
    async with RIGS["dingtalk"](message="text", at_all=True) as rig:
        await rig.notifier.deliver(rig.notifier.render(notice()), delivery="INC-7.1")
    message = rig.peer.messages[0]
    assert message["at"] == {"atMobiles": [MOBILE], "isAtAll": True}
    assert message["text"]["content"].endswith(f"@{MOBILE} @所有人")
    card_that_calls = DingTalkChannel(token=SecretStr(TOKEN), message="action_card", at_mobiles=(MOBILE,))
    with pytest.raises(ConfigError, match="calls nobody"):
        build("ding", card_that_calls)


async def test_wecom_text_calls_people_and_keeps_the_link_however_long_it_is() -> None:
    """The whole message would be refused if it were a byte too long: the end gives way, link and mentions do not."""
    async with RIGS["wecom"](message="text", at_mobiles=(MOBILE, "@all")) as rig:
        await rig.notifier.deliver(rig.notifier.render(long_notice()), delivery="INC-7.1")
    text = rig.peer.messages[0]["text"]
    assert text["mentioned_mobile_list"] == [MOBILE, "@all"]
    assert notice().url in text["content"]
    assert 2_000 < len(text["content"].encode()) <= 2_048


async def test_wecom_app_names_unknown_members_and_renews_its_token() -> None:
    """One token serves many messages, one that was withdrawn is replaced; the receipt names unknown members."""
    async with RIGS["wecom_app"]() as rig:
        rig.peer.unknown = {"lilei"}
        receipts = []
        for number in range(3):
            receipts.append(await rig.notifier.deliver(rig.notifier.render(notice()), delivery=f"INC-7.{number}"))
            if number == 1:
                rig.peer.expire()
    assert receipts[0] == Receipt("0; invaliduser lilei", "M1")
    assert rig.peer.tokens_given == 2
    message = rig.peer.messages[0]
    assert message["touser"] == "lilei|hanmeimei"
    assert message["textcard"]["url"] == notice().url
    assert message["enable_duplicate_check"] == 1


async def test_wecom_app_has_sent_nothing_while_it_gets_no_token() -> None:
    """A wrong secret is final; a recipient that nobody is, too; neither is said to have arrived perhaps."""
    async with RIGS["wecom_app"]() as rig:
        rig.peer.secret = "another"
        became, evidence = await outcome(rig.notifier.deliver(rig.notifier.render(notice()), delivery="INC-7.1"))
        assert (became, getattr(evidence, "vendor_code", "")) == ("failed", "40001")
        rig.peer.secret, rig.peer.unknown = SECRET, {"lilei", "hanmeimei"}
        became, evidence = await outcome(rig.notifier.deliver(rig.notifier.render(notice()), delivery="INC-7.1"))
        assert (became, getattr(evidence, "vendor_code", "")) == ("failed", "81013")


async def test_feishu_card_mentions_people_and_leads_to_the_incident() -> None:
    """R1.3: title and colour by severity, mentions in the text, a button; what is over is green."""
    async with RIGS["feishu"](at_users=("ou_1", "all")) as rig:
        for told in (notice(), notice(kind="resolved", state="resolved")):
            await rig.notifier.deliver(rig.notifier.render(told), delivery="INC-7.1")
    opened, resolved = (message["card"] for message in rig.peer.messages)
    assert (opened["header"]["template"], resolved["header"]["template"]) == ("red", "green")
    assert opened["elements"][0]["content"].startswith("<at id=ou_1></at><at id=all></at>")
    assert opened["elements"][1]["actions"][0]["url"] == notice().url


@pytest.mark.parametrize("name", ["feishu", "aliyun_sms", "tencent_sms"])
async def test_a_clock_that_is_off_is_the_vendors_final_error(name: str) -> None:
    """A signature two hours old is refused for good, and said to be the clock's fault or the secret's."""
    async with RIGS[name]() as rig:
        notifier: Any = rig.notifier
        for owner in (notifier, getattr(notifier, "_api", notifier)):
            owner._clock = lambda: time.time() - 7200
        became, evidence = await outcome(notifier.deliver(notifier.render(notice()), delivery="INC-7.1"))
    assert became == "failed"
    assert "clock" in evidence.reason  # type: ignore[union-attr]


async def test_aliyun_takes_all_numbers_and_its_receipts_tell_who_was_not_reached() -> None:
    """One call for all numbers; asked afterwards by our own identity, the vendor names the number that was lost."""
    async with RIGS["aliyun_sms"]() as rig:
        notifier: Any = rig.notifier
        assert await notifier.trace("INC-7.1") is None
        receipt = await notifier.deliver(notifier.render(notice(incident="INC-prod-123456")), delivery="INC-7.1")
        rig.peer.lost = {"13900000000"}
        traced = await notifier.trace("INC-7.1")
        rig.peer.lost |= {MOBILE}
        became, _ = await outcome(notifier.trace("INC-7.1"))
    assert receipt == Receipt("OK", "B1")
    assert traced.vendor_code == "OK; not reached +86139****0000: MOBILE_NOT_ON_SERVICE"
    assert became == "failed"
    variables = json.loads(rig.peer.messages[0]["TemplateParam"])
    assert variables == {"priority": "P1", "code": short_code("INC-prod-123456")}


@pytest.mark.parametrize(
    ("refused", "expected", "told"),
    [
        ({"+8613900000000": "LimitExceeded.PhoneNumberDailyLimit"}, "ok", "Ok; refused +86139****0000: LimitExceeded"),
        (dict.fromkeys(("+8613800000000", "+8613900000000"), "FailedOperation.PhoneNumberInBlacklist"), "failed", ""),
        ({"+8613800000000": "FailedOperation.PhoneNumberInBlacklist",
          "+8613900000000": "LimitExceeded.PhoneNumberThirtySecondLimit"}, "retry", ""),
    ],
)  # fmt: skip
async def test_tencent_answers_number_by_number(refused: dict[str, str], expected: Outcome, told: str) -> None:
    """Some refused: told, and the receipt names them masked. All refused: an error, final only if each refusal is."""
    async with RIGS["tencent_sms"]() as rig:
        rig.peer.refused = refused
        became, evidence = await outcome(rig.notifier.deliver(rig.notifier.render(notice()), delivery="INC-7.1"))
    assert became == expected
    if isinstance(evidence, Receipt):
        assert evidence.vendor_code.startswith(told)


@pytest.mark.parametrize("contexts", [True, False])
async def test_tencent_is_asked_what_became_of_a_message(contexts: bool) -> None:
    """With our identity in its receipts the vendor proves the delivery; without, nothing is claimed."""
    async with RIGS["tencent_sms"]() as rig:
        rig.peer.contexts = contexts
        notifier: Any = rig.notifier
        await notifier.deliver(notifier.render(notice()), delivery="INC-7.1")
        traced = await notifier.trace("INC-7.1")
    assert traced == (Receipt("Ok", "S1") if contexts else None)


async def test_smpp_sends_one_short_message_to_each_number() -> None:
    """Seventy units of UTF-16 with the link at their end; a number that the gateway refuses is named, masked."""
    async with RIGS["smpp"](phones=(MOBILE, "+85251110000")) as rig:
        rig.peer.script.extend(["ok", "refuse"])
        receipt = await rig.notifier.deliver(rig.notifier.render(long_notice()), delivery="INC-7.1")
    assert receipt.vendor_code == "0x00000000; refused +852****0000: 0x0000000B"
    message = rig.peer.messages[0]
    assert (message.to, message.sender, message.coding) == (MOBILE, "10690000", 8)
    assert message.text.startswith("[P1 紧急]")
    assert message.text.endswith(f"… {notice().url}")
    assert len(message.raw) <= 140


TESTERS: dict[str, dict[str, Any]] = {
    "aliyun_sms": {"test_phones": ("13700000000",)}, "aliyun_voice": {"test_phone": "13700000000"},
    "tencent_sms": {"test_phones": ("13700000000",)}, "tencent_voice": {"test_phone": "13700000000"},
    "smpp": {"test_phones": ("13700000000",)}, "wecom_app": {"test_users": ("tester",)},
}  # fmt: skip


@pytest.mark.parametrize("name", TESTERS)
async def test_a_test_message_goes_to_the_test_recipient_only(name: str) -> None:
    """R1.8: a channel is proven alive without waking anybody; a page goes to the people all the same."""
    changes = TESTERS[name]
    async with RIGS[name](**changes) as rig:
        for told in (notice(kind="test"), notice()):
            await rig.notifier.deliver(rig.notifier.render(told), delivery="TEST.1")
    test, page = (repr(message) for message in rig.peer.messages)
    tester = str(next(iter(changes.values()))).strip("(',)")
    assert tester in test
    assert tester not in page
    assert MOBILE in page or "lilei" in page
    assert MOBILE not in test
    assert "lilei" not in test


async def test_a_test_e_mail_goes_to_the_test_recipient_only() -> None:
    """The same for e-mail, in the envelope as in the header."""
    async with SmtpPeer() as peer:
        channel = EmailChannel(
            host="127.0.0.1", port=peer.port, sender="t@ops.test", to=("a@ops.test",), test_to=("probe@ops.test",),
            timeout_s=PATIENCE_S,
        )  # fmt: skip
        mail = build("mail", channel)
        for told in (notice(kind="test"), notice()):
            await mail.deliver(mail.render(told), delivery="TEST.1")
    assert [message["To"] for message in peer.messages] == ["probe@ops.test", "a@ops.test"]


@pytest.mark.parametrize("name", ["dingtalk", "feishu", "wecom"])
async def test_a_test_message_mentions_nobody(name: str) -> None:
    """A robot's group sees that the channel is alive, and nobody's telephone rings."""
    changes = {"feishu": {"at_users": ("ou_1",)}, "wecom": {"message": "text", "at_mobiles": (MOBILE,)}}.get(name, {})
    async with RIGS[name](**changes) as rig:
        for told in (notice(kind="test"), notice()):
            await rig.notifier.deliver(rig.notifier.render(told), delivery="TEST.1")
    test, page = (repr(message) for message in rig.peer.messages)
    assert MOBILE not in test
    assert "ou_1" not in test
    assert MOBILE in page or "ou_1" in page
