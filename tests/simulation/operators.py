"""People: they command what is possible and what is not, ask twice, and change the rules."""

from __future__ import annotations

from collections.abc import Callable

from schemas import commands as c
from schemas import records as r
from schemas.config import DeliveryPolicy, Grouping, Receiver, Route, Rules
from schemas.errors import CommandRejected, Overloaded, StoreUnavailable
from tests.simulation.groups import some_dispatch
from tests.simulation.holding import some_denoise, some_silence
from tests.simulation.process import Lost
from tests.simulation.tocsin import Tocsin
from tests.simulation.world import World

RECEIVERS = {
    "oncall": Receiver(channels=("chat", "mail")),
    "boss": Receiver(channels=("phone",)),
    "night": Receiver(channels=("pigeon", "phone", "mail")),
}
"""`pigeon` is a channel that no installation has."""
ROUTES = (
    Route(receiver="boss", priorities=("P1",), also=True),
    Route(receiver="night", match={"service": "db"}),
    Route(receiver="oncall"),
)


def some_rules(world: World) -> Rules:
    """Rules as a person might set them."""
    dice = world.dice
    return Rules(
        receivers=RECEIVERS,
        routes=dice.choice((ROUTES, ROUTES, ROUTES[1:], ROUTES[2:], (ROUTES[0],))),
        delivery=DeliveryPolicy(attempts=dice.choice((1, 2, 4))),
        grouping=Grouping(by=dice.choice((("service",), ("cluster", "namespace", "service"), ("alertname",)))),
        expiry_s={"alertmanager_webhook": dice.choice((600, 86_400)), "script": 900},
        resolved_kept_s=dice.choice((300, 3600, 7200)),
        rollup_s=dice.choice((60, 3600)),
        dispatch=some_dispatch(world),
        **some_denoise(world),
    )


class Operator:
    """One person at the console."""

    def __init__(self, world: World, tocsin: Tocsin, name: str) -> None:
        self._world, self._tocsin, self._name = world, tocsin, f"user:{name}"
        self._asked = 0

    def act(self) -> None:
        """Command something."""
        self._asked += 1
        command_id = f"{self._name}-{self._asked}"
        self._world.loop.create_task(self._command(self._some_command(), command_id))

    def act_on(self, command: c.Command) -> None:
        """Command this."""
        self._asked += 1
        self._world.loop.create_task(self._command(command, f"{self._name}-{self._asked}"))

    def _some_command(self) -> c.Command:
        dice, known = self._world.dice, list(self._tocsin.auditor.lives.all)
        one = dice.choice([*known[-6:], "INC-999"])
        other = dice.choice([*known[-6:], "INC-999"])
        makers: tuple[Callable[[], c.Command], ...] = (
            lambda: c.Acknowledge(incident=one),
            lambda: c.Assign(incident=one, assignee=dice.choice(("li", "wang"))),
            lambda: c.StartDiagnosis(incident=one),
            lambda: c.AddNote(incident=one, text="looking"),
            lambda: c.Mitigate(incident=one),
            lambda: c.Resolve(incident=one, solution=dice.choice(("", "restarted"))),
            lambda: c.StartReview(incident=one),
            lambda: c.Close(incident=one),
            lambda: c.Reopen(incident=one, reason="not over"),
            lambda: c.Merge(incident=one, into=other),
            lambda: c.MarkFalseAlarm(incident=one, reason="a drill"),
            lambda: c.SetPriority(incident=one, urgency=dice.randint(1, 4), impact=dice.randint(1, 3)),
            lambda: c.ReportIncident(title="users complain", outage=dice.choice((None, "business", "database"))),
            lambda: c.TestChannel(channel=dice.choice(("chat", "phone", "smoke"))),
            lambda: some_silence(self._world, self._tocsin.auditor.holding),
            lambda: c.Classify(incident=one, module=dice.choice(("", "payments", "orders")), problem_type="disk"),
            lambda: c.Claim(incident=one),
            lambda: c.HandOver(incident=one, assignee=dice.choice(("li", "wang")), note="my shift is over"),
            lambda: c.Verify(incident=one),
            lambda: c.Link(incident=one, other=other, relation=dice.choice(("related", "caused_by"))),
            lambda: c.Unlink(incident=one, other=other),
            lambda: self._some_split(one),
        )
        weights = (3, 2, 1, 1, 1, 3, 1, 2, 1, 3, 1, 1, 1, 1, 4, 1, 1, 1, 1, 1, 1, 3)
        return dice.choices(makers, weights)[0]()

    def _some_split(self, incident: str) -> c.Command:
        life = self._tocsin.auditor.lives.all.get(incident)
        firing = sorted(life.firing) if life is not None else []
        leaving = tuple(firing[: len(firing) // 2]) or ("none",)
        return c.Split(incident=incident, alerts=leaving, reason="another trouble")

    async def _command(self, command: c.Command, command_id: str) -> None:
        for _ in range(self._world.dice.choice((1, 3, 3))):
            await self._tocsin.travel()
            try:
                outcome = await self._tocsin.call(
                    lambda runtime: runtime.command(command, actor=self._name, command_id=command_id)
                )
            except CommandRejected as rejected:
                self._world.saw(f"command rejected: {rejected.code}")
                return
            except (StoreUnavailable, Overloaded, Lost):
                self._world.saw("command tried again")
                await self._tocsin.wait(self._world.about(5))
                continue
            body = c.COMMAND.dump_json(command)
            self._tocsin.auditor.answered(outcome, r.Commanded(0, command_id, self._name, body))
            self._world.say(f"{self._name}: {command.type} gives {[logged.type for logged in outcome.events]}")
            if not self._tocsin.answer_is_lost() and self._world.chance(0.9):
                return
            self._world.saw("command asked twice")

    def configure(self) -> None:
        """Put other rules in force, or what is none."""
        self._world.loop.create_task(self._configure(self._world.chance(0.85)))

    async def _configure(self, valid: bool) -> None:
        rules = some_rules(self._world)
        body = rules.canonical() if valid else b'{"routes":[{"receiver":"nobody"}]}'
        try:
            outcome = await self._tocsin.call(lambda runtime: runtime.configure(body, actor=self._name))
        except CommandRejected:
            self._world.saw("rules rejected")
            return
        except (StoreUnavailable, Overloaded, Lost):
            return
        self._tocsin.auditor.answered(outcome, r.Configured(0, self._name, body))
        self._tocsin.machine.rules = rules
