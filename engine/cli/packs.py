"""`tocsin packs`: what Tocsin knows to watch, and the same as rules for Prometheus."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from engine import packs
from engine.cli.options import JsonOption, print_json, print_table
from schemas.errors import ConfigError
from schemas.packs import Indicator, Override, Pack

app = typer.Typer(no_args_is_help=True, help="What is watched, when it is trouble, what to do then. 监控指标包。")

FolderOption = Annotated[Path, typer.Option("--folder", help="where the packs lie", show_default="those of Tocsin")]
PackArgument = Annotated[str, typer.Argument(metavar="PACK", help="the id of a pack: tocsin, redis, …")]
OverridesOption = Annotated[
    Path | None, typer.Option("--overrides", help="a file of thresholds for single instances (docs/packs.md)")
]
ToArgument = Annotated[Path, typer.Argument(metavar="FOLDER", help="where the rule files go")]
PROMTOOL_WAIT_S = 60


@app.command("list")
def list_packs(folder: FolderOption = packs.FOLDER, as_json: JsonOption = False) -> None:
    """The packs that there are. 列出指标包。"""
    found = packs.load_all(folder)
    if as_json:
        print_json([{"id": p.id, "title": p.title.model_dump(), "indicators": len(p.indicators)} for p in found])
        return
    print_table(
        ("pack", "标题", "title", "system", "indicators", "requirements"),
        ((p.id, p.title.zh, p.title.en, p.system, len(p.indicators), _requirements(p)) for p in found),
    )


@app.command()
def show(pack: PackArgument, folder: FolderOption = packs.FOLDER, as_json: JsonOption = False) -> None:
    """The indicators of a pack: thresholds, hold times, runbooks. 显示指标。"""
    shown = packs.load_named(pack, folder)
    if as_json:
        print_json(shown.model_dump())
        return
    if shown.needs is not None:
        typer.echo(f"{shown.needs.zh}\n{shown.needs.en}\n")
    print_table(
        ("indicator", "标题", "title", "source", "warning", "critical", "unit", "hold", "runbook", "requirement"),
        (
            (i.id, i.title.zh, i.title.en, i.source, _level(i, i.warn), _level(i, i.crit), i.unit, f"{i.hold} s",
             i.runbook, i.requirement)
            for i in shown.indicators
        ),
    )  # fmt: skip


@app.command()
def rules(pack: PackArgument, folder: FolderOption = packs.FOLDER, overrides: OverridesOption = None) -> None:
    """The pack as a Prometheus rule file, on standard output. 导出 Prometheus 规则。"""
    wanted = packs.load_named(pack, folder)
    found = packs.load_all(folder)
    typer.echo(packs.rule_file(wanted, packs=found, overrides=_overrides(overrides, found)), nl=False)


@app.command()
def export(to: ToArgument, folder: FolderOption = packs.FOLDER, overrides: OverridesOption = None) -> None:
    """All packs as Prometheus rule files, PACK.rules.yml each. 导出全部指标包。"""
    found = packs.load_all(folder)
    own = _overrides(overrides, found)
    to.mkdir(parents=True, exist_ok=True)
    for pack in found:
        (to / f"{pack.id}.rules.yml").write_text(packs.rule_file(pack, packs=found, overrides=own), "utf-8")
    typer.echo(f"{len(found)} rule files in {to}")


def _overrides(file: Path | None, found: tuple[Pack, ...]) -> tuple[Override, ...]:
    return packs.load_overrides(file, found) if file else ()


@app.command()
def check(folder: FolderOption = packs.FOLDER) -> None:
    """Read all packs; let promtool judge their rules, if it is installed. 检查指标包。"""
    found = packs.load_all(folder)
    packs.load_promises(found, folder)
    promtool = shutil.which("promtool")
    if promtool is not None:
        _judge(promtool, found)
    verdict = "promtool takes their rules" if promtool else "queries not checked: promtool is not installed"
    typer.echo(f"{len(found)} packs, {sum(len(pack.indicators) for pack in found)} indicators: in order; {verdict}")


def _judge(promtool: str, found: tuple[Pack, ...]) -> None:
    """Raises ConfigError with what promtool says against the rules of any pack."""
    with tempfile.TemporaryDirectory(prefix="tocsin-packs-") as folder:
        files = [Path(folder) / f"{pack.id}.rules.yml" for pack in found]
        for file, pack in zip(files, found, strict=True):
            file.write_text(packs.rule_file(pack, packs=found), "utf-8")
        try:
            ran = subprocess.run(
                [promtool, "check", "rules", *map(str, files)],
                capture_output=True,
                text=True,
                check=False,
                timeout=PROMTOOL_WAIT_S,
            )
        except (OSError, subprocess.TimeoutExpired) as failed:
            raise ConfigError(f"promtool gave no verdict: {failed}") from failed
    if ran.returncode:
        raise ConfigError(f"promtool refuses a rule:\n{(ran.stderr or ran.stdout).strip()}")


def _level(indicator: Indicator, threshold: float | None) -> str:
    return "–" if threshold is None else f"{indicator.op} {threshold:.15g}"


def _requirements(pack: Pack) -> str:
    return " ".join(sorted({indicator.requirement for indicator in pack.indicators}))
