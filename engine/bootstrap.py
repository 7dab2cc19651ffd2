"""The bootstrap: the one place that names concrete classes and puts a running Tocsin together."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import sys
import uuid
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from types import FrameType

import structlog
import uvicorn
import uvloop

from engine.core import CORE_VERSION
from engine.core.state import Books
from engine.reloading import OnSignal, Reloading
from engine.rules_desk import SYSTEM, Desk
from engine.runtime.anchoring import Mail, keep_anchoring
from engine.runtime.drill import run_drill
from engine.runtime.embedded import EmbeddedRuntime
from engine.runtime.judge import replay
from engine.runtime.recent import RecentLog
from engine.runtime.served import Served
from engine.runtime.worker import Limits
from engine.shadowing import Shadowing
from engine.store import Keyring, Store, partitions, retention
from engine.store.anchors import anchor_from
from engine.store.archive import Segment
from engine.store.cores import refuse_older_core
from engine.store.migrations import CURRENT as SCHEMA_VERSION
from notifiers.email.notifier import EmailNotifier
from notifiers.outbox import Outbox
from notifiers.preview import previewer
from notifiers.registry import build_all
from notifiers.rendering import own_version
from projections import ALL, Projector, create_tables
from projections.pruning import keep_pruning
from schemas.commands import Command, RecordDrill
from schemas.config import EmailChannel, Settings
from schemas.deliveries import Receipt
from schemas.errors import ConcurrencyConflict, ConfigError, StoreUnavailable, TocsinError
from schemas.links import Signer
from schemas.ports import Outcome, Runtime
from sources import PARSERS
from web.accounts import Accounts
from web.app import create_app, use_reload
from web.channel_preview import use_previews
from web.desk import use_desk
from web.reporting.mailing import Mailing

log = structlog.get_logger(__name__)

SHORTEST_KEY = 16
"""Bytes of the chain's key (128 bits, as SM4 and AES have at least)."""
STANDBY_POLL_S = 1.0
"""How often a standby looks whether the writer's place is free."""
KEEP_ALIVE_S = 75
"""Senders come back every few seconds to a minute; a connection that waits costs less than one that is made anew."""
SWITCH_S = 0.001
"""How long a busy thread (read models) keeps the interpreter while the loop waits for it; Python's own is 5 ms."""
ANCHOR_ADVICE = """\
Keep this mail where the database's administrator cannot delete it; to compare the log with it, save the line above as
a file and run "tocsin log verify --anchors FILE".
请将本邮件保存在数据库管理员无法删除之处；需要核对日志时，把上面一行存为文件，执行“tocsin log verify --anchors 文件”。
"""
"""What the recipient of an anchor is to do with it."""
STOP_S = 5
"""How long open connections may take to finish when the server stops."""


def versions() -> str:
    """What runs here: the release, the core that decides, and the database tables that it works with."""
    return f"tocsin {version('tocsin')} (core {CORE_VERSION}, database schema {SCHEMA_VERSION})"


def open_store(settings: Settings, *, read_only: bool = False) -> Store:
    """The store of these settings. Raises ConfigError and StoreUnavailable."""
    password = settings.store.password
    return Store.open(
        settings.store.url,
        password=password.get_secret_value() if password else None,
        read_only=read_only,
        keys=keyring(settings),
        archive=settings.store.archive,
    )


def check_channels(settings: Settings) -> None:
    """Look at what only the channels themselves know about their settings, and at the templates. Raises ConfigError."""
    build_all(settings.channels, settings.templates, settings.directory)


def keyring(settings: Settings) -> Keyring:
    """How the log is chained. Raises ConfigError for a key that is too short to be one."""
    key = settings.store.chain_key.get_secret_value().encode() if settings.store.chain_key else b""
    if key and len(key) < SHORTEST_KEY:
        raise ConfigError(f"{len(key)} bytes are too short, {SHORTEST_KEY} at least", key="store.chain_key")
    return Keyring(settings.store.chain, key)


def projector(settings: Settings, store: Store, recent: RecentLog | None = None) -> Projector:
    """The projector that brings every read model in `store` up to its log; makes their tables."""
    models = ALL(settings.rules.timezone)
    create_tables(store.engine, models)
    return Projector(store.writing, (recent or RecentLog(store)).read, models, partitions=partitions(store) or (0,))


def open_accounts(settings: Settings, store: Store, now_ms: Callable[[], int]) -> Accounts:
    """The users of this installation; their changes are on disk when they are answered."""
    return Accounts(
        store.engine,
        now_ms=now_ms,
        session_hours=settings.server.session_hours,
        writing=lambda: store.writing(durable=True),
    )


def decide_again(store: Store) -> Books:
    """The books after deciding the whole journal again; raises ReplayDiffers where the log says otherwise."""
    books: Books = {}
    for partition in partitions(store) or [0]:
        for source, page in replay(store, PARSERS, partition=partition).books().items():
            known = books.setdefault(source, {})
            for disposition, count in page.items():
                known[disposition] = known.get(disposition, 0) + count
    return books


def archive_journal(store: Store, folder: Path, older_than_days: int, now_ms: int) -> list[Segment]:
    """Move records of that age into the archive; see `engine.store.retention`."""
    return [
        segment
        for partition in partitions(store) or [0]
        for segment in retention.archive_journal(
            store,
            folder,
            older_than_days=older_than_days,
            now_ms=now_ms,
            core_version=CORE_VERSION,
            partition=partition,
        )
    ]


def anchor_mail(settings: Settings) -> Mail | None:
    """How the line of an anchor reaches the recipients of ``anchors.email``; None where that is not set.

    Raises ConfigError for an address that SMTP cannot carry; what is returned raises DeliveryError.
    """
    name = settings.anchors.email
    channel = settings.channels[name] if name else None
    if name is None or not isinstance(channel, EmailChannel):
        return None
    notifier = EmailNotifier(name, channel)

    async def mail(line: str) -> Receipt:
        anchor = anchor_from(line)
        return await notifier.send_text(
            f"Tocsin anchor {anchor.partition} seq {anchor.seq}",
            f"{line}\n\n{ANCHOR_ADVICE}",
            f"anchor.{anchor.partition}.{anchor.seq}.{anchor.at_ms}",
            at_ms=anchor.at_ms,
        )

    return mail


def drill(settings: Settings, backups: Path, now_ms: int, *, decide_again: bool) -> RecordDrill:
    """Prove the newest backup; see `engine.runtime.drill`."""
    live = open_store(settings, read_only=True)
    try:
        return run_drill(backups, live, PARSERS, now_ms=now_ms, decide_again=decide_again)
    finally:
        live.close()


def rules_desk(settings: Settings, store: Store, runtime: Runtime | None = None) -> Desk:
    """Where the rules are looked at and, with a running engine of its own, changed: a cluster's are in its files."""
    if not isinstance(runtime, EmbeddedRuntime):
        return Desk(store, settings, PARSERS)
    engine = runtime

    async def configure(body: bytes, actor: str) -> Outcome:
        return await engine.configure(body, actor=actor)

    return Desk(store, settings, PARSERS, configure)


async def command_alone(settings: Settings, command: Command) -> None:
    """Run one command while no server does. Raises ConcurrencyConflict where one runs, and CommandRejected."""
    store = open_store(settings)
    try:
        store.lock_writer()
        runtime = EmbeddedRuntime(store, PARSERS)
        await runtime.start()
        try:
            await runtime.command(command, actor="system", command_id=str(uuid.uuid4()))
        finally:
            await runtime.stop()
    finally:
        store.close()


def run(settings: Settings, *, standby: bool = False, read: Callable[[], Settings] | None = None) -> None:
    """`serve`, on the fast event loop; see there for what it raises."""
    tune_interpreter()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings, standby=standby, read=read))


def tune_interpreter() -> None:
    """For short waits: no full collection over what was imported, and threads that yield soon."""
    gc.collect()
    gc.freeze()  # some 300,000 objects that live as long as the process; walking them takes a tenth of a second
    gc.set_threshold(50_000, 20, 50)
    sys.setswitchinterval(SWITCH_S)


async def serve(settings: Settings, *, standby: bool = False, read: Callable[[], Settings] | None = None) -> None:
    """Run the embedded runtime and its web server until SIGTERM or SIGINT; on SIGHUP `read` the settings again.

    Raises ConfigError, StoreUnavailable, and ConcurrencyConflict where another process serves this database; as a
    `standby` it waits for that process to end, and takes over.
    """
    set_up_logging(settings.log_level)
    notifiers = build_all(settings.channels, settings.templates, settings.directory)
    store = open_store(settings)
    try:
        shadow = Shadowing(settings.shadow, store, PARSERS)
        await _become_writer(store, standby=standby)
        refuse_older_core(store, CORE_VERSION)
        limits = Limits(max_pending=settings.store.max_pending, snapshot_every=settings.store.snapshot_every)
        recent = RecentLog(store)
        follow = projector(settings, store, recent).catch_up
        runtime = EmbeddedRuntime(store, PARSERS, follow=follow, recent=recent, limits=limits)
        await runtime.start()
        outbox = Outbox(runtime, notifiers, signer=Signer(settings.links, settings.rules.external_url))
        delivering = asyncio.create_task(outbox.run(), name="outbox")
        anchoring = asyncio.create_task(_keep_telling(settings, store, runtime), name="anchors")
        pruning = keep_pruning(store.writing, settings.store.keep_details_days, runtime.now_ms)
        tidying = asyncio.create_task(pruning, name="pruning")
        shadowing = asyncio.create_task(shadow.run(runtime.metrics.registry), name="shadow rules")
        try:
            if await asyncio.to_thread(rules_desk(settings, store).file_has_changed):
                await runtime.configure(settings.rules.canonical(), actor=SYSTEM)
            reloading = Reloading(read, runtime, outbox) if read else None
            await serve_web(settings, store, runtime, reloading, shadow)
        finally:
            anchoring.cancel()
            tidying.cancel()
            shadowing.cancel()
            outbox.stop()
            runtime.end_deliveries()
            await asyncio.wait([delivering], timeout=STOP_S)
            delivering.cancel()
            await asyncio.gather(delivering, anchoring, tidying, shadowing, return_exceptions=True)
            await runtime.stop()
    finally:
        store.close()


async def _become_writer(store: Store, *, standby: bool) -> None:
    """Lock the writer's place; a standby tries every STANDBY_POLL_S until it is free."""
    waiting = False
    while True:
        try:
            store.lock_writer()
            break
        except (ConcurrencyConflict, StoreUnavailable) as taken:
            if not standby:
                raise
            if not waiting:
                log.info("standby", waiting_for=str(taken))
            waiting = True
        await asyncio.sleep(STANDBY_POLL_S)
    if waiting:
        log.warning("standby_takes_over")


async def _keep_telling(settings: Settings, store: Store, runtime: EmbeddedRuntime) -> None:
    """Anchors and reports at their times, where they are set."""
    kept = []
    if settings.anchors.file is not None or settings.anchors.syslog or settings.anchors.email:
        kept.append(keep_anchoring(store, settings.anchors, runtime.now_ms, anchor_mail(settings)))
    channel = settings.channels.get(settings.reports.email)
    if isinstance(channel, EmailChannel):
        send = EmailNotifier(settings.reports.email, channel).send_page
        kept.append(Mailing(store.engine, store.writing, settings, send).run(runtime.now_ms))
    await asyncio.gather(*kept)


async def serve_web(
    settings: Settings,
    store: Store,
    runtime: Served,
    reloading: Reloading | None = None,
    shadow: Shadowing | None = None,
) -> None:
    """Serve the web until a signal comes, or the runtime ends; raises StoreUnavailable for that."""
    accounts = open_accounts(settings, store, runtime.now_ms)

    async def reload() -> None:
        if reloading is None:
            raise ConfigError("this server cannot read its configuration again")
        app.state.site = replace(app.state.site, settings=await reloading.reload())

    app = create_app(runtime, settings, store.engine, accounts, runtime.status, runtime.metrics.registry)
    use_reload(app, reload)
    desk = rules_desk(settings, store, runtime)
    if shadow is not None:
        desk.shadow = shadow.report
    use_desk(app, desk)
    use_previews(app, previewer(settings.channels), own_version)
    listening = _listen(settings)
    config = uvicorn.Config(
        app, http=app.state.http, loop="none", log_config=None, access_log=False, timeout_graceful_shutdown=STOP_S,
        timeout_keep_alive=KEEP_ALIVE_S, server_header=False,
    )  # fmt: skip
    server = _Server(config, before_exit=app.state.site.live.close)
    _announce(settings, listening, accounts)
    serving = asyncio.create_task(server.serve([listening]), name="web")
    failed = asyncio.create_task(runtime.failed(), name="runtime")
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signal_number, server.stop)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, OnSignal(reload))
    await asyncio.wait([serving, failed], return_when=asyncio.FIRST_COMPLETED)
    if failed.done():
        server.stop()
        await serving
        failed.result()
        raise StoreUnavailable("the database has another writer now: this process has stopped")
    failed.cancel()
    serving.result()


class _Server(uvicorn.Server):
    """Uvicorn that leaves signals to us, and ends live pages before it waits for connections to finish."""

    def __init__(self, config: uvicorn.Config, *, before_exit: Callable[[], None]) -> None:
        super().__init__(config)
        self._before_exit = before_exit

    def stop(self) -> None:
        """Stop accepting, and finish what is under way."""
        self._before_exit()
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal that uvicorn caught itself."""
        self.stop()


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.server.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.server.host, settings.server.port))
    except OSError as taken:
        listening.close()
        place = f"{settings.server.host}:{settings.server.port}"
        raise TocsinError(f"cannot listen on {place} (server.host, server.port): {taken.strerror}") from taken
    return listening


def _announce(settings: Settings, listening: socket.socket, accounts: Accounts) -> None:
    """Say on the terminal where to go; the one-time link is shown nowhere else."""
    host, port = listening.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    print(f"Tocsin listens on {address} (console: {settings.rules.external_url})", flush=True)
    token = accounts.first_run_token()
    if token is not None:
        print(f"First run: create the administrator at {address}/setup?token={token}", flush=True)


def set_up_logging(level: str) -> None:
    """One line of key=value pairs per entry, on standard error; libraries only from warnings up."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
