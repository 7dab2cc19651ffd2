"""Every parser with the errors that it may raise, and what must hold for what it understands.

A harness takes arbitrary bytes and returns; whatever it raises is a finding. The same harnesses are driven by atheris
(`make fuzz`) and, in small, by the test in `tests/unit/test_fuzz_harnesses.py`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import msgspec
from pydantic import ValidationError

from engine.located_yaml import dotted, read
from engine.plain_words import validated
from schemas.alerts import Rejected, fingerprint
from schemas.commands import COMMAND
from schemas.config import Settings
from schemas.errors import ConfigError, InvalidPayload
from schemas.records import decode_record, encode_record
from sources import PARSERS

Harness = Callable[[bytes], None]

ROOT: Final = Path(__file__).resolve().parents[2]
TESTS: Final = ROOT / "tests"
AT_MS: Final = 1_767_323_045_000
FILE: Final = "tocsin.yaml"
YAML: Final = ("located_yaml", "config")


def _says_why(reason: str) -> None:
    assert reason.strip(), "refused without a reason"


def _parser(format: str) -> Harness:
    parse = PARSERS[format]

    def harness(body: bytes) -> None:
        try:
            answers = parse(body, AT_MS)
        except InvalidPayload as refused:
            _says_why(refused.reason)
            return
        for answer in answers:
            if isinstance(answer, Rejected):
                assert answer.place.startswith("$")
                assert answer.reason
                continue
            assert len(fingerprint(answer.labels)) == 16
            assert all(isinstance(text, str) for text in answer.annotations.values())
            assert b"\n" not in answer.labels_raw + answer.annotations_raw
            assert "\0" not in answer.generator_url
            assert answer.status == "firing" or answer.ends_ms is None or answer.starts_ms <= answer.ends_ms
        assert list(parse(body, AT_MS)) == list(answers), "a replay would judge this body otherwise"

    return harness


def command(body: bytes) -> None:
    """A command: valid, and the same after it was written and read; or refused with its reasons."""
    try:
        found = COMMAND.validate_json(body)
    except ValidationError as refused:
        _says_why(str(refused.errors()[0]["msg"]))
        return
    assert COMMAND.validate_json(COMMAND.dump_json(found)) == found


def located_yaml(body: bytes) -> None:
    """A document whose every value has its line; or refused."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return  # `read_file` has refused it already
    try:
        located = read(text, FILE)
    except ConfigError as refused:
        _says_why(refused.problem)
        return
    assert all(line >= 1 for line in located.lines.values())
    assert all(isinstance(dotted(place), str) for place in located.lines)


def config(body: bytes) -> None:
    """Settings; or refused with the problems in plain words. Files of secrets are not opened."""
    try:
        validated(Settings, read(body.decode("utf-8-sig", "replace"), FILE), FILE)
    except ConfigError as refused:
        _says_why(refused.problem)


def record(body: bytes) -> None:
    """A journal record, the same after it was written and read; or refused."""
    try:
        found = decode_record(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return  # only for bytes that Tocsin did not write: damage, which both call by its name
    assert decode_record(encode_record(found)) == found


HARNESSES: Final[dict[str, Harness]] = {
    **{name: _parser(name) for name in sorted(PARSERS)},
    "command": command,
    "located_yaml": located_yaml,
    "config": config,
    "record": record,
}


def corpus(name: str) -> list[bytes]:
    """Real inputs to begin with: recorded payloads, kept samples, and the configurations that are in the tree."""
    if name == "command":
        return [json.dumps(sample["body"]).encode() for sample in _samples("commands")]
    if name == "record":
        return [base64.b64decode(sample["stored"]) for sample in _samples("records")]
    if name in YAML:
        return [_YAML, *_contents([*ROOT.glob("demo/*.yaml"), *ROOT.glob("demo/*.yml"), *ROOT.glob("packs/*.yaml")])]
    recorded = _contents(TESTS.glob(f"payloads/{name}/*.json"))
    return recorded or [_GENERIC, b"[" + _GENERIC + b"]"]  # nobody but us sends our own format: none is recorded


_GENERIC: Final = json.dumps(
    {
        "title": "Disk full", "alertname": "Disk", "status": "firing", "severity": 2, "service": "pay",
        "labels": {"host": "db1", "port": 5432, "on": True}, "annotations": {"a": "b"}, "description": "d",
        "startsAt": "2026-01-05T04:00:00Z", "endsAt": "2026-01-05T04:30:00+08:00", "url": "http://x",
    }
).encode()  # fmt: skip


_YAML: Final = b"""%YAML 1.2
---
server: &server {host: 127.0.0.1, port: 0x50, public: ~}
sources: {a: {format: generic_json, token: !!str 1}, "b": *server}
rules:
  <<: *server
  language: |
    zh
  since: 2026-01-05T04:00:00+08:00
  routes: [{receiver: on, group_wait_s: 1e3}, - ? x]
"""
"""Small, so that many are tried a second; the real files are a hundred times slower to read."""


def _samples(name: str) -> list[dict[str, str]]:
    lines = (TESTS / "samples" / f"{name}.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def _contents(files: Iterable[Path]) -> list[bytes]:
    return [file.read_bytes() for file in sorted(files)]
