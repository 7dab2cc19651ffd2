"""An SMTP server that does as it is told: takes, refuses, hangs or hangs up."""

from __future__ import annotations

import asyncio
from collections import deque
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Literal, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

Mode = Literal["accept", "451", "550", "cut", "hang", "421"]
"""cut: the message is read, then the connection drops unanswered. hang: it is read and never answered."""


class SmtpPeer:
    """`async with SmtpPeer() as peer:` listens on a free port of 127.0.0.1 (`peer.port`).

    `script` holds what to do with the next messages, then `mode` applies. `refused` maps recipients to an answer.
    With `credentials` (name, password) it takes mail only from who signs in; there is no TLS.
    """

    def __init__(self, mode: Mode = "accept", *, port: int = 0, credentials: tuple[str, str] | None = None) -> None:
        self.mode, self.port, self.credentials = mode, port, credentials
        self.script: deque[Mode] = deque()
        self.refused: dict[str, str] = {}
        self.messages: list[EmailMessage] = []
        self._server: asyncio.Server | None = None
        self._sessions: set[Any] = set()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._session, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for session in self._sessions:
            if session.transport is not None:
                session.transport.abort()
        await self._server.wait_closed()

    def _session(self) -> SMTP:
        session = SMTP(
            self,
            hostname="peer.test",
            ident="test peer",
            loop=asyncio.get_running_loop(),
            auth_require_tls=False,
            auth_required=self.credentials is not None,
            authenticator=self._authenticate,
        )
        self._sessions.add(session)
        return session

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        offered = (data.login.decode(), data.password.decode())
        return AuthResult(success=offered == self.credentials, handled=False)

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, to: str, options: list[str]) -> str:
        """Take the recipient, unless `refused` says otherwise."""
        if to in self.refused:
            return self.refused[to]
        envelope.rcpt_tos.append(to)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Answer the message as scripted; what is taken, or read before trouble, is in `messages`."""
        mode = self.script.popleft() if self.script else self.mode
        if mode in ("451", "421"):
            return f"{mode} 4.7.1 Greylisted, try again later"
        if mode == "550":
            return "550 5.1.1 No such user here"
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.messages.append(message)
        if mode == "hang":
            await asyncio.sleep(3600)
        if mode == "cut":
            assert isinstance(server.transport, asyncio.WriteTransport)
            server.transport.abort()
        return f"250 2.0.0 Ok: queued as Q{len(self.messages)}"
