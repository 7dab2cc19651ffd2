"""One contract for every channel: each fault a vendor can show, through real sockets, and what must become of it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from email.message import EmailMessage
from typing import Any, Literal, NamedTuple

import pytest
from pydantic import SecretStr

from notifiers.apprise_url.notifier import AppriseNotifier
from notifiers.dingtalk.notifier import DingTalkNotifier
from notifiers.notifier import Notifier
from notifiers.registry import build
from notifiers.webhook.notifier import WebhookNotifier
from schemas.config import AppriseChannel, DingTalkChannel, EmailChannel, WebhookChannel
from schemas.deliveries import Receipt
from schemas.errors import DeliveryError
from schemas.events import Notice
from tests.peers.dingtalk import DingTalkPeer
from tests.peers.http import HttpPeer
from tests.peers.smtp import SmtpPeer

TOKEN, SECRET, MOBILE = "f00dcafe0123456789", "SEC+with/odd=letters", "13800000000"

Outcome = Literal["ok", "retry", "failed", "unknown"]
Fault = Literal["accepted", "error_in_200", "throttled", "429", "5xx", "permanent", "hang", "cut"]


class Rig(NamedTuple):
    """A channel wired to its own peer; `faults` says what each fault is called there, and what must come of it."""

    notifier: Notifier[Any]
    peer: Any
    faults: dict[Fault, tuple[str, Outcome]]


PATIENCE_S = 60
"""The time-out of channels whose peer answers, however slowly the machine lets it."""
HANG_S = 2
"""That of channels whose peer takes a message and never answers; within it the peer must have taken it."""

DINGTALK_FAULTS: dict[Fault, tuple[str, Outcome]] = {
    "accepted": ("ok", "ok"), "error_in_200": ("refuse", "failed"), "throttled": ("throttle", "retry"),
    "429": ("429", "retry"), "5xx": ("500", "retry"), "permanent": ("404", "failed"), "hang": ("hang", "unknown"),
    "cut": ("cut", "unknown"),
}  # fmt: skip
HTTP_FAULTS: dict[Fault, tuple[str, Outcome]] = {
    "accepted": ("ok", "ok"), "429": ("429", "retry"), "5xx": ("500", "retry"), "permanent": ("404", "failed"),
    "hang": ("hang", "unknown"), "cut": ("cut", "unknown"),
}  # fmt: skip
SMTP_FAULTS: dict[Fault, tuple[str, Outcome]] = {
    "accepted": ("accept", "ok"), "5xx": ("451", "retry"), "429": ("421", "retry"), "permanent": ("550", "failed"),
    "hang": ("hang", "unknown"), "cut": ("cut", "unknown"),
}  # fmt: skip
NO_SUCH_FAULT = {
    ("email", "error_in_200"): "SMTP has no success code that carries an error",
    ("email", "throttled"): "SMTP throttles by 4xx, which 5xx (451) and 429 (421) show",
    ("webhook", "error_in_200"): "a webhook takes any 2xx as success: there is no vendor behind it",
    ("webhook", "throttled"): "a webhook knows only HTTP status codes",
    ("apprise json", "error_in_200"): "json:// takes any 2xx as success: there is no vendor behind it",
    ("apprise json", "throttled"): "json:// knows only HTTP status codes",
}
"""Why a pair does not exist; nothing else is left out."""


@contextlib.asynccontextmanager
async def email(timeout_s: int = PATIENCE_S) -> AsyncIterator[Rig]:
    async with SmtpPeer() as peer:
        channel = EmailChannel(
            host="127.0.0.1", port=peer.port, sender="tocsin@ops.test", to=("li@ops.test",), timeout_s=timeout_s
        )
        yield Rig(build("mail", channel), peer, SMTP_FAULTS)


@contextlib.asynccontextmanager
async def dingtalk(timeout_s: int = PATIENCE_S) -> AsyncIterator[Rig]:
    async with DingTalkPeer(token=TOKEN, secret=SECRET) as peer:
        channel = DingTalkChannel(
            token=SecretStr(TOKEN),
            secret=SecretStr(SECRET),
            base_url=peer.url,
            at_mobiles=(MOBILE,),
            timeout_s=timeout_s,
        )
        robot = DingTalkNotifier("robot", channel)
        yield Rig(robot, peer, DINGTALK_FAULTS)
        await robot.close()


@contextlib.asynccontextmanager
async def webhook(timeout_s: int = PATIENCE_S) -> AsyncIterator[Rig]:
    async with HttpPeer() as peer:
        channel = WebhookChannel(
            url=SecretStr(f"{peer.url}/hook/{TOKEN}?key={MOBILE}"), token=SecretStr(SECRET), timeout_s=timeout_s
        )
        hook = WebhookNotifier("hook", channel)
        yield Rig(hook, peer, HTTP_FAULTS)
        await hook.close()


@contextlib.asynccontextmanager
async def dingtalk_plugin(timeout_s: int = PATIENCE_S) -> AsyncIterator[Rig]:
    async with DingTalkPeer(token=TOKEN, secret=SECRET) as peer:
        url = f"tocsindingtalk://{SECRET.replace('+', '%2B').replace('/', '%2F')}@{TOKEN}/{MOBILE}?base={peer.url}"
        yield Rig(build("plugin", AppriseChannel(url=SecretStr(url), timeout_s=timeout_s)), peer, DINGTALK_FAULTS)


@contextlib.asynccontextmanager
async def apprise_json(timeout_s: int = PATIENCE_S) -> AsyncIterator[Rig]:
    async with HttpPeer() as peer:
        url = SecretStr(f"json://127.0.0.1:{peer.port}/hook")
        yield Rig(build("hook", AppriseChannel(url=url, timeout_s=timeout_s)), peer, HTTP_FAULTS)


RIGS: dict[str, Callable[..., contextlib.AbstractAsyncContextManager[Rig]]] = {
    "email": email, "dingtalk": dingtalk, "dingtalk plugin": dingtalk_plugin, "webhook": webhook,
    "apprise json": apprise_json,
}  # fmt: skip
FAULTS: tuple[Fault, ...] = ("accepted", "error_in_200", "throttled", "429", "5xx", "permanent", "hang", "cut")
PAIRS = [(name, fault) for name in RIGS for fault in FAULTS if (name, fault) not in NO_SUCH_FAULT]


@pytest.fixture(params=RIGS)
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    """Each channel in turn, with its peer running."""
    async with RIGS[request.param]() as made:
        yield made


@pytest.fixture(scope="module")
def table() -> Iterator[dict[tuple[str, str], str]]:
    """What became of each fault on each channel, printed at the end (pytest -s)."""
    cells: dict[tuple[str, str], str] = {}
    yield cells
    print(f"\n{'':16}" + "".join(f"{fault:>14}" for fault in FAULTS))
    for name in RIGS:
        print(f"{name:16}" + "".join(f"{cells.get((name, fault), '-'):>14}" for fault in FAULTS))


def notice(**changes: Any) -> Notice:
    """A plausible notice."""
    told: dict[str, Any] = {
        "kind": "opened", "incident": "INC-7", "title": "数据库连接耗尽", "priority": "P1", "severity": "critical",
        "state": "triggered", "service": "billing", "opened_ms": 1_760_000_000_000, "at_ms": 1_760_000_000_500,
        "alert_count": 2, "alerts": ["DbConnections", "Latency"], "url": "http://127.0.0.1:8080/incidents/INC-7",
    }  # fmt: skip
    return Notice(**(told | changes))


async def outcome(attempt: Awaitable[Receipt]) -> tuple[Outcome, Receipt | DeliveryError]:
    """The one word that the outbox would report, with the evidence."""
    try:
        return "ok", await attempt
    except DeliveryError as trouble:
        return ("unknown" if trouble.maybe_sent else "failed" if trouble.permanent else "retry"), trouble


@pytest.mark.parametrize(("name", "fault"), PAIRS)
async def test_every_fault_has_its_outcome(name: str, fault: Fault, table: dict[tuple[str, str], str]) -> None:
    """Each channel calls each fault by its right name, and names no secret while doing so."""
    async with RIGS[name](HANG_S if fault == "hang" else PATIENCE_S) as rig:
        rig.peer.mode, expected = rig.faults[fault]
        became, evidence = await outcome(rig.notifier.deliver(rig.notifier.render(notice()), delivery="INC-7.1"))
    table[name, fault] = became
    assert became == expected, evidence
    for secret in (TOKEN, SECRET, MOBILE):
        assert secret not in repr(evidence)
    if became == "ok":
        assert isinstance(evidence, Receipt)
        assert evidence.vendor_code
        assert len(rig.peer.messages) == 1


@pytest.mark.parametrize("name", ["dingtalk", "dingtalk plugin"])
async def test_the_vendors_wish_to_wait_is_passed_on(name: str) -> None:
    """Retry-After reaches the core as it was said; a silenced robot is left alone for ten minutes."""
    async with RIGS[name]() as rig:
        waits = []
        for mode in ("429", "throttle"):
            rig.peer.mode = mode
            _, evidence = await outcome(rig.notifier.deliver(rig.notifier.render(notice()), delivery="INC-7.1"))
            assert isinstance(evidence, DeliveryError)
            waits.append(evidence.retry_after_s)
    assert waits == [7, 600]


async def test_nobody_listening_is_worth_a_retry(rig: Rig) -> None:
    """A refused connection has surely not sent anything, so that another attempt cannot page twice."""
    await rig.peer.__aexit__()
    became, evidence = await outcome(rig.notifier.deliver(rig.notifier.render(notice()), delivery="INC-7.1"))
    assert became == "retry", evidence
    await rig.peer.__aenter__()  # so that leaving the rig finds something to stop


async def test_over_long_text_still_arrives(rig: Rig) -> None:
    """Names of any length, in bytes, are cut by us so that the vendor takes the message."""
    long = notice(title="警" * 30_000, alerts=['钟"\\\n' * 9_000] * 40, alert_count=40, reason="🔔" * 9_000)
    became, evidence = await outcome(rig.notifier.deliver(rig.notifier.render(long), delivery="INC-7.1"))
    assert became == "ok", evidence
    assert len(rig.peer.messages) == 1
    assert max((len(raw) for raw in getattr(rig.peer, "bodies", [])), default=0) <= 20_000


async def test_hostile_names_stay_text(rig: Rig) -> None:
    """Line breaks, half an emoji, template braces and markup in a title neither break nor steer a message."""
    hostile = notice(title="a\r\nBcc: evil@x.test\r\n\r\n{{ 7*7 }}<script>[x](http://evil.test)\ud83d\x00")
    became, evidence = await outcome(rig.notifier.deliver(rig.notifier.render(hostile), delivery="INC-7\r\nX: 1"))
    assert became == "ok", evidence
    message = rig.peer.messages[0]
    if isinstance(message, EmailMessage):
        assert "{{ 7*7 }}" in message["Subject"]
        assert not {"Bcc", "X"} & set(message.keys())
        html = message.get_body(("html",))
        assert isinstance(html, EmailMessage)
        assert "<script>" not in html.get_content()
    else:
        assert "{{ 7*7 }}" in repr(message)


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
