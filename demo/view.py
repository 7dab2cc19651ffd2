"""What the demo shows: Tocsin's own figures, read from its `/metrics`, and what to try first."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from demo.stack import Addresses

_SETUP = re.compile(r"https?://[^\s\"']+/setup\?[^\s\"']+")

DISPOSITIONS_ZH = {
    "opened": "新建事件", "attached": "并入事件", "repeated": "重复", "resolved": "恢复", "silenced": "已静默",
    "inhibited": "被抑制", "in_maintenance": "维护中", "flapping": "抖动", "noise": "噪声", "storm": "告警风暴",
    "dropped_by_rule": "按规则丢弃", "invalid": "无法解析",
}  # fmt: skip


@dataclass(frozen=True)
class Figures:
    """One reading: alerts by disposition, incidents, and messages that the demo's own mail server and robot hold."""

    dispositions: dict[str, int] = field(default_factory=dict)
    opened: int = 0
    resolved: int = 0
    mails: int = 0
    robot_messages: int = 0

    @property
    def received(self) -> int:
        """Alerts received: each has exactly one disposition."""
        return sum(self.dispositions.values())

    def line(self) -> str:
        """All of it in one plain line."""
        kinds = " ".join(f"{name}={count}" for name, count in self.dispositions.items() if count)
        return (
            f"alerts={self.received} ({kinds or 'none yet'}) incidents opened={self.opened} resolved={self.resolved} "
            f"notifications mail={self.mails} robot={self.robot_messages}"
        )


def figures_of(metrics: str, *, mails: int, robot_messages: int) -> Figures:
    """Read Tocsin's metrics text."""
    dispositions: dict[str, int] = {}
    events: dict[str, int] = {}
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            if sample.name == "tocsin_alerts_total":
                name = sample.labels.get("disposition", "")
                dispositions[name] = dispositions.get(name, 0) + int(sample.value)
            elif sample.name == "tocsin_events_total":
                events[sample.labels.get("type", "")] = int(sample.value)
    return Figures(
        dispositions, events.get("incident_opened", 0), events.get("incident_resolved", 0), mails, robot_messages
    )


def set_up_link(log: str) -> str | None:
    """The one-time link to the first account, as Tocsin has printed it into its log."""
    found = _SETUP.search(log)
    return found.group(0) if found else None


def first_steps(addresses: Addresses, link: str | None, folder: str) -> list[str]:
    """Where everything is and the first three things to try, in Chinese and English."""
    console = f"http://127.0.0.1:{addresses.tocsin}"
    return [
        f"控制台 console       {console}",
        f"首次设置 first run    {link or console + '/setup'}",
        f"Prometheus           http://127.0.0.1:{addresses.prometheus}/alerts",
        f"Alertmanager         http://127.0.0.1:{addresses.alertmanager}",
        f"消息 messages        {folder}/outbox/",
        "",
        "1  打开首次设置链接，创建管理员    open the first-run link and create the administrator",
        "2  在事件页面点“响应”，响应计时停止  acknowledge an incident: its response clock stops",
        f"3  校验日志未被改动  prove the log:  .venv/bin/tocsin log verify --config {folder}/tocsin.yaml",
    ]


def screen(figures: Figures, steps: list[str], elapsed_s: float, note: str) -> RenderableType:
    """The live screen."""
    table = Table(expand=True, show_edge=False)
    for title in ("告警 alerts", "事件 incidents", "通知 notifications"):
        table.add_column(title)
    kinds = "\n".join(
        f"  {count:>6}  {DISPOSITIONS_ZH.get(name, name)} {name}"
        for name, count in figures.dispositions.items()
        if count
    )
    table.add_row(
        f"[bold]{figures.received:>8}[/]  收到 received\n{kinds}",
        f"[bold]{figures.opened:>6}[/]  新建 opened\n[bold]{figures.resolved:>6}[/]  恢复 resolved",
        f"[bold]{figures.mails:>6}[/]  邮件 mail\n[bold]{figures.robot_messages:>6}[/]  机器人 robot",
    )
    minutes, seconds = divmod(int(elapsed_s), 60)
    title = f"警钟 Tocsin · {minutes}:{seconds:02}"
    return Group(
        Panel(table, title=title, subtitle="Ctrl-C 结束 ends"), Text("\n".join(steps)), Text(note, style="dim")
    )
