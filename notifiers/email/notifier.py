"""E-mail by SMTP: one conversation, and the server's own codes decide what became of it."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime

import aiosmtplib
import msgspec

from notifiers.ratelimit import Rate
from notifiers.redaction import keep_out_of_logs, redacted
from notifiers.rendering import headline, one_line, render
from schemas.config import EmailChannel
from schemas.deliveries import Receipt
from schemas.errors import ConfigError, DeliveryError
from schemas.events import Notice

_ADDRESS = re.compile(r"[!-;=?A-~]+@[A-Za-z0-9.\-\[\]:]+")
"""An addr-spec in ASCII, without spaces and angle brackets: nothing in it can start a new header or command."""


class Letter(msgspec.Struct, frozen=True):
    """One e-mail but for its Message-ID. `thread` is the same for every letter about one incident."""

    subject: str
    text: str
    html: str
    thread: str
    topic: str
    at_ms: int
    language: str
    to: tuple[str, ...]


class EmailNotifier:
    """Tells people by e-mail. Some recipients refused still counts as told: the receipt names those refused."""

    rate: Rate | None = None

    def __init__(self, name: str, channel: EmailChannel) -> None:
        """Raises ConfigError for an address that SMTP cannot carry."""
        for address in (channel.sender, *channel.to, *channel.test_to):
            if not _ADDRESS.fullmatch(address):
                raise ConfigError(f"{address!r} is not a plain ASCII address (name@host)", key=f"channels.{name}")
        self._channel = channel
        self._password = channel.password.get_secret_value() if channel.password else None
        self._domain = channel.sender.rpartition("@")[2]
        keep_out_of_logs(self._password or "")

    def render(self, notice: Notice) -> Letter:
        """Subject, plain text and a small HTML twin, in the notice's language and time zone."""
        return Letter(
            subject=headline(notice),
            text=render(f"email/{notice.language}.txt.j2", notice),
            html=render(f"email/{notice.language}.html.j2", notice),
            thread=f"{notice.incident}.{notice.opened_ms}",
            topic=f"{notice.incident} {notice.service}".strip(),
            at_ms=notice.at_ms,
            language=notice.language,
            to=(notice.kind == "test" and self._channel.test_to) or self._channel.to,
        )

    async def deliver(self, payload: Letter, *, delivery: str) -> Receipt:
        """One SMTP conversation, all of it within the channel's `timeout_s`.

        4xx is worth a retry, 5xx is final. From DATA on, silence or a cut means that it may have been taken.
        """
        return await self._hand_over(self.compose(payload, delivery), payload.to)

    async def send_text(self, subject: str, text: str, message_id: str, *, at_ms: int) -> Receipt:
        """Mail plain text that is about no incident; the answer and the errors are those of `deliver`.

        `message_id` is the same for the same letter only; `at_ms` dates it.
        """
        letter = self._headed(subject, message_id, at_ms)
        letter.set_content(text, cte="base64")
        return await self._hand_over(letter, self._channel.to)

    async def send_page(
        self,
        subject: str,
        bodies: tuple[str, str],
        files: Sequence[tuple[str, str, bytes]],
        message_id: str,
        at_ms: int,
    ) -> Receipt:
        """Mail a page that is about no incident, as plain text and HTML, with files (name, media type, content).

        The answer and the errors are those of `deliver`.
        """
        letter = self._headed(subject, message_id, at_ms)
        letter.set_content(bodies[0], cte="base64")
        letter.add_alternative(bodies[1], subtype="html", cte="base64")
        for name, media_type, content in files:
            main, _, sub = media_type.partition(";")[0].partition("/")
            letter.add_attachment(content, maintype=main, subtype=sub, filename=name)
        return await self._hand_over(letter, self._channel.to)

    async def _hand_over(self, letter: EmailMessage, to: tuple[str, ...]) -> Receipt:
        content = letter.as_bytes()
        handed_over = False
        smtp = self._client()
        try:
            async with asyncio.timeout(self._channel.timeout_s):
                await smtp.connect()
                refused = await self._envelope(smtp, to)
                handed_over = True
                reply = await smtp.data(content)
        except aiosmtplib.SMTPResponseException as answer:
            raise _refusal(answer.code, answer.message) from None
        except (aiosmtplib.SMTPNotSupported, ValueError) as impossible:
            raise DeliveryError(redacted(f"cannot be sent: {impossible}"), permanent=True) from None
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as trouble:
            reason = one_line(redacted(f"{type(trouble).__name__}: {trouble}"))
            raise DeliveryError(reason, maybe_sent=handed_over) from None
        finally:
            await _hang_up(smtp)
        told = f"{reply.code}" + "".join(f"; refused {to}: {why}" for to, why in refused.items())
        return Receipt(vendor_code=one_line(told), vendor_message_id=one_line(reply.message))

    def compose(self, payload: Letter, delivery: str) -> EmailMessage:
        """The whole message. Its Message-ID is the same at each attempt, so that mailboxes drop the second copy."""
        letter = self._headed(payload.subject, f"{delivery}.{payload.thread}", payload.at_ms)
        del letter["To"]
        letter["To"] = ", ".join(payload.to)
        thread = self._message_id(payload.thread)
        letter["In-Reply-To"] = thread
        letter["References"] = thread
        letter["Thread-Topic"] = one_line(payload.topic)  # what Outlook groups by where subjects differ
        letter["Content-Language"] = payload.language
        letter.set_content(payload.text, cte="base64")
        letter.add_alternative(payload.html, subtype="html", cte="base64")
        return letter

    def _headed(self, subject: str, identity: str, at_ms: int) -> EmailMessage:
        """An empty message with the headers that every one of ours bears."""
        letter = EmailMessage(policy=policy.SMTP)
        letter["Subject"] = one_line(subject)
        letter["From"] = self._channel.sender
        letter["To"] = ", ".join(self._channel.to)
        letter["Date"] = format_datetime(datetime.fromtimestamp(at_ms / 1000, UTC))
        letter["Message-ID"] = self._message_id(identity)
        letter["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
        for name, value in self._channel.headers.items():
            del letter[name]
            letter[name] = value
        return letter

    def _message_id(self, identity: str) -> str:
        return f"<tocsin.{re.sub(r'[^A-Za-z0-9._-]', '-', identity)}@{self._domain}>"

    def _client(self) -> aiosmtplib.SMTP:
        channel = self._channel
        return aiosmtplib.SMTP(
            hostname=channel.host,
            port=channel.port,
            username=channel.username or None,
            password=self._password,
            use_tls=channel.security == "tls",
            start_tls=channel.security == "starttls",
            timeout=channel.timeout_s,
            local_hostname=self._domain,
        )

    async def _envelope(self, smtp: aiosmtplib.SMTP, to: tuple[str, ...]) -> dict[str, str]:
        """MAIL and RCPT; the recipients refused. Raises DeliveryError when all are: final only if each one is."""
        await smtp.mail(self._channel.sender)
        refused: dict[str, aiosmtplib.SMTPRecipientRefused] = {}
        for address in to:
            try:
                await smtp.rcpt(address)
            except aiosmtplib.SMTPRecipientRefused as refusal:
                refused[address] = refusal
        if len(refused) == len(set(to)):
            softest = min(refused.values(), key=lambda refusal: refusal.code)
            raise _refusal(softest.code, f"every recipient refused: {softest.message}")
        return {address: f"{refusal.code} {refusal.message}" for address, refusal in refused.items()}


def _refusal(code: int, message: str) -> DeliveryError:
    return DeliveryError(one_line(redacted(message)) or str(code), permanent=code >= 500, vendor_code=str(code))


async def _hang_up(smtp: aiosmtplib.SMTP) -> None:
    """A polite QUIT that can change nothing about the outcome any more."""
    if smtp.is_connected:
        with contextlib.suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
            await smtp.quit(timeout=1)
    smtp.close()
