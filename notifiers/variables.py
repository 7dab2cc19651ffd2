"""What fills the variables of an approved template (SMS, voice): short, and nothing that a vendor takes for a link."""

from __future__ import annotations

import re

from notifiers.rendering import local_time, one_line, word
from schemas.channels import NoticeField
from schemas.events import Notice
from schemas.short_codes import short_code

_ODD = re.compile(r"[^\w \-+:]+")
"""Dots and slashes make a link of a name, which vendors refuse; brackets are for the signature."""


def variable(field: NoticeField, notice: Notice, chars: int) -> str:
    """One value in at most `chars` characters; never empty, since vendors refuse that, too.

    >>> notice = Notice("opened", "INC-7", "t", "P1", "critical", "triggered", "pay.example.com", 0, 0, 3)
    >>> variable("code", notice, 6), variable("service", notice, 20), variable("severity", notice, 6)
    ('7', 'pay example com', '紧急')
    """
    match field:
        case "code":
            value = short_code(notice.incident)
        case "kind" | "severity":
            value = word(notice.kind if field == "kind" else notice.severity, notice.language)
        case "count":
            value = str(notice.alert_count)
        case "time":
            value = _clock_time(notice)
        case "priority" | "service" | "incident":
            value = str(getattr(notice, field))
    return _ODD.sub(" ", one_line(value)).strip()[:chars].strip() or "-"


def _clock_time(notice: Notice) -> str:
    return local_time(notice.opened_ms, notice.timezone)[11:16]
