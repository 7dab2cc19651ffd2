"""What a request asks for: matchers, flags, receivers; read as Alertmanager reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response

from schemas.live import AlertQuery
from schemas.matchers import Matcher, Matchers, matches, parse_matcher
from web.alertmanager.wire import answer

_TRUE = frozenset(("true", "1", "yes", "ok", "y", "on", "selected", "checked", "t", "enabled"))
"""Source: go-openapi `swag.ConvertBool`; everything else is false, and nothing means the default."""
LONGEST_PAGE = 10_000


class Refused(Exception):
    """The request is answered with `response` and goes no further."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


def flag(request: Request, name: str) -> bool:
    """A flag that is on unless it is switched off."""
    given = request.query_params.get(name, "")
    return given.lower() in _TRUE if given else True


def matchers(request: Request, name: str = "filter", told: str = "") -> Matchers:
    """The matchers of a parameter that may be repeated; raises Refused (400), `told` standing before the reason."""
    try:
        return tuple(parse_matcher(text) for text in request.query_params.getlist(name))
    except ValueError as unreadable:
        raise Refused(answer(f"{told}{unreadable}", 400)) from None


def receiver_filter(request: Request) -> Callable[[str], bool] | None:
    """Whether a receiver of this name is asked for; None where every one is. Raises Refused (400)."""
    pattern = request.query_params.get("receiver")
    by_labels = matchers(request, "receiver_matchers", "failed to parse receiver_matchers param: ")
    if pattern is None and not by_labels:
        return None
    try:
        wanted = None if pattern is None else Matcher.of("name", "=~", pattern)
    except ValueError as unreadable:
        raise Refused(answer(f"failed to parse receiver param: {unreadable}", 400)) from None
    return lambda name: (wanted is None or wanted.matches(name)) and matches(by_labels, receiver_labels(name))


def receiver_labels(name: str) -> dict[str, str]:
    """The labels of a receiver; there are no others than its name."""
    return {"name": name}


def alert_query(request: Request) -> AlertQuery:
    """The alerts that a request asks for; raises Refused (400)."""
    return AlertQuery(
        matchers=matchers(request),
        active=flag(request, "active"),
        silenced=flag(request, "silenced"),
        inhibited=flag(request, "inhibited"),
        after=request.query_params.get("after", ""),
    )


def limit(request: Request) -> int | None:
    """How many alerts at most, None for all: Tocsin's own parameter. Raises Refused (400)."""
    given = request.query_params.get("limit")
    if given is None:
        return None
    if not (given.isascii() and given.isdigit() and 1 <= int(given) <= LONGEST_PAGE):
        raise Refused(answer(f"limit: expected a number from 1 to {LONGEST_PAGE}", 400))
    return int(given)


def any_wanted(names: Sequence[str], wanted: Callable[[str], bool] | None) -> bool:
    """Whether one of these receivers is asked for."""
    return wanted is None or any(wanted(name) for name in names)
