"""The verdict at the end of a history: everything decided again, rebuilt, recounted, and compared."""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import Connection, Engine, create_engine, select
from sqlalchemy.pool import StaticPool

from engine.chain import GENESIS, verify
from engine.core import Core
from engine.core.state import State, decode_state
from engine.runtime.judge import Judge, ReplayDiffers, replay
from engine.store import Store
from projections import ALL, Projection, Projector, create_tables
from projections.deliveries import recent
from projections.ledger import balance
from projections.tickets import get_ticket
from schemas.ports import Parser
from tests.simulation.fates import ENDS, OPEN
from tests.simulation.memory_store import Disk, MemoryStore
from tests.simulation.senders import Sender
from tests.simulation.tocsin import Tocsin
from tests.simulation.world import World


def read_models() -> tuple[Engine, list[Projection]]:
    """An empty database in memory with the tables of every projection."""
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    projections = ALL()
    create_tables(engine, projections)
    return engine, projections


class Verdict:
    """What must hold when everything is calm and had time to settle."""

    def __init__(self, world: World, tocsin: Tocsin, parsers: dict[str, Parser]) -> None:
        self._world, self._tocsin, self._parsers = world, tocsin, parsers
        self._disk: Disk = tocsin.machine.disk
        self._store = cast(Store, MemoryStore(self._disk))

    def pass_on(self, senders: list[Sender]) -> None:
        """Check all of it."""
        process = self._tocsin.process
        self._world.demand(process is not None and process.alive, "Tocsin is not running at the end")
        if process is None:
            return
        self._world.demand(process.is_quiet, "the core holds what is not committed, although all is quiet")
        state = decode_state(process.core.snapshot())
        again = self._decided_again()
        if again is not None:
            self._world.demand(again.snapshot() == process.core.snapshot(), "state and replay differ")
            restored = Judge(self._store, self._parsers).core
            self._world.demand(restored.snapshot() == again.snapshot(), "snapshot and rest differ from the whole")
        self._tocsin.auditor.agrees(state)
        self._answers(senders)
        self._settled(state)
        self._pages()
        self._models(state)

    def _decided_again(self) -> Core | None:
        fault = verify(GENESIS, 0, list(self._disk.partition().events))
        self._world.demand(fault is None, f"the chain is broken: {fault}")
        try:
            return replay(self._store, self._parsers)
        except ReplayDiffers as differs:
            self._world.demand(False, f"replay differs from the log: {differs}")
            return None

    def _answers(self, senders: list[Sender]) -> None:
        auditor, demand = self._tocsin.auditor, self._world.demand
        for offset in auditor.answers:
            auditor.holds(offset)
        for sender in senders:
            for body, (answered, unsure) in sender.calls.items():
                kept = auditor.bodies[body]
                demand(answered <= kept <= answered + unsure, f"{kept} copies of a body: {answered} answered, {unsure}")

    def _settled(self, state: State) -> None:
        auditor, demand = self._tocsin.auditor, self._world.demand
        firing = [alert for alert in state.alerts.values() if alert.firing]
        demand(not firing, f"{len(firing)} alerts fire although every sender has been silent for days")
        for name, life in auditor.lives.all.items():
            waits = life.state in OPEN and life.origin in ("alert", "internal") and not life.by_hand
            demand(not waits, f"{name} is {life.state} and nothing fires")
        demand(not state.dispatch.groups, f"groups are left: {list(state.dispatch.groups)}")
        received = sum(auditor.received.values())
        demand(auditor.rolled_up == received, f"{received} alerts were received, {auditor.rolled_up} rolled up")

    def _pages(self) -> None:
        auditor, peer = self._tocsin.auditor, self._tocsin.hands.peer
        for name, page in auditor.pages.all.items():
            self._world.demand(page.phase in ENDS.values(), f"{name} is still {page.phase}: nobody knows of it")
            once = peer.arrived[name] <= 1 or name in peer.lied
            self._world.demand(once, f"{name} arrived {peer.arrived[name]} times")

    # --- read models --------------------------------------------------------------------------------------------

    def _models(self, state: State) -> None:
        machine = self._tocsin.machine
        if machine.models is None:
            return
        fresh, projections = read_models()

        def read(partition: int, after: int, limit: int) -> Any:
            return self._store.log(partition=partition, after=after, limit=limit)

        rebuilt = Projector(fresh.begin, read, projections)
        rebuilt.catch_up()
        halted = [status.halted for status in Projector(machine.models.begin, read, projections).status()]
        self._world.demand(not any(halted), f"halted: {halted}")
        with machine.models.begin() as one, fresh.begin() as other:
            for projection in projections:
                same = _rows(projection, one) == _rows(projection, other)
                self._world.demand(same, f"projection {projection.name} is not what a rebuild gives")
            self._agree(state, one)
        self._world.saw("projections compared with a rebuild")

    def _agree(self, state: State, conn: Connection) -> None:
        demand, auditor = self._world.demand, self._tocsin.auditor
        for name, incident in state.incidents.items():
            ticket = get_ticket(conn, name)
            same = ticket is not None and ticket.state == incident.state
            demand(same, f"ticket {name} is not {incident.state}")
        books = balance(conn)
        received = sum(auditor.received.values())
        demand((books.received, books.difference) == (received, 0), f"the ledger says {books}, received: {received}")
        states = {row.delivery: row.state for row in recent(conn, 100_000)}
        phases = {name: page.phase for name, page in auditor.pages.all.items()}
        demand(states == phases, "the deliveries shown are not those of the log")


def _rows(projection: Projection, conn: Connection) -> dict[str, list[Any]]:
    return {
        table.name: sorted((tuple(row) for row in conn.execute(select(table))), key=repr) for table in projection.tables
    }
