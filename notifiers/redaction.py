"""Secrets and telephone numbers stay out of every log, also out of those that libraries write.

An HTTP client logs each request's URL, and for a robot the URL is the credential. A filter on the loggers of the
libraries that we call replaces every known secret before a handler sees it.
"""

from __future__ import annotations

import logging
import re

LOGGERS = ("httpx2", "httpcore2.http11", "httpcore2.connection", "apprise", "urllib3.connectionpool", "requests")
"""Loggers of the libraries that handle our URLs; a filter is not inherited, so each is named."""
MASK = "***"
SHORTEST = 6
"""Shorter strings are not replaced: they would mask ordinary words."""

_PHONE = re.compile(r"(?<!\d)((?:86)?1\d{2})\d{4}(\d{4})(?!\d)")


def mask_phones(text: str) -> str:
    """Mainland mobile numbers with their middle hidden.

    >>> mask_phones("call 13812340000 now")
    'call 138****0000 now'
    """
    return _PHONE.sub(r"\1****\2", text)


class _Redaction(logging.Filter):
    def __init__(self) -> None:
        super().__init__()
        self.secrets: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, without its secrets."""
        try:
            said = record.getMessage()
        except (TypeError, ValueError):
            said = str(record.msg)
        record.msg, record.args = self.clean(said), ()
        return True

    def clean(self, text: str) -> str:
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, MASK)
        return mask_phones(text)


_redaction = _Redaction()


def keep_out_of_logs(*secrets: str) -> None:
    """Never let these strings reach a log; idempotent. Called by each channel with its own secrets."""
    _redaction.secrets.update(secret for secret in secrets if len(secret) >= SHORTEST)
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if _redaction not in logger.filters:
            logger.addFilter(_redaction)


def redacted(text: str) -> str:
    """`text` without any known secret and with telephone numbers masked, for reasons that go on record."""
    return _redaction.clean(text)
