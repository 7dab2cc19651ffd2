"""Anchors by e-mail, on a real SMTP server: what arrives can be used, and what is refused stops nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from engine.bootstrap import anchor_mail
from engine.chain import Position
from engine.cli import app
from engine.runtime.anchoring import HOUR_MS, Mail, keep_anchoring
from engine.store import Store
from engine.store.anchors import contradiction, read_anchors
from schemas.config import Anchors, EmailChannel, Settings
from schemas.deliveries import Receipt
from tests.batches import entries
from tests.peers.smtp import SmtpPeer
from tests.servers.process import eventually

NOON = 1_795_348_800_000
"""2026-11-22T12:00:00Z."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with events 0–2 in it."""
    opened = Store.open(f"sqlite:///{tmp_path}/tocsin.db")
    opened.append(entries(Position(), 1, 1, 1)[0])
    yield opened
    opened.close()


def by_mail(peer: SmtpPeer, file: Path | None) -> Settings:
    """Settings that mail each anchor to the auditor by `peer`."""
    channel = EmailChannel(host="127.0.0.1", port=peer.port, sender="t@ops.test", to=("auditor@x.test",), timeout_s=60)
    return Settings(anchors=Anchors(file=file, email="auditor"), channels={"auditor": channel})


class Days:
    """A clock that stands at noon until it is told to go on."""

    def __init__(self) -> None:
        self.now_ms = NOON

    def __call__(self) -> int:
        return self.now_ms


async def test_a_mailed_anchor_is_the_very_line_and_can_be_compared(store: Store, tmp_path: Path) -> None:
    """The letter's text, saved as it is, serves `--anchors`; its first line is the one in the file."""
    file = tmp_path / "anchors.jsonl"
    async with SmtpPeer() as peer:
        settings = by_mail(peer, file)
        running = asyncio.create_task(keep_anchoring(store, settings.anchors, Days(), anchor_mail(settings)))
        await eventually(lambda: len(peer.messages) == 1, "the letter", every_s=0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    (letter,) = peer.messages
    assert letter["Subject"] == "Tocsin anchor 0 seq 2"
    assert letter["To"] == "auditor@x.test"
    assert letter["Date"] == "Sun, 22 Nov 2026 12:00:00 +0000"
    assert letter.get_content_type() == "text/plain"
    text = letter.get_content()
    assert text.splitlines()[0] == file.read_text().rstrip("\n")
    assert "tocsin log verify --anchors" in text
    assert "请将本邮件保存在数据库管理员无法删除之处" in text
    saved = tmp_path / "saved.txt"
    saved.write_text(text.replace("}\n", "} \r\n"))
    assert read_anchors(saved) == read_anchors(file)
    assert contradiction(store, read_anchors(saved)) is None


async def test_a_refused_mail_is_logged_and_the_next_anchor_tries_again(store: Store, tmp_path: Path) -> None:
    """The file gets its line though the mail does not go; a day later both do, under another Message-ID."""
    file, clock = tmp_path / "anchors.jsonl", Days()
    async with SmtpPeer("550") as peer:
        settings = by_mail(peer, file)
        for mode, mailed in (("550", 0), ("accept", 1), ("accept", 2)):
            peer.mode = mode  # type: ignore[assignment]
            with capture_logs() as logged:
                running = asyncio.create_task(keep_anchoring(store, settings.anchors, clock, anchor_mail(settings)))
                await eventually(lambda: _told(logged) != [], "the outcome of the mail", every_s=0.01)
                assert not running.done()
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
            assert len(peer.messages) == mailed
            (told,) = _told(logged)
            assert told == (("anchor_mailed", f"250 2.0.0 Ok: queued as Q{mailed}") if mailed else
                            ("anchor_not_mailed", "5.1.1 No such user here"))  # fmt: skip
            clock.now_ms += 24 * HOUR_MS
    assert len(read_anchors(file)) == 3
    assert len({letter["Message-ID"] for letter in peer.messages}) == 2


def _told(logged: Sequence[Mapping[str, object]]) -> list[tuple[object, object]]:
    """What the log says of mails: the event, and the server's answer."""
    return [
        (line["event"], line.get("answer", line.get("problem"))) for line in logged if "mailed" in str(line["event"])
    ]


async def test_a_broken_mailer_stops_nothing(store: Store, tmp_path: Path) -> None:
    """An error that no mail should meet is logged by its kind alone, and the task goes on."""

    async def broken(line: str) -> Receipt:
        raise LookupError(line)

    mail: Mail = broken
    file = tmp_path / "anchors.jsonl"
    with capture_logs() as logged:
        running = asyncio.create_task(keep_anchoring(store, Anchors(file=file), Days(), mail))
        await eventually(lambda: _told(logged) != [], "the outcome of the mail", every_s=0.01)
        assert not running.done()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert _told(logged) == [("anchor_not_mailed", "internal error: LookupError")]
    assert len(read_anchors(file)) == 1


@pytest.mark.parametrize(("mode", "code"), [("accept", 0), ("550", 1)])
async def test_the_command_mails_one_now(store: Store, tmp_path: Path, mode: str, code: int) -> None:
    """`log anchor --mail` prints the line and the server's answer; a refusal is exit code 1, with the file written."""
    config, file = tmp_path / "tocsin.yaml", tmp_path / "anchors.jsonl"
    async with SmtpPeer(mode) as peer:  # type: ignore[arg-type]
        config.write_text(
            f"store: {{url: 'sqlite:///{tmp_path}/tocsin.db'}}\nanchors: {{file: {file}, email: auditor}}\nchannels:\n"
            f"  auditor: {{type: email, host: 127.0.0.1, port: {peer.port}, sender: t@x.test, to: [a@x.test]}}\n"
        )
        quiet = await asyncio.to_thread(CliRunner().invoke, app, ["log", "anchor", "-c", str(config)])
        assert (quiet.exit_code, peer.messages) == (0, [])
        shown = await asyncio.to_thread(CliRunner().invoke, app, ["log", "anchor", "--mail", "-c", str(config)])
    assert shown.exit_code == code, shown.output
    assert len(peer.messages) == (code == 0)
    assert shown.stdout == file.read_text().splitlines(keepends=True)[1]
    assert ("mailed: 250 2.0.0 Ok: queued as Q1" if code == 0 else "No such user here") in shown.stderr


def test_the_command_asks_for_a_channel(store: Store, tmp_path: Path) -> None:
    """Without `anchors.email` there is nobody to mail to, and nothing is written."""
    config = tmp_path / "tocsin.yaml"
    config.write_text(
        f"anchors: {{file: {tmp_path}/anchors.jsonl}}\nstore: {{url: 'sqlite:///{tmp_path}/tocsin.db'}}\n"
    )
    shown = CliRunner().invoke(app, ["log", "anchor", "--mail", "-c", str(config)])
    assert shown.exit_code == 1
    assert shown.stderr.startswith("tocsin: anchors.email: by which channel?")
    assert not (tmp_path / "anchors.jsonl").exists()
