"""One POST to a vendor's HTTP API at a time: kept connections, and knowing what had left when it fails.

The answer is given back whole, since vendors say "refused" inside an HTTP 200; each channel judges it by its own page.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from typing import Any

import httpx2
import msgspec

from notifiers.http_answer import refused
from notifiers.redaction import redacted
from notifiers.rendering import one_line
from schemas.errors import DeliveryError

IDLE_S = 4.0
"""A connection that rested longer is not used again, so that no request crosses with the vendor's closing of it."""
JSON = {"Content-Type": "application/json; charset=utf-8"}
NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)
"""What fails before the first byte of the request is written."""


class Call(msgspec.Struct, frozen=True):
    """One request, complete. URL and headers may hold credentials: never log them."""

    url: str
    body: bytes
    headers: Mapping[str, str] = msgspec.field(default_factory=JSON.copy)
    method: str = "POST"


class Reply(msgspec.Struct, frozen=True):
    """What a vendor answered; `retry_after` is the header as it came, `at_s` (Unix seconds) what a date is read by."""

    status: int
    body: bytes
    retry_after: str = ""
    at_s: float = 0.0


class Verdict(msgspec.Struct, frozen=True):
    """What one of a vendor's codes means: `final` stays so at another attempt; `wait_s` is the wait, where known."""

    says: str
    final: bool = False
    wait_s: int | None = None


class VendorClient:
    """Keeps connections for one channel. It belongs to the loop in which it is used; in another it begins anew."""

    def __init__(self, timeout_s: int) -> None:
        """`timeout_s` bounds each call as a whole; half of it, the connecting."""
        self._timeout_s = timeout_s
        self._tls = ssl.create_default_context()
        self._kept: tuple[asyncio.AbstractEventLoop, httpx2.AsyncClient] | None = None

    async def post(self, call: Call, now_s: float = 0.0) -> Reply:
        """Send `call` once. Raises DeliveryError, with `maybe_sent` unless surely not a byte of it had left."""
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._client().request(
                    call.method, call.url, content=call.body, headers=dict(call.headers)
                )
        except (httpx2.TransportError, TimeoutError) as trouble:
            raise unanswered(trouble) from None
        return Reply(answer.status_code, answer.content, answer.headers.get("Retry-After", ""), now_s)

    async def close(self) -> None:
        """Close the kept connections; the client can still be used."""
        if self._kept is not None:
            (_, client), self._kept = self._kept, None
            await client.aclose()

    def _client(self) -> httpx2.AsyncClient:
        """The one client of this event loop: what it costs to make is paid once."""
        loop = asyncio.get_running_loop()
        if self._kept is None or self._kept[0] is not loop:
            client = httpx2.AsyncClient(
                timeout=httpx2.Timeout(self._timeout_s, connect=self._timeout_s / 2),
                limits=httpx2.Limits(keepalive_expiry=IDLE_S),
                verify=self._tls,
                follow_redirects=False,
                trust_env=False,
            )
            self._kept = (loop, client)
        return self._kept[1]


def unanswered(trouble: Exception) -> DeliveryError:
    """No answer came: it may have arrived, unless the connection was never made. Names no URL."""
    return DeliveryError(
        f"no answer: {type(trouble).__name__}", vendor_code="", maybe_sent=not isinstance(trouble, NEVER_SENT)
    )


def spoken(reply: Reply, vendor: str, *, errors_in_4xx: bool = False) -> dict[str, Any]:
    """The JSON object of an answer. Raises DeliveryError where there is none: by its status, or as a stranger's.

    With `errors_in_4xx` an object in an HTTP 4xx is the vendor's own word and is given back as well, except 429's.
    """
    own_error = errors_in_4xx and 400 <= reply.status < 500 and reply.status != 429
    if reply.status != 200 and not own_error:
        raise refused(reply.status, reply.retry_after, reply.at_s)
    try:
        answer = json.loads(reply.body)
    except ValueError:
        answer = None
    if isinstance(answer, dict):
        return answer
    if reply.status != 200:
        raise refused(reply.status, reply.retry_after, reply.at_s)
    raise DeliveryError(f"the answer is not {vendor}'s: a proxy or a sign-in page stands between", vendor_code="200")


def by_code(code: str, said: object, verdicts: Mapping[str, Verdict]) -> DeliveryError:
    """The error for a vendor's `code`: as `verdicts` has it; one that is not known is worth another attempt,
    because giving up early costs more than trying twice."""
    words = one_line(redacted(str(said)))
    verdict = verdicts.get(code)
    if verdict is None:
        return DeliveryError(words or "no error code in the answer", vendor_code=code)
    reason = f"{verdict.says} ({words})" if words else verdict.says
    return DeliveryError(reason, permanent=verdict.final, vendor_code=code, retry_after_s=verdict.wait_s)
