"""A running Tocsin, asked over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from engine.cli.options import TOKEN_FILE
from schemas.config import Settings
from schemas.errors import CommandRejected, StoreUnavailable

TIMEOUT_S = 30.0


class Remote:
    """One server and the token that speaks for its user."""

    def __init__(self, url: str, token: str | None) -> None:
        self._url, self._token = url.rstrip("/"), token

    @classmethod
    def of(cls, settings: Settings, url: str | None, token: str | None) -> Remote:
        """The server at `url`, else that of the settings; the token as given, else that of the token file."""
        return cls(url or f"http://{settings.server.host}:{settings.server.port}", token or _kept_token())

    def get(self, path: str, **params: str | int) -> Any:
        """Read something. Raises as `send` does."""
        return self.send("GET", path, params=params)

    def post(self, path: str, content: object) -> Any:
        """Ask for something. Raises as `send` does."""
        return self.send("POST", path, body=msgspec.json.encode(content))

    def send(
        self, method: str, path: str, *, body: bytes | None = None, params: Mapping[str, str | int] | None = None
    ) -> Any:
        """One request; the decoded JSON answer. Raises as `_ask` does."""
        content = self._ask(method, path, body=body, params=params)
        return msgspec.json.decode(content) if content else None

    def text(self, path: str, **params: str | int) -> str:
        """Read something that is no JSON. Raises as `send` does."""
        return self._ask("GET", path, params=params).decode()

    def _ask(
        self, method: str, path: str, *, body: bytes | None = None, params: Mapping[str, str | int] | None = None
    ) -> bytes:
        """One request; the body of its answer.

        Raises StoreUnavailable when nobody answers or the server cannot take it now (nothing was accepted),
        CommandRejected with the server's own code and words for every other refusal.
        """
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            answer = httpx2.request(
                method, self._url + path, content=body, params=params, headers=headers, timeout=TIMEOUT_S,
                follow_redirects=False, trust_env=False,
            )  # fmt: skip
        except httpx2.HTTPError as error:
            raise StoreUnavailable(f"no answer from {self._url}: {error} (is `tocsin serve` running?)") from error
        except httpx2.InvalidURL as error:
            raise CommandRejected("bad_url", f"not a URL: {self._url}") from error
        if answer.is_success:
            return answer.content
        raise _refusal(answer.status_code, answer.content)


def _refusal(status: int, body: bytes) -> CommandRejected | StoreUnavailable:
    code, words = _words(body)
    if status in (502, 503, 504):
        return StoreUnavailable(words or f"the server answers {status}; nothing was accepted, retry later")
    if status == 401:
        return CommandRejected(
            "unauthorized",
            f"{words or 'who are you?'}: give --token or TOCSIN_TOKEN (`tocsin users token NAME` makes one)",
        )
    return CommandRejected(code or f"http_{status}", words or f"the server answers {status}")


def _words(body: bytes) -> tuple[str, str]:
    """(code, text) of an error answer: Tocsin's own, FastAPI's ``detail``, problem+json, or a plain string."""
    try:
        content = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return "", body[:300].decode("utf-8", "replace").strip()
    if isinstance(content, dict) and isinstance(content.get("error"), dict):
        content = content["error"]
    if isinstance(content, dict):
        text = next((content[key] for key in ("reason", "detail", "message", "error", "title") if content.get(key)), "")
        return str(content.get("code", "")), text if isinstance(text, str) else msgspec.json.encode(text).decode()
    return "", str(content)


def _kept_token() -> str | None:
    file = Path(TOKEN_FILE).expanduser()
    return file.read_text("utf-8").strip() or None if file.is_file() else None
