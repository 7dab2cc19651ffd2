"""Reads `alertmanager.yml` and says what it means in Tocsin: routes, receivers, channels, inhibition; with warnings.

Nothing is dropped in silence: what is known to Alertmanager and not honoured here is a warning with line and key.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine.alertmanager_channels import ChannelMaker, Found
from engine.located_yaml import Located, Place, dotted
from engine.plain_words import Problem, one_error, read_file, validated
from schemas.alertmanager_config import UNSUPPORTED, AlertmanagerConfig, AlertmanagerReceiver, AlertmanagerRoute
from schemas.channels import Channel
from schemas.config import Settings, Source
from schemas.denoise import InhibitRule
from schemas.dispatch import Dispatch, DispatchReceiver, DispatchRoute, Integration

SOURCE: Final = "alertmanager_v2"
"""The format of what Prometheus sends; also the name of the source that is made where there is none."""
FIRST_WAIT_S: Final = 1
"""Alertmanager waits half a second to one before its second attempt (`notify/retry_stage.go`, exponential backoff)."""
EVERY_ALERT: Final = 'alertname=~".*"'
"""Stands for no matchers at all: what everything satisfies."""


@dataclass(frozen=True)
class Warned:
    """Something in the file that is not honoured."""

    file: str
    line: int | None
    key: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.key}: {self.text}"


@dataclass(frozen=True)
class Imported:
    """What an `alertmanager.yml` means."""

    dispatch: Dispatch
    inhibit: tuple[InhibitRule, ...]
    channels: dict[str, Channel]
    resolve_timeout_s: int
    warnings: tuple[Warned, ...]


def read_alertmanager(path: Path) -> Imported:
    """The configuration of a file. Raises ConfigError that names file, line and key of each mistake."""
    located = read_file(path)
    config = validated(AlertmanagerConfig, located, str(path))
    maker = ChannelMaker(config.global_, path.parent)
    receivers = {}
    for index, receiver in enumerate(config.receivers):
        receivers[receiver.name] = DispatchReceiver(integrations=tuple(_integrations(receiver, index, maker)))
    if maker.problems:
        raise one_error(maker.problems, located, str(path))
    problems = [*maker.warnings, *_not_honoured(config)]
    return Imported(
        dispatch=Dispatch(route=_route(config.route), receivers=receivers, time_intervals=config.intervals()),
        inhibit=tuple(
            InhibitRule(
                source_matchers=rule.sources or (EVERY_ALERT,),
                target_matchers=rule.targets or (EVERY_ALERT,),
                equal=rule.equal,
            )
            for rule in config.inhibit_rules
            if rule.sources or rule.targets  # else each alert would be source and target: it inhibits nothing
        ),
        channels=maker.channels,
        resolve_timeout_s=max(1, -(-config.global_.resolve_timeout // 1000)),
        warnings=tuple(_warned(problems, located, str(path))),
    )


def applied(settings: Settings, imported: Imported) -> Settings:
    """The settings with routes, inhibition and receivers of the file instead of their own; the rest stays.

    Prometheus may send without a token then, as to an Alertmanager, unless a source for it is configured; and what
    could not be sent is tried again as soon as Alertmanager would, unless the settings say when.
    """
    sources = dict(settings.sources)
    if not any(source.format == SOURCE for source in sources.values()):
        sources[SOURCE] = Source(format=SOURCE)
    delivery = settings.rules.delivery
    if "first_wait_s" not in delivery.model_fields_set:
        delivery = delivery.model_copy(update={"first_wait_s": FIRST_WAIT_S})
    rules = settings.rules.model_copy(
        update={
            "delivery": delivery,
            "dispatch": imported.dispatch,
            "inhibit": imported.inhibit,
            "expiry_s": {**settings.rules.expiry_s, SOURCE: imported.resolve_timeout_s},
        }
    )
    channels = {**settings.channels, **imported.channels}
    return settings.model_copy(update={"sources": sources, "channels": channels, "rules": rules})


def _warned(problems: list[Problem], located: Located, file: str) -> Iterator[Warned]:
    for problem in sorted(problems, key=lambda one: located.line(one.place) or 0):
        yield Warned(file, located.line(problem.place), dotted(problem.place), problem.text)


def _route(route: AlertmanagerRoute) -> DispatchRoute:
    """The same without the older forms of matchers."""
    fields = {name: getattr(route, name) for name in DispatchRoute.model_fields if name not in ("matchers", "routes")}
    below = tuple(_route(one) for one in route.routes)
    return DispatchRoute.model_construct(**fields, matchers=route.all_matchers, routes=below)


def _integrations(receiver: AlertmanagerReceiver, index: int, maker: ChannelMaker) -> Iterator[Integration]:
    for kind in ("webhook_configs", "email_configs", "slack_configs", "wechat_configs"):
        for number, config in enumerate(getattr(receiver, kind)):
            place: Place = ("receivers", index, kind, number)
            name = maker.add(Found(receiver.name, kind.removesuffix("_configs"), number, place), config)
            if name is not None:
                yield Integration(channel=name, send_resolved=config.send_resolved)


def _not_honoured(config: AlertmanagerConfig) -> Iterator[Problem]:
    for index, receiver in enumerate(config.receivers):
        for kind in receiver.given(*UNSUPPORTED):
            text = f"Tocsin has no such channel: receiver {receiver.name!r} is told nothing by it"
            yield Problem(("receivers", index, kind), text)
    if config.templates:
        yield Problem(("templates",), "templates of Go are not run: messages to people have Tocsin's own text")
    for key in config.given("tracing", "event_recorder"):
        yield Problem((key,), "is not honoured")
    yield from _labelled(config.route, ("route",))


def _labelled(route: AlertmanagerRoute, place: Place) -> Iterator[Problem]:
    if route.labels:
        yield Problem((*place, "labels"), "labels of routes are not honoured: routeLabels stays empty")
    for index, below in enumerate(route.routes):
        yield from _labelled(below, (*place, "routes", index))
