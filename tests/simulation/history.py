"""One history: a seed, so many steps of senders, people and accidents, then calm, then the verdict."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
import structlog

from engine.runtime.worker import Limits
from schemas import commands as c
from tests.simulation.audit import Auditor
from tests.simulation.memory_store import Disk
from tests.simulation.operators import Operator, some_rules
from tests.simulation.process import Machine
from tests.simulation.senders import PARSERS, Sender
from tests.simulation.tocsin import CHANNELS, Tocsin
from tests.simulation.verdict import Verdict, read_models
from tests.simulation.world import SHOWN, World

STEPS = 80
LOOK_S = 300.0
"""How often Tocsin looks whether the clock was set; rarer than in life, because days pass in each history."""
SETTLE_S = 2.2 * 86_400
"""Longer than any expiry and any wait, and than the 48 hours of annex 3, also at half pace for the former."""
WITH_MODELS = 0.3
"""Histories in which the read models follow; they are what costs most."""


class Report(msgspec.Struct, frozen=True):
    """What one history was like. `violations` is empty when every invariant held."""

    seed: int
    violations: list[str]
    seen: Counter[str]
    trace: list[str]
    digest: str
    virtual_s: float
    lives: int
    records: int
    events: int

    def failure(self) -> str:
        """What a person needs to find the cause."""
        last = "\n".join(self.trace[-SHOWN:])
        replay = f"python -m tests.simulation --seed {self.seed} --trace"
        return f"seed {self.seed}: {self.violations[0]}\n{last}\nplay it again: {replay}"


class History:
    """All that takes part in one history."""

    def __init__(self, seed: int, steps: int) -> None:
        self.world = world = World(seed)
        self._steps = steps
        dice = world.dice
        self._pace_s = dice.choice((2.0, 30.0, 300.0, 1800.0))
        self.disk = Disk()
        self._auditor = Auditor(world, self.disk, PARSERS)
        self._machine = Machine(self.disk, PARSERS, lambda _operation, _moment: None)
        self._machine.limits = Limits(
            max_pending=dice.choice((2, 50, 10_000)),
            snapshot_every=dice.choice((5, 40, 20_000)),
            look_at_clock_s=LOOK_S,
        )
        self._machine.rules = some_rules(world)
        if world.chance(WITH_MODELS):
            self._machine.models, self._machine.projections = read_models()
        self.tocsin = Tocsin(world, self._machine, self._auditor)
        formats = ("alertmanager_v2", "alertmanager_webhook", "generic_json")
        names = ("prometheus", "alertmanager", "script")
        self.senders = [Sender(world, self.tocsin, *each) for each in zip(names, formats, strict=True)]
        self._people = [Operator(world, self.tocsin, name) for name in ("li", "wang")]
        self._actions = self._choose_actions()

    def _choose_actions(self) -> list[tuple[str, Callable[[], None], float]]:
        """What can happen, and how often in this history."""
        tocsin, dice = self.tocsin, self.world.dice

        def one() -> Sender:
            return dice.choice(self.senders)

        def mood() -> None:
            channel = dice.choice(CHANNELS)
            tocsin.hands.moods[channel] = dice.choice(("well", "usual", "usual", "down"))

        def merge() -> None:
            firing = [name for name, life in self._auditor.lives.all.items() if life.firing and not life.into]
            if len(firing) > 1:
                one, into = dice.sample(firing, 2)
                dice.choice(self._people).act_on(c.Merge(incident=one, into=into))

        def burst() -> None:
            for sender in self.senders:
                sender.post(5 * self._pace_s)

        every: list[tuple[str, Callable[[], None], float]] = [
            ("trouble begins", lambda: one().break_something(), 5),
            ("a storm", lambda: one().break_something(dice.choice((6, 25))), 0.4),
            ("everything breaks", lambda: one().break_everywhere(), 0.4),
            ("something flaps", lambda: one().flap(), 0.6),
            ("trouble ends", lambda: one().heal_something(), 3),
            ("a sender forgets", lambda: one().forget_healed(), 1),
            ("a sender posts", lambda: one().post(5 * self._pace_s), 9),
            ("a message again", lambda: one().post_old(), 2),
            ("nonsense", lambda: one().post_nonsense(), 1.5),
            ("a command", lambda: dice.choice(self._people).act(), 8),
            ("a merge", merge, 0.7),
            ("other rules", lambda: self._people[0].configure(), 0.5),
            ("a channel's mood", mood, 1.5),
            ("an orderly restart", tocsin.stop, 0.4),
            ("the clock is set", tocsin.faults.set_clock, 0.7),
            ("a burst", burst, 1.5),
            ("nothing for long", lambda: None, 1),
        ]
        return [(name, act, weight * dice.choice((0.3, 1.0, 2.0))) for name, act, weight in every]

    # --- playing ------------------------------------------------------------------------------------------------

    def play(self) -> Report:
        """Play it to its end, or to the first broken invariant."""
        world, loop = self.world, self.world.loop
        try:
            loop.run_until_complete(self._play())
        finally:
            loop.run_until_complete(_end_all())
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
            if self._machine.models is not None:
                self._machine.models.dispose()
        rows = self.disk.partition()
        return Report(
            world.seed, world.violations, world.seen, world.trace, world.digest(), world.now_s, self.tocsin.lives,
            len(rows.journal), len(rows.events),
        )  # fmt: skip

    async def _play(self) -> None:
        world = self.world
        self.tocsin.begin()
        names, acts, weights = zip(*self._actions, strict=True)
        for _ in range(self._steps):
            index = world.dice.choices(range(len(names)), weights)[0]
            world.say(f"step: {names[index]}")
            acts[index]()
            pause_s = world.about(self._pace_s) * (20 if names[index] == "nothing for long" else 1)
            await asyncio.sleep(min(pause_s, world.dice.choice((0.001, 1.0, 1e9, 1e9))))
            self._auditor.step(self.tocsin.process)
            if world.violations:
                break
        if not world.violations:
            await self._settle()
        if not world.violations:
            Verdict(world, self.tocsin, PARSERS).pass_on(self.senders)
        await self.tocsin.end()

    async def _settle(self) -> None:
        """No more faults; every sender falls silent. Half of them say first that all is over."""
        world = self.world
        self.tocsin.faults.end()
        world.say("calm")
        for sender in self.senders:
            if world.chance(0.5):
                sender.heal_everything()
                sender.post(5 * self._pace_s)
        end_s = world.now_s + SETTLE_S
        while world.now_s < end_s and not world.violations:
            await asyncio.sleep(min(7200, end_s - world.now_s))
            self._auditor.step(self.tocsin.process)


async def _end_all() -> None:
    """Whoever is still waiting for an answer waits no longer."""
    waiting = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """Tocsin reports every fault; thousands of histories have too many of them."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50), logger_factory=lambda *_: None)
    try:
        yield
    finally:
        structlog.configure(**before)


def play(seed: int, steps: int = STEPS) -> Report:
    """Play the history of a seed."""
    with _quiet():
        return History(seed, steps).play()
